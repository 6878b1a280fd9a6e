import shutil

import numpy as np
import pytest

from parsenet.data.base import check_labels
from parsenet.data.labels import read_index_label
from parsenet.data.pascal_context import SOURCES59, PascalContext
from parsenet.taxonomy.known import NAMES59, NAMES459
from tests.fakes.pascal_context import SPLITS, write_pascal_context, write_pngs


def names_of(dataset, label):
    return [
        None if value == dataset.taxonomy.void else dataset.taxonomy.names[value]
        for value in label.tolist()
    ]


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        (59, ["diningtable", "bedcloth", "clothes", None, None]),
        (60, ["diningtable", "bedcloth", "clothes", "background", "background"]),
        (459, ["table", "bedclothes", "cloth", "accordion", "wool"]),
    ],
)
def test_labels_are_mapped_by_name(tmp_path, protocol, expected):
    write_pascal_context(tmp_path)

    dataset = PascalContext(tmp_path, "val", protocol)

    assert names_of(dataset, dataset.read(0).label[0, :5]) == expected


def test_renamed_classes_are_found_in_the_annotation():
    found = dict(zip(NAMES59, SOURCES59, strict=True))

    # table, bedclothes and cloth in the release's labels.txt.
    assert (found["diningtable"], found["bedcloth"], found["clothes"]) == (397, 19, 80)
    assert (found["aeroplane"], found["wood"]) == (2, 458)
    assert len(set(SOURCES59)) == 59


@pytest.mark.parametrize("protocol", [59, 60])
def test_every_pixel_is_mapped_as_fcn_does(tmp_path, protocol):
    stored = write_pascal_context(tmp_path)

    dataset = PascalContext(tmp_path, "train", protocol)

    assert dataset.ids == list(SPLITS["train"])
    for index, name in enumerate(dataset.ids):
        expected = np.zeros(stored[name].shape, np.uint8)
        for position, value in enumerate(SOURCES59, start=1):
            expected[stored[name] == value] = position
        if protocol == 59:
            expected -= np.uint8(1)  # background becomes 255
        np.testing.assert_array_equal(dataset.read_label(index), expected)


def test_all_labels_are_kept_in_16_bits(tmp_path):
    stored = write_pascal_context(tmp_path)

    dataset = PascalContext(tmp_path, "val", 459)

    label = dataset.read_label(1)
    assert label.dtype == np.uint16
    np.testing.assert_array_equal(label, stored[SPLITS["val"][1]] - 1)


def test_order_of_the_release_s_own_list_is_followed(tmp_path):
    write_pascal_context(tmp_path)
    names = [*NAMES459[1:], NAMES459[0]]
    lines = [f"{number}: {name}\n" for number, name in enumerate(names, start=1)]
    (tmp_path / "labels.txt").write_text("".join(lines))

    dataset = PascalContext(tmp_path, "val", 60)

    # 397 and 19 now are the labels after table and bedclothes.
    assert names_of(dataset, dataset.read_label(0)[0, :2]) == ["background", "background"]


def test_list_of_names_is_not_needed(tmp_path):
    write_pascal_context(tmp_path)
    with_list = PascalContext(tmp_path, "val").read_label(0)
    (tmp_path / "labels.txt").unlink()

    np.testing.assert_array_equal(PascalContext(tmp_path, "val").read_label(0), with_list)


@pytest.mark.parametrize("protocol", [59, 60])
def test_png_labels_are_in_fcn_s_order(tmp_path, protocol):
    stored = write_pngs(tmp_path, "labels59")

    dataset = PascalContext(tmp_path, "val", protocol)

    for index, name in enumerate(dataset.ids):
        expected = stored[name] - np.uint8(1) if protocol == 59 else stored[name]
        np.testing.assert_array_equal(dataset.read_label(index), expected)


def test_png_labels_of_mmsegmentation_are_in_the_annotation_s_order(tmp_path):
    stored = write_pngs(tmp_path, "SegmentationClassContext")

    dataset = PascalContext(tmp_path, "val", 60)

    # aeroplane is 2, bag 9, bed 18, bedclothes 19 and bench 22 of the annotation.
    order = ["background", "aeroplane", "bag", "bed", "bedcloth", "bench"]
    label = dataset.read_label(0)
    for value, name in enumerate(order):
        where = stored[dataset.ids[0]] == value
        assert where.any()
        assert names_of(dataset, np.unique(label[where])) == [name]
    assert set(np.unique(label)) <= {0, *range(1, len(NAMES59) + 1)}


def test_trainval_is_both(tmp_path):
    write_pascal_context(tmp_path)

    assert PascalContext(tmp_path, "trainval").ids == [*SPLITS["train"], *SPLITS["val"]]


@pytest.mark.parametrize("below", ["", "VOC2010", "VOC2012"])
def test_images_may_lie_in_several_places(tmp_path, below):
    write_pascal_context(tmp_path)
    voc = tmp_path / "VOCdevkit" / "VOC2010"
    shutil.copytree(voc / "ImageSets" / "Main", tmp_path, dirs_exist_ok=True)
    (tmp_path / below).mkdir(exist_ok=True)
    shutil.move(voc / "JPEGImages", tmp_path / below / "JPEGImages")

    dataset = PascalContext(tmp_path, "train")

    assert dataset.image_path(0) == tmp_path / below / "JPEGImages" / "2008_000002.jpg"
    assert dataset.read(0).image.shape == (12, 16, 3)


def test_list_in_the_root_is_a_split(tmp_path):
    write_pascal_context(tmp_path)
    (tmp_path / "mine.txt").write_text("2009_000020\n")

    assert PascalContext(tmp_path, "mine").ids == ["2009_000020"]


@pytest.fixture
def real_pairs(real_data, tmp_path):
    """The 94 labels with an image, put together the way a user would."""
    here = real_data / "pascal_context59"
    (tmp_path / "labels59").symlink_to(here / "labels59")
    voc = real_data / "voc2012_subset" / "VOC2012"
    (tmp_path / "JPEGImages").symlink_to(voc / "JPEGImages")
    shutil.copy(here / "ids_with_images.txt", tmp_path / "at_hand.txt")
    return tmp_path


@pytest.mark.realdata
@pytest.mark.parametrize("protocol", [59, 60])
def test_every_real_label_is_right(real_pairs, protocol):
    dataset = PascalContext(real_pairs, "at_hand", protocol)

    present = check_labels(dataset, progress=False)

    assert len(dataset) == 94
    assert present[:, dataset.taxonomy.names.index("grass")].mean() > 0.2
    for index in range(len(dataset)):
        assert dataset[index].label.shape == dataset[index].image.shape[1:]


@pytest.mark.realdata
def test_real_labels_agree_with_those_of_voc(real_data, real_pairs):
    dataset = PascalContext(real_pairs, "at_hand", 60)
    voc = real_data / "voc2012_subset" / "VOC2012" / "SegmentationClassAug"
    right = total = 0
    for index, name in enumerate(dataset.ids):
        if not (voc / f"{name}.png").is_file():
            continue
        objects = read_index_label(voc / f"{name}.png")
        counted = (objects > 0) & (objects < 255)
        right += int((dataset.read_label(index) == objects)[counted].sum())
        total += int(counted.sum())

    # Two groups of people drew the same objects: any other order of classes agrees on nothing.
    assert total > 1_000_000
    assert right / total > 0.85
