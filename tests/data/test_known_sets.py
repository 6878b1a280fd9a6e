"""The data sets of others in their own layout: what labels become, and where files may lie."""

import shutil

import numpy as np
import pytest

from parsenet.data.base import check_labels
from parsenet.data.camvid import CamVid
from parsenet.data.labels import read_stored_label
from parsenet.data.lists import read_ids
from parsenet.data.pascal_context import RENAMED, PascalContext
from parsenet.data.siftflow import UNANNOTATED, SiftFlow
from parsenet.data.voc import SBD, VOC2012
from parsenet.taxonomy import SIFTFLOW
from parsenet.taxonomy.known import NAMES59, NAMES459
from tests.fakes.camvid import write_camvid
from tests.fakes.pascal_context import SPLITS, write_pascal_context, write_pngs
from tests.fakes.sbd import write_sbd
from tests.fakes.siftflow import FOLDER, TEST, TRAIN, savemat, write_siftflow
from tests.fakes.voc import write_voc

VOC_LISTS = "VOC2012/ImageSets/Segmentation"
SOURCES59 = [NAMES459.index(RENAMED.get(name, name)) + 1 for name in NAMES59]


def same(dataset, expected):
    """Compare every label with what is expected for its id."""
    for index, name in enumerate(dataset.ids):
        np.testing.assert_array_equal(dataset.read(index).label, expected(name))
    return len(dataset)


@pytest.mark.parametrize(
    ("write", "kind", "split", "years"),
    [
        (write_voc, VOC2012, "train", {"2007"}),
        (write_voc, VOC2012, "val", {"2009"}),
        (write_voc, VOC2012, "trainval", {"2007", "2009"}),
        (write_voc, VOC2012, "trainaug", {"2007", "2011"}),
        (write_sbd, SBD, "train", {"2008"}),
        (write_sbd, SBD, "val", {"2010"}),
        (write_sbd, SBD, "trainval", {"2008", "2010"}),
    ],
)
def test_labels_of_voc_and_sbd_are_those_drawn(tmp_path, write, kind, split, years):
    labels = write(tmp_path)

    dataset = kind(tmp_path, split)

    assert {name[:4] for name in dataset.ids} == years
    assert same(dataset, labels.get) >= 3


@pytest.mark.parametrize(
    ("split", "count"), [("train", 3), ("val", 3), ("test", 3), ("trainval", 6)]
)
def test_labels_of_camvid_are_those_drawn_with_the_twelfth_class_as_void(tmp_path, split, count):
    stored = write_camvid(tmp_path)

    dataset = CamVid(tmp_path, split)

    assert same(dataset, lambda name: np.where(stored[name] == 11, 255, stored[name])) == count


@pytest.mark.parametrize(("split", "names"), [("train", TRAIN), ("test", TEST)])
def test_classes_of_siftflow_count_from_zero(tmp_path, split, names):
    stored = write_siftflow(tmp_path)

    semantic, geometric = (SiftFlow(tmp_path, split, is_geometric=kind) for kind in (False, True))

    assert semantic.ids == geometric.ids == list(names)
    # 0 becomes 255 and 1..33 become 0..32: what minus one does to 8 bits.
    same(semantic, lambda name: stored[name][0] - np.uint8(1))
    same(geometric, lambda name: np.where(stored[name][1] == -1, 255, stored[name][1] - 1))


def test_numbers_stored_by_siftflow_have_their_names(tmp_path):
    write_siftflow(tmp_path)
    path = tmp_path / "SemanticLabels" / FOLDER / f"{TEST[0]}.mat"
    savemat(path, {"S": np.array([[1, 9, 11, 16, 28, 33]], np.uint8)})

    label = SiftFlow(tmp_path, "test").read_label(0)

    names = [SIFTFLOW.names[value] for value in label[0].tolist()]
    assert names == ["awning", "cow", "desert", "moon", "sky", "window"]


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
def test_labels_of_context_are_mapped_by_name(tmp_path, protocol, expected):
    write_pascal_context(tmp_path)
    dataset = PascalContext(tmp_path, "val", protocol)
    assert names_of(dataset, dataset.read(0).label[0, :5]) == expected

    (tmp_path / "labels.txt").unlink()  # the names are known without
    dataset = PascalContext(tmp_path, "val", protocol)
    assert names_of(dataset, dataset.read(0).label[0, :5]) == expected


