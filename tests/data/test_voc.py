import shutil

import numpy as np
import pytest

from parsenet.data.base import check_labels
from parsenet.data.lists import read_ids
from parsenet.data.voc import SBD, VOC2012
from tests.fakes.sbd import write_sbd
from tests.fakes.voc import write_voc


@pytest.mark.parametrize(
    ("split", "years"),
    [
        ("train", {"2007"}),
        ("val", {"2009"}),
        ("trainval", {"2007", "2009"}),
        ("trainaug", {"2007", "2011"}),
    ],
)
def test_labels_are_those_drawn(tmp_path, split, years):
    labels = write_voc(tmp_path)

    dataset = VOC2012(tmp_path, split)

    assert {name[:4] for name in dataset.ids} == years
    for index, name in enumerate(dataset.ids):
        np.testing.assert_array_equal(dataset.read(index).label, labels[name])


@pytest.mark.parametrize("below", ["", "VOC2012", "VOCdevkit/VOC2012"])
def test_root_may_be_above_the_data(tmp_path, below):
    write_voc(tmp_path / "made")
    target = tmp_path / "root" / below
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(tmp_path / "made" / "VOC2012", target)

    assert len(VOC2012(tmp_path / "root", "val")) == 3


def test_lists_with_paths_are_understood(tmp_path):
    write_voc(tmp_path)
    listed = tmp_path / "VOC2012" / "ImageSets" / "Segmentation" / "val.txt"
    listed.write_text("/JPEGImages/2009_000001.jpg /SegmentationClass/2009_000001.png\n\n")

    assert VOC2012(tmp_path, "val").ids == ["2009_000001"]


def test_training_needs_no_val_list(tmp_path):
    write_voc(tmp_path)
    (tmp_path / "VOC2012" / "ImageSets" / "Segmentation" / "val.txt").unlink()

    assert len(VOC2012(tmp_path, "trainaug")) == 6


def test_list_saved_by_windows_notepad_is_understood(tmp_path):
    write_voc(tmp_path)
    path = tmp_path / "VOC2012" / "ImageSets" / "Segmentation" / "val.txt"
    path.write_bytes(b"\xef\xbb\xbf2009_000001\r\n2009_000002\r\n")

    assert VOC2012(tmp_path, "val").ids == ["2009_000001", "2009_000002"]


@pytest.mark.parametrize(
    ("split", "years"), [("train", {"2008"}), ("val", {"2010"}), ("trainval", {"2008", "2010"})]
)
def test_sbd_labels_are_those_drawn(tmp_path, split, years):
    labels = write_sbd(tmp_path)

    dataset = SBD(tmp_path, split)

    assert {name[:4] for name in dataset.ids} == years
    for index, name in enumerate(dataset.ids):
        np.testing.assert_array_equal(dataset.read(index).label, labels[name])


@pytest.mark.parametrize("below", ["", "benchmark_RELEASE", "benchmark_RELEASE/dataset"])
def test_sbd_root_may_be_above_the_data(tmp_path, below):
    write_sbd(tmp_path)

    assert len(SBD(tmp_path / below, "val")) == 3


@pytest.mark.realdata
@pytest.mark.parametrize(("split", "count"), [("train", 441), ("val", 238), ("trainaug", 3135)])
def test_every_real_label_is_right(real_data, split, count):
    dataset = VOC2012(real_data / "voc2012_subset", split)

    present = check_labels(dataset, progress=False)

    assert len(dataset) == count
    # The subset was chosen for these.
    animals = [dataset.taxonomy.names.index(name) for name in ("cat", "cow", "dog", "sheep")]
    assert present[:, animals].any(axis=0).all()
    for index in range(0, count, 25):
        image = dataset.read(index).image
        assert image.shape[:2] == dataset.read_label(index).shape
        assert max(image.shape) <= 500


@pytest.mark.realdata
def test_published_lists_have_the_published_counts(real_data):
    def read(name):
        return read_ids(real_data / "lists" / name, "")

    train, val = read("voc12_train.txt"), read("voc12_val.txt")
    augmented = read("voc12_train_aug.txt")

    assert (len(train), len(val), len(augmented)) == (1464, 1449, 10582)
    assert len(read("voc12_trainval.txt")) == 2913
    assert set(train) < set(augmented)
    assert not set(val) & set(augmented)
