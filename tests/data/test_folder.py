import logging
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from parsenet.config import FolderConfig
from parsenet.data.folder import FolderDataset
from parsenet.errors import ConfigError, DataNotFoundError
from tests.fakes.folder import CLASSES, write_folder


def refuses(error, message):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def open_folder(root, split="train", **layout):
    return FolderDataset(root, split, FolderConfig(**layout), CLASSES)


@pytest.mark.parametrize("masks", ["palette", "grey", "rgb"])
def test_labels_are_those_drawn(tmp_path, masks):
    labels = write_folder(tmp_path, masks=masks)

    dataset = open_folder(tmp_path, "val")

    assert dataset.ids == ["val0", "val1", "val2"]
    for index, name in enumerate(dataset.ids):
        np.testing.assert_array_equal(dataset.read(index).label, labels[name])


def test_picture_is_that_of_the_id(tmp_path):
    write_folder(tmp_path)

    sample = open_folder(tmp_path).read(2)

    expected = np.asarray(Image.open(tmp_path / "images" / "train" / f"{sample.id}.png"))
    np.testing.assert_array_equal(sample.image, expected)


def test_templates_follow_other_layouts(tmp_path):
    write_folder(tmp_path / "made")
    shutil.move(tmp_path / "made" / "images" / "train", tmp_path / "train")
    shutil.move(tmp_path / "made" / "labels" / "train", tmp_path / "trainannot")

    dataset = open_folder(tmp_path, images="{split}/*.png", labels="{split}annot/{stem}.png")

    assert dataset.ids == ["train0", "train1", "train2"]


def test_other_files_are_passed_over(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "images" / "train" / "notes.txt").write_text("by hand")
    (tmp_path / "images" / "train" / ".hidden.png").write_text("")

    assert len(open_folder(tmp_path)) == 3


def test_picture_without_mask_is_named(tmp_path):
    write_folder(tmp_path)
    mask = tmp_path / "labels" / "train" / "train1.png"
    mask.unlink()

    with refuses(
        DataNotFoundError,
        "Every picture must have a mask, got 1 of 3 without: 'train1.png'. The mask of the first "
        f"should be '{mask}': add it or change `folder.labels`.",
    ):
        open_folder(tmp_path)


def test_many_pictures_without_mask_are_counted(tmp_path):
    write_folder(tmp_path, num_images=7)
    shutil.rmtree(tmp_path / "labels" / "train")

    with pytest.raises(DataNotFoundError, match=r"7 of 7 without: .*'train4.png' and 2 more\. "):
        open_folder(tmp_path)


def test_mask_without_picture_is_told_but_harmless(tmp_path, caplog):
    write_folder(tmp_path)
    (tmp_path / "images" / "train" / "train1.png").unlink()

    with caplog.at_level(logging.WARNING):
        dataset = open_folder(tmp_path)

    assert dataset.ids == ["train0", "train2"]
    assert caplog.messages == ["1 mask(s) have no picture: 'train1.png'."]


def test_two_pictures_of_one_name_are_refused(tmp_path):
    write_folder(tmp_path)
    folder = tmp_path / "images" / "train"
    shutil.copy(folder / "train0.png", folder / "train0.bmp")

    with refuses(
        ConfigError,
        f"`folder.images` must find one picture per name, got '{folder / 'train0.bmp'}' and "
        f"'{folder / 'train0.png'}'. Narrow the template, for instance to `*.jpg`.",
    ):
        open_folder(tmp_path)


def test_missing_root_is_named(tmp_path):
    with refuses(
        DataNotFoundError, f"The folder '{tmp_path / 'none'}' must exist. Check `data.root`."
    ):
        open_folder(tmp_path / "none")


def test_split_without_pictures_is_refused(tmp_path):
    write_folder(tmp_path)

    with refuses(
        DataNotFoundError,
        f"'{tmp_path / 'images' / 'test' / '*'}' must find at least one picture, got none. Check "
        "`data.root`, the split and `folder.images`.",
    ):
        open_folder(tmp_path, "test")


def test_unknown_placeholder_is_refused(tmp_path):
    write_folder(tmp_path)

    with refuses(
        ConfigError,
        "`folder.labels` must use no placeholder but `{split}` and `{stem}`, got '{name}.png'. "
        "Write '{{' for a brace.",
    ):
        open_folder(tmp_path, labels="{name}.png")


def test_absolute_template_is_refused(tmp_path):
    write_folder(tmp_path)

    with refuses(
        ConfigError,
        "`folder.images` must be relative to `data.root`, got '/images/*'. Set `data.root` to the "
        "folder above.",
    ):
        open_folder(tmp_path, images="/images/*")