def test_order_of_the_list_of_names_is_followed(tmp_path):
    write_pascal_context(tmp_path)
    names = [*NAMES459[1:], NAMES459[0]]
    lines = [f"{number}: {name}\n" for number, name in enumerate(names, start=1)]
    (tmp_path / "labels.txt").write_text("".join(lines))

    dataset = PascalContext(tmp_path, "val", 60)

    # 397 and 19 now are the labels after table and bedclothes.
    assert names_of(dataset, dataset.read_label(0)[0, :2]) == ["background", "background"]


@pytest.mark.parametrize("protocol", [59, 60])
def test_every_pixel_of_context_is_mapped_as_fcn_does(tmp_path, protocol):
    stored = write_pascal_context(tmp_path)

    def expected(name):
        label = np.zeros(stored[name].shape, np.uint8)
        for position, value in enumerate(SOURCES59, start=1):
            label[stored[name] == value] = position
        return label - np.uint8(protocol == 59)  # background becomes 255

    dataset = PascalContext(tmp_path, "trainval", protocol)

    assert dataset.ids == [*SPLITS["train"], *SPLITS["val"]]
    same(dataset, expected)
    # table, bedclothes, cloth, aeroplane and wood in the release's labels.txt.
    assert {397, 19, 80, 2, 458} < set(SOURCES59)


def test_all_labels_of_context_are_kept_in_16_bits(tmp_path):
    stored = write_pascal_context(tmp_path)

    label = PascalContext(tmp_path, "val", 459).read_label(1)

    assert label.dtype == np.uint16
    np.testing.assert_array_equal(label, stored[SPLITS["val"][1]] - 1)


@pytest.mark.parametrize("protocol", [59, 60])
def test_png_labels_of_context_are_in_fcn_s_order(tmp_path, protocol):
    stored = write_pngs(tmp_path, "labels59")

    same(PascalContext(tmp_path, "val", protocol), lambda x: stored[x] - np.uint8(protocol == 59))


def test_png_labels_of_mmsegmentation_are_in_the_annotation_s_order(tmp_path):
    stored = write_pngs(tmp_path, "SegmentationClassContext")

    dataset = PascalContext(tmp_path, "val", 60)

    # aeroplane is 2, bag 9, bed 18, bedclothes 19 and bench 22 of the annotation.
    label = dataset.read_label(0)
    for value, name in enumerate(["background", "aeroplane", "bag", "bed", "bedcloth", "bench"]):
        where = stored[dataset.ids[0]] == value
        assert names_of(dataset, np.unique(label[where])) == [name]
    assert set(np.unique(label)) <= set(range(60))


# Where files may lie, and what lists may say.


@pytest.mark.parametrize(
    ("write", "made", "target", "build"),
    [
        *(
            (write_voc, "VOC2012", below, lambda root: VOC2012(root, "val"))
            for below in ("", "VOC2012", "VOCdevkit/VOC2012")
        ),
        *(
            (write_sbd, "benchmark_RELEASE/dataset", below, lambda root: SBD(root, "val"))
            for below in ("", "dataset", "benchmark_RELEASE/dataset")
        ),
        (write_siftflow, "", "SiftFlowDataset", lambda root: SiftFlow(root, "test")),
        (write_camvid, "", "CamVid", lambda root: CamVid(root, "val")),
    ],
)
def test_root_may_be_above_the_data(tmp_path, write, made, target, build):
    write(tmp_path / "made")
    (tmp_path / "root" / target).parent.mkdir(parents=True, exist_ok=True)
    shutil.move(tmp_path / "made" / made, tmp_path / "root" / target)

    assert len(build(tmp_path / "root")) >= 2


@pytest.mark.parametrize("below", ["", "VOC2010", "VOC2012"])
def test_images_of_context_may_lie_in_several_places(tmp_path, below):
    write_pascal_context(tmp_path)
    voc = tmp_path / "VOCdevkit" / "VOC2010"
    shutil.copytree(voc / "ImageSets" / "Main", tmp_path, dirs_exist_ok=True)
    (tmp_path / below).mkdir(exist_ok=True)
    shutil.move(voc / "JPEGImages", tmp_path / below / "JPEGImages")

    dataset = PascalContext(tmp_path, "train")

    assert dataset.image_path(0) == tmp_path / below / "JPEGImages" / "2008_000002.jpg"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPG", ".bmp"])
def test_images_of_camvid_may_have_any_ending_and_no_list(tmp_path, suffix):
    write_camvid(tmp_path, suffix=suffix, lists=False)

    dataset = CamVid(tmp_path, "val")

    assert dataset.ids == [f"0001TP_val00{number}" for number in range(3)]
    assert dataset.image_path(0).suffix == suffix


