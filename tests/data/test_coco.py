import logging
import re

import numpy as np
import pytest
from PIL import Image

from parsenet.config import CocoConfig
from parsenet.data.coco import CocoDataset, coco_taxonomy
from parsenet.errors import ConfigError, LabelError
from tests.fakes.coco import (
    SIZE,
    add,
    add_image,
    rectangle,
    start_record,
    write_coco,
    write_image,
    write_panoptic,
    write_record,
)

JSON = "annotations/instances_train.json"
PANOPTIC = CocoConfig(annotations="annotations/panoptic_{split}.json", unmapped="void")


def refuses(error, message):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def open_coco(root, split="train", layout=None, **fields):
    layout = layout or CocoConfig(**fields)
    return CocoDataset(root, split, layout, coco_taxonomy(root, "train", layout))


def write_map(root, text):
    (root / "classes.yaml").write_text(text)
    return CocoConfig(categories="classes.yaml")


def write_one(root, file_name="a.jpg", **more):
    """Start a file of one image, `train/a.jpg`; return the record and the image's number."""
    record = start_record()
    write_image(root / "train" / "a.jpg")
    number = add_image(record, file_name)
    record["images"][0].update(more)
    return record, number


@pytest.mark.parametrize("split", ["train", "val"])
def test_labels_are_those_drawn(tmp_path, split):
    labels = write_coco(tmp_path)

    dataset = open_coco(tmp_path, split)

    assert dataset.taxonomy.names == ("background", "person", "car", "toothbrush")
    assert sorted(dataset.ids) == sorted(name for name in labels if name.startswith(split))
    for index, name in enumerate(dataset.ids):
        np.testing.assert_array_equal(dataset.read(index).label, labels[name])


@pytest.mark.parametrize("split", ["train", "val"])
def test_panoptic_labels_are_those_drawn(tmp_path, split):
    labels = write_panoptic(tmp_path)
    (tmp_path / "classes.yaml").write_text("names: [person, car, toothbrush]\n")

    layout = CocoConfig(PANOPTIC.annotations, categories="classes.yaml", unmapped="void")
    dataset = open_coco(tmp_path, split, layout)

    for index, name in enumerate(dataset.ids):
        np.testing.assert_array_equal(dataset.read_label(index), labels[name])


def test_categories_are_merged_and_renamed(tmp_path):
    labels = write_coco(tmp_path)
    layout = write_map(tmp_path, "names: [background, thing, person]\nmap: {thing: [car, 90]}\n")

    dataset = open_coco(tmp_path, layout=layout)

    # person is taken by its own name.
    expected = np.array([0, 2, 1, 1], np.uint8)[labels[dataset.ids[0]]]
    np.testing.assert_array_equal(dataset.read_label(0), expected)


@pytest.mark.parametrize(("unmapped", "value"), [("background", 0), ("void", 255)])
def test_other_categories_are_background_or_void(tmp_path, unmapped, value):
    labels = write_coco(tmp_path)
    write_map(tmp_path, "names: [background, person]\n")

    dataset = open_coco(tmp_path, categories="classes.yaml", unmapped=unmapped)

    expected = np.array([0, 1, value, value], np.uint8)[labels[dataset.ids[0]]]
    np.testing.assert_array_equal(dataset.read_label(0), expected)


def test_pixels_without_annotation_are_void_where_there_is_no_background(tmp_path):
    labels = write_coco(tmp_path)
    write_map(tmp_path, "names: [person, car, toothbrush]\n")

    dataset = open_coco(tmp_path, categories="classes.yaml", unmapped="void")

    expected = labels[dataset.ids[0]] - np.uint8(1)
    np.testing.assert_array_equal(dataset.read_label(0), expected)


def test_crowd_is_void_beneath_everything_else(tmp_path):
    record, image = write_one(tmp_path)
    add(record, image, 1, [rectangle(2, 2, 6, 6)])
    add(record, image, 1, [rectangle(0, 0, 4, 16)], iscrowd=1)
    write_record(tmp_path / JSON, record)

    label = open_coco(tmp_path).read_label(0)

    expected = np.zeros(SIZE, np.uint8)
    expected[:4] = 255
    expected[2:6, 2:6] = 1
    np.testing.assert_array_equal(label, expected)


def test_crowd_of_another_category_stays_background(tmp_path):
    record, image = write_one(tmp_path)
    add(record, image, 3, [rectangle(0, 0, 4, 16)], iscrowd=1)
    write_record(tmp_path / JSON, record)
    layout = write_map(tmp_path, "names: [background, person]\n")

    assert not open_coco(tmp_path, layout=layout).read_label(0).any()


