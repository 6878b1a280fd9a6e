"""The command `submit`: the files it leaves, and its exit codes."""

import numpy as np
import pytest
from PIL import Image

from parsenet.cli import main
from parsenet.config import NetworkConfig
from parsenet.models.build import build_model
from parsenet.models.checkpoint import save_network
from parsenet.taxonomy import VOC2012
from tests.fakes.voc import write_voc


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The fake VOC folder in the current one, beside a network with VOC's classes."""
    monkeypatch.chdir(tmp_path)
    write_voc(tmp_path, num_images=3, size=(20, 26))
    config = NetworkConfig(trunk="tiny", features=("pool6", "fc7"))
    network = build_model(config, VOC2012.num_classes)
    save_network(tmp_path / "voc.safetensors", network, config, VOC2012)
    return tmp_path


def submit(*words):
    options = ["--root", ".", "--split", "val", "--device", "cpu"]
    return main(["submit", "voc.safetensors", *options, *words])


def test_archive_is_written_and_passes_the_check(root, capsys):
    assert submit() == 0
    assert (
        main(["submit", "--check", "submission/results.tgz", "--root", ".", "--split", "val"]) == 0
    )

    told = capsys.readouterr().out.splitlines()
    archive = root / "submission" / "results.tgz"
    assert told == [
        f"3 label maps are in '{archive.relative_to(root)}', as the server wants it.",
        f"'{archive.relative_to(root)}' is as the server wants it.",
    ]
    folder = root / "submission/results/VOC2012/Segmentation/comp6_val_cls"
    assert sorted(path.name for path in folder.iterdir()) == [f"2009_{i:06d}.png" for i in range(3)]
    with Image.open(folder / "2009_000000.png") as label:
        assert (label.mode, label.size) == ("P", (26, 20))
        assert np.asarray(label).max() < 21


def test_broken_image_leaves_no_archive(root, capsys):
    (root / "VOC2012/JPEGImages/2009_000001.jpg").write_bytes(b"\xff\xd8\xff")

    assert submit() == 1

    assert "failed: '" in capsys.readouterr().err
    assert not (root / "submission/results.tgz").exists()


def test_foreign_label_map_in_the_folder_is_found(root, capsys):
    submit()
    path = root / "submission/results/VOC2012/Segmentation/comp6_val_cls/2009_000000.png"
    Image.fromarray(np.zeros((20, 26), np.uint8)).save(path)

    capsys.readouterr()

    assert submit() == 1

    told = capsys.readouterr()
    assert told.out == (
        "Label maps must be palette PNGs (mode P), got '2009_000000' (mode L). Save indices with "
        "VOC's palette.\n"
    )
    assert told.err.splitlines()[-1] == (
        "error: No archive was written. Run the same command again with `--overwrite`."
    )
    assert not (root / "submission/results.tgz").exists()


def test_check_of_a_faulty_archive_exits_with_1(root, capsys):
    submit()

    assert (
        main(["submit", "--check", "submission/results.tgz", "--root", ".", "--split", "train"])
        == 1
    )

    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split(",")[0] for line in lines] == [
        "Files must be 'results/VOC2012/Segmentation/comp6_train_cls/ID.png'",
        "Every id of the list must be there",
    ]


def test_root_is_needed(capsys):
    assert main(["submit"]) == 2

    assert (
        capsys.readouterr().err == "error: `--root` must name VOC's folder, got nothing. Add it.\n"
    )