@pytest.mark.parametrize(
    ("write", "name", "content", "build", "expected"),
    [
        (write_camvid, "train.txt", b"0001TP_train002\n0001TP_train000\n",
         lambda root: CamVid(root, "train"), ["0001TP_train002", "0001TP_train000"]),
        (write_voc, f"{VOC_LISTS}/val.txt",
         b"/JPEGImages/2009_000001.jpg /SegmentationClass/2009_000001.png\n\n",
         lambda root: VOC2012(root, "val"), ["2009_000001"]),
        # As saved by Windows' Notepad.
        (write_voc, f"{VOC_LISTS}/val.txt", b"\xef\xbb\xbf2009_000001\r\n2009_000002\r\n",
         lambda root: VOC2012(root, "val"), ["2009_000001", "2009_000002"]),
        (write_pascal_context, "mine.txt", b"2009_000020\n",
         lambda root: PascalContext(root, "mine"), ["2009_000020"]),
    ],
)  # fmt: skip
def test_list_says_which_images_count(tmp_path, write, name, content, build, expected):
    write(tmp_path)
    (tmp_path / name).write_bytes(content)

    assert build(tmp_path).ids == expected


def test_lists_that_are_not_needed_may_be_missing(tmp_path):
    write_voc(tmp_path / "voc")
    (tmp_path / "voc" / VOC_LISTS / "val.txt").unlink()
    assert len(VOC2012(tmp_path / "voc", "trainaug")) == 6

    write_siftflow(tmp_path)
    (tmp_path / "TestSet1.txt").rename(tmp_path / "test.txt")  # as FCN calls it
    assert SiftFlow(tmp_path, "test").ids == list(TEST)


def test_unannotated_image_of_siftflow_without_label_file_is_left_out(tmp_path, caplog):
    write_siftflow(tmp_path)
    (tmp_path / "SemanticLabels" / FOLDER / "highway_bost181.mat").unlink()

    with caplog.at_level("INFO"):
        dataset = SiftFlow(tmp_path, "train")

    assert "highway_bost181" not in dataset.ids
    assert caplog.messages == ["Left out, for want of an annotation: highway_bost181."]


# The real ones.


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("kind", "root", "split", "count"),
    [
        (VOC2012, "voc2012_subset", "train", 441),
        (VOC2012, "voc2012_subset", "val", 238),
        (CamVid, "camvid", "train", 367),
        (CamVid, "camvid", "val", 101),
    ],
)
def test_every_real_label_is_right_and_as_large_as_its_image(real_data, kind, root, split, count):
    dataset = kind(real_data / root, split)

    present = check_labels(dataset, progress=False)

    assert len(dataset) == count
    assert present.any(axis=0).all() or kind is VOC2012  # whose subset is of animals
    for index in range(0, count, 25):
        assert dataset.read(index).image.shape[:2] == dataset.read_label(index).shape


@pytest.mark.realdata
def test_real_labels_of_context_agree_with_those_of_voc(real_data, tmp_path):
    here, voc = real_data / "pascal_context59", real_data / "voc2012_subset" / "VOC2012"
    (tmp_path / "labels59").symlink_to(here / "labels59")
    (tmp_path / "JPEGImages").symlink_to(voc / "JPEGImages")
    shutil.copy(here / "ids_with_images.txt", tmp_path / "at_hand.txt")
    dataset = PascalContext(tmp_path, "at_hand", 60)
    check_labels(dataset, progress=False)
    right = total = 0
    for index, name in enumerate(dataset.ids):
        path = voc / "SegmentationClassAug" / f"{name}.png"
        if path.is_file():
            objects = read_stored_label(path)
            counted = (objects > 0) & (objects < 255)
            right += int((dataset.read_label(index) == objects)[counted].sum())
            total += int(counted.sum())

    # Two groups of people drew the same objects: any other order of classes agrees on nothing.
    assert total > 1_000_000
    assert right / total > 0.85


@pytest.mark.realdata
def test_published_lists_have_the_published_counts(real_data):
    def read(name):
        return set(read_ids(real_data / "lists" / f"{name}.txt", ""))

    train, val, augmented = read("voc12_train"), read("voc12_val"), read("voc12_train_aug")
    assert (len(train), len(val), len(augmented)) == (1464, 1449, 10582)
    assert len(read("voc12_trainval")) == 2913
    assert train < augmented
    assert not train & val
    test = read("data_sift-flow_test")
    rest = read("data_sift-flow_trainval") | UNANNOTATED
    assert (len(test), len(rest)) == (200, 2488)
    assert not test & rest