@pytest.mark.parametrize("outline", [[], None, [[1, 2, 3, 4]], [[]]])
def test_object_with_a_box_but_no_outline_is_void(tmp_path, outline):
    record, image = write_one(tmp_path)
    add(record, image, 1, outline, bbox=[3, 2, 5, 4])
    write_record(tmp_path / JSON, record)

    label = open_coco(tmp_path).read_label(0)

    expected = np.zeros(SIZE, np.uint8)
    expected[2:6, 3:8] = 255
    np.testing.assert_array_equal(label, expected)


def test_object_without_outline_and_box_is_passed_over(tmp_path):
    record, image = write_one(tmp_path)
    add(record, image, 1, [])
    write_record(tmp_path / JSON, record)

    assert not open_coco(tmp_path).read_label(0).any()


@pytest.mark.parametrize(
    "outline",
    [
        [rectangle(2, 3, 6, 8)],
        rectangle(2, 3, 6, 8),
        [[3, 2], [8, 2], [8, 6], [3, 6]],
        [[[3, 2], [8, 2], [8, 6], [3, 6]]],
        [rectangle(2, 3, 6, 5), rectangle(2, 5, 6, 8)],
        [rectangle(2.0, 3.0, 6.0, 8.0), [4, 4, 5, 5]],
    ],
)
def test_polygons_are_read_as_tools_write_them(tmp_path, outline):
    record, image = write_one(tmp_path)
    add(record, image, 3, outline)
    write_record(tmp_path / JSON, record)

    label = open_coco(tmp_path).read_label(0)

    expected = np.zeros(SIZE, np.uint8)
    expected[2:6, 3:8] = 2
    np.testing.assert_array_equal(label, expected)


def test_polygon_beyond_the_image_ends_at_its_edge(tmp_path):
    record, image = write_one(tmp_path)
    add(record, image, 3, [rectangle(-5.5, -3, 40, 60.25)])
    write_record(tmp_path / JSON, record)

    assert (open_coco(tmp_path).read_label(0) == 2).all()


@pytest.mark.parametrize(
    ("outline", "what"),
    [
        ([[1, 1, 5, 1, 5, 5, 2]], "coordinates that are not pairs of numbers"),
        ([[1, 1, 5, 1, 5, float("nan")]], "coordinates that are not pairs of numbers"),
        ([[1, 1, 5, 1, 5, 1e9]], "the coordinate 1e+09"),
        ({"size": [12, 16], "counts": [5, 5]}, "run lengths of 10 pixels"),
        ({"size": [12, 16], "counts": [200, -8]}, "run lengths of 192 pixels"),
        ({"size": [12, 16], "counts": "04"}, "run lengths of 4 pixels"),
        ({"size": [12, 16], "counts": "zzzz"}, "damaged run lengths"),
        ({"size": [12, 16], "counts": ""}, "damaged run lengths"),
        ({"size": [16, 12], "counts": [192]}, "run lengths of size [16, 12] for [12, 16]"),
        ({"size": [12, 16]}, "'counts'"),
    ],
)
def test_damaged_annotation_is_named(tmp_path, outline, what):
    record, image = write_one(tmp_path)
    add(record, image, 1, outline)
    write_record(tmp_path / JSON, record)

    with refuses(
        LabelError,
        f"Annotation 1 of 'instances_train.json: a' must be polygons [x, y, ...], run lengths or a "
        f"box, got '{what}'. Correct it or export the file again.",
    ):
        open_coco(tmp_path).read_label(0)


@pytest.mark.parametrize(
    "file_name",
    ["a.jpg", "train/a.jpg", "./a.jpg", "..\\..\\images\\a.jpg", "/data/of/others/a.jpg",
     "C:\\Users\\me\\a.jpg"],
)  # fmt: skip
def test_image_is_found_by_whatever_path_the_export_has(tmp_path, file_name):
    record, _ = write_one(tmp_path, file_name)
    write_record(tmp_path / JSON, record)

    dataset = open_coco(tmp_path)

    assert dataset.image_path(0).resolve() == (tmp_path / "train" / "a.jpg").resolve()
    assert dataset.ids == ["a"]


def test_images_of_one_name_are_told_apart_by_their_folders(tmp_path):
    record = start_record()
    for folder in ("one", "two"):
        write_image(tmp_path / "train" / folder / "a.jpg")
        add_image(record, f"{folder}/a.jpg")
    write_record(tmp_path / JSON, record)

    assert open_coco(tmp_path).ids == ["one/a", "two/a"]


@pytest.mark.parametrize("size", [(None, None), (0, 0)])
def test_size_that_the_file_does_not_tell_is_the_image_s(tmp_path, size):
    record, image = write_one(tmp_path, height=size[0], width=size[1])
    add(record, image, 1, [rectangle(0, 0, 12, 16)])
    write_record(tmp_path / JSON, record)

    assert open_coco(tmp_path).read_label(0).shape == SIZE


