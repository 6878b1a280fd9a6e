import re
import shutil

import numpy as np
import pytest
from scipy.io import savemat

from parsenet.data.base import check_labels
from parsenet.data.lists import read_ids
from parsenet.data.voc import SBD, VOC2012
from parsenet.errors import ConfigError, DataNotFoundError, ImageError, LabelError
from tests.fakes.sbd import write_record, write_sbd
from tests.fakes.voc import write_voc


def refuses(error, message):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


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


def test_image_belongs_to_its_label(tmp_path):
    write_voc(tmp_path, size=(40, 48))

    sample = VOC2012(tmp_path, "train").read(1)

    # The fake image is 10 x class; away from edges JPEG keeps it.
    inner = sample.label[20:28, 24:32]
    assert np.abs(sample.image[20:28, 24:32, 0].astype(int) - 10 * inner).max() <= 3


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


def test_missing_data_say_where_to_get_them(tmp_path):
    with refuses(
        DataNotFoundError,
        f"VOC 2012 was not found in '{tmp_path}': 'JPEGImages' is missing. Get the data from "
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/ and set `data.root` to the folder that "
        "holds 'JPEGImages'.",
    ):
        VOC2012(tmp_path, "train")


def test_unknown_split_suggests_the_nearest(tmp_path):
    with refuses(
        ConfigError,
        "`split` of VOC 2012 must be one of train, val, trainval, trainaug, got 'trainagu'. Did "
        "you mean `trainaug`?",
    ):
        VOC2012(tmp_path, "trainagu")


def test_missing_list_is_named(tmp_path):
    write_voc(tmp_path)
    path = tmp_path / "VOC2012" / "ImageSets" / "Segmentation" / "trainaug.txt"
    path.unlink()

    with refuses(
        DataNotFoundError,
        f"VOC 2012 is not complete: '{path}' is missing. Put SBD's list of 10,582 names there.",
    ):
        VOC2012(tmp_path, "trainaug")


def test_empty_list_is_refused(tmp_path):
    write_voc(tmp_path)
    path = tmp_path / "VOC2012" / "ImageSets" / "Segmentation" / "val.txt"
    path.write_text("\n")

    with refuses(
        DataNotFoundError,
        f"'{path}' must name at least one image, got none. Write one name per line.",
    ):
        VOC2012(tmp_path, "val")


def test_missing_sbd_labels_are_named(tmp_path):
    write_voc(tmp_path)
    folder = tmp_path / "VOC2012" / "SegmentationClassAug"
    shutil.rmtree(folder)

    with refuses(
        DataNotFoundError,
        f"VOC 2012 is not complete: the folder '{folder}' is missing. Put the labels of SBD, "
        "converted to PNG, there.",
    ):
        VOC2012(tmp_path, "trainaug")


def test_missing_image_is_named(tmp_path):
    write_voc(tmp_path)
    folder = tmp_path / "VOC2012" / "JPEGImages"
    (folder / "2009_000001.jpg").unlink()

    with refuses(
        DataNotFoundError,
        f"VOC 2012 is not complete: 1 of 3 files are missing in '{folder}', the first is "
        "'2009_000001.jpg'. Copy them there or shorten the split's list.",
    ):
        VOC2012(tmp_path, "val")


@pytest.mark.parametrize("split", ["train", "trainaug"])
def test_training_on_a_val_image_is_refused(tmp_path, split):
    write_voc(tmp_path)
    path = tmp_path / "VOC2012" / "ImageSets" / "Segmentation" / f"{split}.txt"
    path.write_text(path.read_text() + "2009_000001\n2009_000002\n")

    with refuses(
        ConfigError,
        f"The split `{split}` must hold no image of `val`, got 2, the first is '2009_000001'. "
        f"Delete them from '{path}': a network is not scored on what it learnt.",
    ):
        VOC2012(tmp_path, split)


def test_training_needs_no_val_list(tmp_path):
    write_voc(tmp_path)
    (tmp_path / "VOC2012" / "ImageSets" / "Segmentation" / "val.txt").unlink()

    assert len(VOC2012(tmp_path, "trainaug")) == 6


def test_name_that_comes_twice_is_refused(tmp_path):
    write_voc(tmp_path)
    path = tmp_path / "VOC2012" / "ImageSets" / "Segmentation" / "val.txt"
    path.write_text("2009_000001\n2009_000002\n2009_000001\n")

    with refuses(
        ConfigError, f"'{path}' must name an image once, got '2009_000001' twice. Delete one."
    ):
        VOC2012(tmp_path, "val")


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


def test_sbd_list_without_voc_val_is_read_where_it_was_added(tmp_path):
    write_sbd(tmp_path)
    path = tmp_path / "benchmark_RELEASE" / "dataset" / "train_noval.txt"

    with refuses(
        DataNotFoundError,
        f"SBD is not complete: '{path}' is missing. Extract `benchmark.tgz` of SBD there.",
    ):
        SBD(tmp_path, "train_noval")

    path.write_text("2010_000001\n")
    assert SBD(tmp_path, "train_noval").ids == ["2010_000001"]


def test_sbd_missing_data_say_where_to_get_them(tmp_path):
    with refuses(
        DataNotFoundError,
        f"SBD was not found in '{tmp_path}': 'cls' is missing. Extract `benchmark.tgz` of SBD there"
        " and set `data.root` to the folder that holds 'cls'.",
    ):
        SBD(tmp_path, "train")


def test_sbd_unknown_split_suggests_the_nearest(tmp_path):
    with refuses(
        ConfigError,
        "`split` of SBD must be one of train, val, trainval, train_noval, got 'trainaval'. Did you "
        "mean `trainval`?",
    ):
        SBD(tmp_path, "trainaval")


def test_sbd_file_of_the_boundaries_is_refused(tmp_path):
    write_sbd(tmp_path)
    path = tmp_path / "benchmark_RELEASE" / "dataset" / "cls" / "2008_000000.mat"
    savemat(path, {"GTcls": {"Boundaries": np.zeros((2, 2))}})

    with refuses(
        ImageError,
        f"'{path}' must hold `GTcls.Segmentation`, got a record without. Is it a file of the folder"
        " `cls`?",
    ):
        SBD(tmp_path, "train").read_label(0)


def test_sbd_value_beyond_the_classes_is_refused(tmp_path):
    write_sbd(tmp_path)
    path = tmp_path / "benchmark_RELEASE" / "dataset" / "cls" / "2008_000000.mat"
    write_record(path, np.array([[0, 1], [21, 0]], np.uint8))

    with refuses(
        LabelError,
        f"The label '{path}' must hold values that 'voc2012' knows, got 21 at row 1, column 0. "
        "Correct the file.",
    ):
        SBD(tmp_path, "train").read_label(0)


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
