import re
from dataclasses import replace
from pathlib import Path

import pytest

from parsenet.data.build import build_dataset
from parsenet.doctor.guess import Hints, guess_layout
from parsenet.errors import DataNotFoundError
from tests.data.test_contract import FAKES
from tests.fakes.voc import write_voc


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def test_voc_is_known_by_its_folders(tmp_path):
    write_voc(tmp_path)

    guess = guess_layout(tmp_path)

    assert guess.told == (
        f"Taken for PASCAL VOC 2012: '{tmp_path / 'VOC2012'}' has `JPEGImages` and "
        "`ImageSets/Segmentation`."
    )
    assert guess.section == {
        "dataset": "voc2012",
        "root": str(tmp_path / "VOC2012"),
        "train_split": "trainaug",
        "val_split": "val",
    }


@pytest.mark.parametrize("name", ["camvid", "sbd", "siftflow", "pascal_context60", "coco"])
def test_known_data_set_is_guessed_as_its_config_says(tmp_path, name):
    config = FAKES[name](tmp_path)

    section = guess_layout(tmp_path).section

    assert section["dataset"] == name
    for split in (section["train_split"], section["val_split"]):
        guessed = replace(config, root=Path(section["root"]))
        assert build_dataset(guessed, split).ids == build_dataset(config, split).ids


@pytest.mark.parametrize(
    ("files", "images", "labels", "splits"),
    [
        (
            ("images/train/a.jpg", "labels/train/a.png", "images/val/b.jpg", "labels/val/b.png"),
            "images/{split}/*",
            "labels/{split}/{stem}.png",
            ("train", "val"),
        ),
        (
            ("train/images/a.jpg", "train/masks/a.png", "valid/images/b.jpg", "valid/masks/b.png"),
            "{split}/images/*",
            "{split}/masks/{stem}.png",
            ("train", "valid"),
        ),
        (
            ("imgs/a.jpg", "imgs/b.jpg", "masks/a_mask.gif", "masks/b_mask.gif"),
            "imgs/*",
            "masks/{stem}_mask.gif",
            ("all", "all"),
        ),
        (
            ("Image/training/a.jpg", "GT/training/a_gt.png", "Image/test/b.jpg",
             "GT/test/b_gt.png"),
            "Image/{split}/*",
            "GT/{split}/{stem}_gt.png",
            ("training", "test"),
        ),
        (
            ("img_dir/train/a1.jpg", "img_dir/train/a10.jpg", "ann_dir/train/a1.png",
             "ann_dir/train/a10.png"),
            "img_dir/{split}/*",
            "ann_dir/{split}/{stem}.png",
            ("train", "train"),
        ),
    ],
)  # fmt: skip
def test_folder_is_known_by_common_names(tmp_path, files, images, labels, splits):
    touch(tmp_path, *files)

    section = guess_layout(tmp_path).section

    assert section["folder"] == {"images": images, "labels": labels}
    assert (section["train_split"], section["val_split"]) == splits


def test_taxonomy_beside_the_folders_is_used(tmp_path):
    touch(tmp_path, "images/a.jpg", "labels/a.png", "classes.yaml")

    guess = guess_layout(tmp_path)

    assert guess.section["folder"]["taxonomy"] == "classes.yaml"
    assert guess.told == (
        "Taken for a folder of images `images/*` with labels `labels/{stem}.png`, classes from "
        "'classes.yaml'."
    )


def test_hints_are_taken_as_they_are(tmp_path):
    hints = Hints("p/{split}/*.jpg", "q/{split}/{stem}.png", "voc2012", "first", "second")

    assert guess_layout(tmp_path, hints).section == {
        "dataset": "folder",
        "root": str(tmp_path),
        "folder": {
            "images": "p/{split}/*.jpg",
            "labels": "q/{split}/{stem}.png",
            "taxonomy": "voc2012",
        },
        "train_split": "first",
        "val_split": "second",
    }


def test_hidden_files_are_no_images(tmp_path):
    touch(tmp_path, "images/._a.jpg", "labels/a.png", "imgs/b.jpg")

    assert guess_layout(tmp_path).section["folder"]["images"] == "imgs/*"


def test_folder_of_nothing_known_is_refused(tmp_path):
    touch(tmp_path, "holiday/a.jpg")

    with pytest.raises(
        DataNotFoundError,
        match="^"
        + re.escape(
            f"'{tmp_path}' must look like a data set that is known, or have folders such as "
            "`images` and `labels` (or `masks`), got none of them. Give `--images` and `--labels`, "
            "such as `--images 'photos/*.jpg' --labels 'masks/{stem}.png'`."
        )
        + "$",
    ):
        guess_layout(tmp_path)