def test_other_size_than_the_image_s_is_refused(tmp_path):
    record, _ = write_one(tmp_path, height=16, width=12)
    write_record(tmp_path / JSON, record)

    with pytest.raises(
        LabelError, match=r"^The label 'instances_train.json: a' must be as large as its image"
    ):
        open_coco(tmp_path)[0]


def test_images_without_annotation_are_told(tmp_path, caplog):
    record, _ = write_one(tmp_path)
    write_record(tmp_path / JSON, record)

    with caplog.at_level(logging.WARNING):
        open_coco(tmp_path)

    assert caplog.messages == [
        "1 of 1 images in 'instances_train.json' have no annotation: they are 'background' all "
        "over."
    ]


def test_category_called_background_is_the_background(tmp_path):
    record, image = write_one(tmp_path)
    record["categories"][0]["name"] = "background"
    add(record, image, 3, [rectangle(0, 0, 6, 16)])
    write_record(tmp_path / JSON, record)

    dataset = open_coco(tmp_path)

    assert dataset.taxonomy.names == ("background", "car", "toothbrush")
    assert np.unique(dataset.read_label(0)).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "names: [background, person]\nmap: {persn: [person]}\n",
            "`map` must list classes of `names`, got 'persn'. Did you mean `person`?",
        ),
        (
            "names: [background, thing]\nmap: {thing: [care]}\n",
            "`map` must name categories of 'FILE', got 'care'. Did you mean `car`?",
        ),
        (
            "names: [background, thing]\nmap: {thing: [2]}\n",
            "`map` must name categories of 'FILE', got '2'. Known: `person`, `car`, `toothbrush`.",
        ),
        (
            "names: [background, one, two]\nmap: {one: [car], two: [3]}\n",
            "`map` must give a category to one class, got 'car' for both 'one' and 'two'. Take it "
            "from one of them.",
        ),
        (
            "names: [person, car]\n",
            "`data.coco.unmapped` must be `void` without a class called 'background', got "
            "`background`. Set it, or add 'background' to the `names` of 'classes'.",
        ),
    ],
)
def test_wrong_map_is_refused(tmp_path, text, message):
    write_coco(tmp_path)
    layout = write_map(tmp_path, text)

    with refuses(ConfigError, message.replace("FILE", str(tmp_path / JSON))):
        open_coco(tmp_path, layout=layout)


def test_annotation_of_an_unknown_category_is_named(tmp_path):
    record, image = write_one(tmp_path)
    add(record, image, 2, [rectangle(0, 0, 6, 6)])
    write_record(tmp_path / JSON, record)

    with refuses(
        LabelError,
        "Annotation 1 of 'instances_train.json: a' must be of a category in the file's list, got "
        "'category_id' 2. Export the file again.",
    ):
        open_coco(tmp_path).read_label(0)


def test_segment_that_is_not_described_is_named(tmp_path):
    write_panoptic(tmp_path)
    path = tmp_path / "annotations" / "panoptic_train" / "train_000000000000.png"
    numbers = np.zeros((*SIZE, 3), np.uint8)
    numbers[2, 3] = (1, 1, 0)
    Image.fromarray(numbers).save(path)

    with refuses(
        LabelError,
        f"The label '{path}' must show segments that are in the JSON file, got number 257 at row 2,"
        " column 3. Use the PNG and JSON files of one release.",
    ):
        open_panoptic(tmp_path).read_label(0)


def test_segments_of_another_size_are_refused(tmp_path):
    write_panoptic(tmp_path)
    path = tmp_path / "annotations" / "panoptic_train" / "train_000000000000.png"
    Image.new("RGB", (3, 4)).save(path)

    with refuses(
        LabelError,
        f"The label '{path}' must be as large as its image (12, 16), got (4, 3). Sizes are "
        "(height, width).",
    ):
        open_panoptic(tmp_path).read_label(0)


def open_panoptic(root):
    layout = CocoConfig(PANOPTIC.annotations)
    return open_coco(root, layout=layout)


def test_unknown_placeholder_is_refused(tmp_path):
    with refuses(
        ConfigError,
        "`coco.annotations` must use no placeholder but `{split}`, got '{year}.json'. Write '{{' "
        "for a brace.",
    ):
        open_coco(tmp_path, annotations="{year}.json")


def test_missing_pycocotools_is_told_with_the_command(tmp_path, monkeypatch):
    write_coco(tmp_path)
    monkeypatch.setattr("parsenet.data.coco.find_spec", lambda name: None)

    with refuses(
        ConfigError,
        "`pycocotools` must be installed for `dataset: coco`, got no such package. Run "
        "`pip install 'parsenet[coco]'`.",
    ):
        open_coco(tmp_path)
