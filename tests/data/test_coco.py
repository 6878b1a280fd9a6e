import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools import mask

from parsenet.config import CocoConfig
from parsenet.data.coco import CocoDataset, coco_taxonomy
from parsenet.data.coco_masks import Palette, draw_outlines
from parsenet.errors import ConfigError, DataNotFoundError, LabelError
from parsenet.taxonomy import SHAPES
from tests.fakes.coco import (
    SIZE,
    add,
    add_image,
    compressed,
    rectangle,
    start_record,
    write_coco,
    write_image,
    write_panoptic,
    write_record,
)

JSON = "annotations/instances_train.json"


def refuses(error, message):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def open_coco(root, split="train", text=None, **fields):
    """Open a split, with a file of classes where one is given."""
    if text is not None:
        (root / "classes.yaml").write_text(text)
        fields["categories"] = "classes.yaml"
    layout = CocoConfig(**fields)
    return CocoDataset(root, split, layout, coco_taxonomy(root, "train", layout))


def write_one(root, *annotations, file_name="a.jpg", **more):
    """Write a file of one image, `train/a.jpg`, and its (category, outline, further fields)."""
    record = start_record()
    write_image(root / "train" / "a.jpg")
    number = add_image(record, file_name)
    record["images"][0].update(more)
    for category, outline, fields in annotations:
        add(record, number, category, outline, **fields)
    write_record(root / JSON, record)
    return record


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("is_panoptic", [True, False])
def test_labels_are_those_drawn(tmp_path, split, is_panoptic):
    options = {}
    if is_panoptic:
        labels = write_panoptic(tmp_path)
        options = {
            "annotations": "annotations/panoptic_{split}.json",
            "unmapped": "void",
            "text": "names: [person, car, toothbrush]\n",
        }
    else:
        labels = write_coco(tmp_path)

    dataset = open_coco(tmp_path, split, **options)

    assert dataset.taxonomy.names[-3:] == ("person", "car", "toothbrush")
    assert sorted(dataset.ids) == sorted(name for name in labels if name.startswith(split))
    for index, name in enumerate(dataset.ids):
        np.testing.assert_array_equal(dataset.read(index).label, labels[name])


@pytest.mark.parametrize(
    ("text", "unmapped", "expected"),
    [
        # person is taken by its own name.
        ("names: [background, a, person]\nmap: {a: [car, 90]}\n", "background", [0, 2, 1, 1]),
        ("names: [background, person]\n", "background", [0, 1, 0, 0]),
        ("names: [background, person]\n", "void", [0, 1, 255, 255]),
        ("names: [person, car, toothbrush]\n", "void", [255, 0, 1, 2]),
    ],
)  # fmt: skip
def test_categories_are_mapped(tmp_path, text, unmapped, expected):
    labels = write_coco(tmp_path)

    dataset = open_coco(tmp_path, text=text, unmapped=unmapped)

    np.testing.assert_array_equal(
        dataset.read_label(0), np.array(expected, np.uint8)[labels[dataset.ids[0]]]
    )


SQUARE = rectangle(2, 3, 6, 8)
CAR = (2, np.s_[2:6, 3:8])
BOX = {"bbox": [3, 2, 5, 4]}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        # As tools write polygons.
        ([(3, [SQUARE], {})], [CAR]),
        ([(3, SQUARE, {})], [CAR]),
        ([(3, [[3, 2], [8, 2], [8, 6], [3, 6]], {})], [CAR]),
        ([(3, [[[3, 2], [8, 2], [8, 6], [3, 6]]], {})], [CAR]),
        ([(3, [rectangle(2, 3, 6, 5), rectangle(2, 5, 6, 8)], {})], [CAR]),
        ([(3, [[float(x) for x in SQUARE], [4, 4, 5, 5]], {})], [CAR]),
        ([(3, [rectangle(-5.5, -3, 40, 60.25)], {})], [(2, np.s_[:])]),
        # A box without an outline is void, and nothing at all is passed over.
        *(([(1, outline, BOX)], [(255, CAR[1])]) for outline in ([], None, [[1, 2, 3, 4]], [[]])),
        ([(1, [], {})], []),
        # A crowd is void beneath everything else.
        (
            [(1, [rectangle(2, 2, 6, 6)], {}), (1, [rectangle(0, 0, 4, 16)], {"iscrowd": 1})],
            [(255, np.s_[:4]), (1, np.s_[2:6, 2:6])],
        ),
    ],
)
def test_annotation_is_drawn(tmp_path, annotations, expected):
    write_one(tmp_path, *annotations)

    drawn = np.zeros(SIZE, np.uint8)
    for value, where in expected:
        drawn[where] = value
    np.testing.assert_array_equal(open_coco(tmp_path).read_label(0), drawn)


