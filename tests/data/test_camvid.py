import numpy as np
import pytest

from parsenet.data.base import check_labels
from parsenet.data.camvid import CamVid
from tests.fakes.camvid import write_camvid


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