def test_301_classes_are_drawn_in_16_bits(tmp_path):
    line = np.eye(*SIZE, dtype=np.uint8)
    record = write_one(
        tmp_path,
        (299, [SQUARE], {}),
        (300, {"size": list(SIZE), "counts": compressed(line)}, {}),
        (1, [], {"bbox": [0, 10, 4, 2]}),
    )
    record["categories"] = [{"id": n, "name": f"class {n}"} for n in range(1, 301)]
    write_record(tmp_path / JSON, record)

    dataset = open_coco(tmp_path)
    label = dataset.read_label(0)

    expected = np.zeros(SIZE, np.uint16)
    expected[10:12, :4] = 511
    expected[CAR[1]] = 299
    expected[line > 0] = 300
    assert (dataset.taxonomy.num_classes, dataset.taxonomy.void) == (301, 511)
    assert label.dtype == np.uint16
    np.testing.assert_array_equal(label, expected)
    assert dataset[0].label.max() == 511


DAMAGED = (
    "Annotation 1 of 'instances_train.json: a' must be polygons [x, y, ...], run lengths or a box, "
    "got '{}'. Correct it or export the file again."
)


@pytest.mark.parametrize(
    ("category", "outline", "message"),
    [
        (1, [[1, 1, 5, 1, 5, 5, 2]], DAMAGED.format("coordinates that are not pairs of numbers")),
        (1, [[1, 1, 5, 1, 5, float("nan")]],
         DAMAGED.format("coordinates that are not pairs of numbers")),
        (1, [[1, 1, 5, 1, 5, 1e9]], DAMAGED.format("the coordinate 1e+09")),
        (1, {"size": [12, 16], "counts": [5, 5]}, DAMAGED.format("run lengths of 10 pixels")),
        (1, {"size": [12, 16], "counts": [200, -8]}, DAMAGED.format("run lengths of 192 pixels")),
        (1, {"size": [12, 16], "counts": "04"}, DAMAGED.format("run lengths of 4 pixels")),
        (1, {"size": [12, 16], "counts": "zzzz"}, DAMAGED.format("damaged run lengths")),
        (1, {"size": [12, 16], "counts": ""}, DAMAGED.format("damaged run lengths")),
        (1, {"size": [16, 12], "counts": [192]},
         DAMAGED.format("run lengths of size [16, 12] for [12, 16]")),
        (1, {"size": [12, 16]}, DAMAGED.format("'counts'")),
        (2, [SQUARE],
         "Annotation 1 of 'instances_train.json: a' must be of a category in the file's list, got "
         "'category_id' 2. Export the file again."),
    ],
)  # fmt: skip
def test_damaged_annotation_is_named(tmp_path, category, outline, message):
    write_one(tmp_path, (category, outline, {}))

    with refuses(LabelError, message):
        open_coco(tmp_path).read_label(0)


@pytest.mark.parametrize(
    "file_name",
    ["a.jpg", "train/a.jpg", "./a.jpg", "..\\..\\images\\a.jpg", "/data/of/others/a.jpg",
     "C:\\Users\\me\\a.jpg"],
)  # fmt: skip
def test_image_is_found_by_whatever_path_the_export_has(tmp_path, file_name):
    write_one(tmp_path, file_name=file_name)

    dataset = open_coco(tmp_path)

    assert dataset.image_path(0).resolve() == (tmp_path / "train" / "a.jpg").resolve()
    assert dataset.ids == ["a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: [background, person]\nmap: {persn: [person]}\n",
         "`map` must list classes of `names`, got 'persn'. Did you mean `person`?"),
        ("names: [background, thing]\nmap: {thing: [care]}\n",
         "`map` must name categories of 'FILE', got 'care'. Did you mean `car`?"),
        ("names: [background, thing]\nmap: {thing: [2]}\n",
         "`map` must name categories of 'FILE', got '2'. Known: `person`, `car`, `toothbrush`."),
        ("names: [background, one, two]\nmap: {one: [car], two: [3]}\n",
         "`map` must give a category to one class, got 'car' for both 'one' and 'two'. Take it from"
         " one of them."),
        ("names: [person, car]\n",
         "`data.coco.unmapped` must be `void` without a class called 'background', got "
         "`background`. Set it, or add 'background' to the `names` of 'classes'."),
    ],
)  # fmt: skip
def test_wrong_map_is_refused(tmp_path, text, message):
    write_coco(tmp_path)

    with refuses(ConfigError, message.replace("FILE", str(tmp_path / JSON))):
        open_coco(tmp_path, text=text)


def odd_number():
    numbers = np.zeros((*SIZE, 3), np.uint8)
    numbers[2, 3] = (1, 1, 0)
    return Image.fromarray(numbers)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (odd_number(),
         "The label 'FILE' must show segments that are in the JSON file, got colour (1, 1, 0) at "
         "row 2, column 3. Use the PNG and JSON files of one release."),
        (Image.new("RGB", (3, 4)),
         "The label 'FILE' must be as large as its image (12, 16), got (4, 3). Sizes are (height, "
         "width)."),
    ],
)  # fmt: skip
def test_wrong_panoptic_png_is_refused(tmp_path, image, message):
    write_panoptic(tmp_path)
    path = tmp_path / "annotations" / "panoptic_train" / "train_000000000000.png"
    image.save(path)

    with refuses(LabelError, message.replace("FILE", str(path))):
        open_coco(tmp_path, annotations="annotations/panoptic_{split}.json").read_label(0)


# The annotation file.


def test_images_of_one_name_are_told_apart_by_their_folders(tmp_path):
    record = start_record()
    for folder in ("one", "two"):
        write_image(tmp_path / "train" / folder / "a.jpg")
        add_image(record, f"{folder}/a.jpg")
    write_record(tmp_path / JSON, record)
    assert open_coco(tmp_path).ids == ["one/a", "two/a"]

    record["images"][1]["file_name"] = "one/a.jpg"
    write_record(tmp_path / JSON, record)
    with refuses(
        ConfigError, "Images must have names of their own, got 'one/a' twice. Rename one."
    ):
        open_coco(tmp_path)


@pytest.mark.parametrize("size", [None, 0])
def test_size_that_the_file_does_not_tell_is_the_image_s(tmp_path, size):
    write_one(tmp_path, (1, [rectangle(0, 0, 12, 16)], {}), height=size, width=size)

    assert open_coco(tmp_path).read_label(0).shape == SIZE


def test_names_of_a_file_that_changed_are_read_again(tmp_path):
    record = write_one(tmp_path, (3, [rectangle(0, 0, 6, 16)], {}))
    assert open_coco(tmp_path).taxonomy.names == ("background", "person", "car", "toothbrush")
    record["categories"][0]["name"] = "background"
    write_record(tmp_path / JSON, record)

    dataset = open_coco(tmp_path)

    assert dataset.taxonomy.names == ("background", "car", "toothbrush")
    assert np.unique(dataset.read_label(0)).tolist() == [0, 1]


def test_missing_pycocotools_is_told_with_the_command(tmp_path, monkeypatch):
    write_coco(tmp_path)
    monkeypatch.setattr("parsenet.data.coco.find_spec", lambda name: None)

    with refuses(
        ConfigError,
        "`pycocotools` must be installed for `dataset: coco`, got no such package. Run "
        "`pip install 'parsenet[coco]'`.",
    ):
        open_coco(tmp_path)


def with_annotation(text):
    images = '"images": [{"id": 1, "file_name": "a.jpg"}]'
    return f'{{{images}, "categories": [], "annotations": [{text}]}}'


FORM = (
    "'FILE' must hold lists `images`, `annotations` and `categories`, as COCO's files do, got {} in"
    " it. Export it as 'COCO'."
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "'FILE' must be a JSON file, got 'Expecting property name enclosed in double quotes: "
              "line 1 column 2 (char 1)'. Export or copy it again."),
        ("7", FORM.format("TypeError ''int' object is not subscriptable'")),
        ('{"shapes": []}', FORM.format("KeyError ''categories''")),
        ('{"images": [{}], "categories": []}', FORM.format("KeyError ''id''")),
        ('{"images": [], "categories": [{}]}', FORM.format("KeyError ''id''")),
        (with_annotation("7"), FORM.format("AttributeError ''int' object has no attribute 'get''")),
        (with_annotation('{"id": 7, "image_id": 2}'),
         "'FILE' must have an image for every annotation, got none for 'image_id' 2 of annotation "
         "7. Export the file again."),
        ('{"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}],'
         ' "categories": []}', "Every image in 'FILE' must have an id of its own, got one twice."),
        ('{"images": [], "categories": []}', "'FILE' must name at least one image, got none."),
        ('{"images": [], "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}',
         "The categories in 'FILE' must have names and ids of their own, got 'a' twice. Rename one "
         "in the annotation tool and export again."),
    ],
)  # fmt: skip
def test_file_of_another_form_is_refused(tmp_path, text, message):
    path = tmp_path / JSON
    path.parent.mkdir()
    path.write_text(text)

    with refuses((LabelError, ConfigError, DataNotFoundError), message.replace("FILE", str(path))):
        open_coco(tmp_path)


def test_panoptic_annotation_of_another_form_is_refused(tmp_path):
    write_image(tmp_path / "train" / "a.jpg")
    (tmp_path / JSON).parent.mkdir()
    (tmp_path / JSON).write_text(with_annotation('{"image_id": 1, "segments_info": [{}]}'))

    with refuses(
        LabelError, FORM.format("KeyError ''file_name''").replace("FILE", str(tmp_path / JSON))
    ):
        open_coco(tmp_path).read_label(0)


# The outlines, against pycocotools.

WIDE = (9, 70)


def draw(annotations, size=WIDE):
    return draw_outlines(annotations, size, Palette(SHAPES, {1: 1, 2: 2}, 0), "random")


@given(arrays(np.uint8, WIDE, elements=st.integers(0, 1)))
def test_compressed_run_lengths_are_unpacked_as_pycocotools_packed_them(shape):
    outline = {"size": list(WIDE), "counts": compressed(shape)}

    np.testing.assert_array_equal(draw([{"category_id": 1, "segmentation": outline}]), shape)


def test_long_runs_are_unpacked():
    size = (3000, 2000)
    shape = np.zeros(size, np.uint8)
    shape[10:2500, 5:1900] = 1
    shape[:, 700:705] = 0
    outline = {"size": list(size), "counts": compressed(shape)}

    np.testing.assert_array_equal(draw([{"category_id": 1, "segmentation": outline}], size), shape)


@pytest.mark.parametrize("polygon", [[3.2, 1.1, 60.7, 2.3, 40.5, 8.8], [0, 0, 69, 0, 0, 9]])
def test_polygons_are_drawn_as_pycocotools_draws_them(polygon):
    label = draw([{"category_id": 2, "segmentation": [polygon]}])

    assert (label == 2).sum() == mask.area(mask.merge(mask.frPyObjects([polygon], *WIDE)))


def test_smaller_outline_is_on_top_and_of_equal_ones_the_later():
    large = {"category_id": 1, "segmentation": [[0, 0, 60, 0, 60, 9, 0, 9]]}
    small = {"category_id": 2, "segmentation": [[10, 2, 20, 2, 20, 6, 10, 6]]}

    first, second = draw([large, small]), draw([small, large])
    np.testing.assert_array_equal(first, second)
    assert (first == 2).sum() == 40

    equal = {**small, "category_id": 1}
    assert (draw([small, equal]) == 1).sum() == (draw([equal, small]) == 2).sum() == 40
