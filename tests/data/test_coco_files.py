"""COCO's annotation files as they are written, and outlines as they are drawn."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask

from parsenet.config import CocoConfig
from parsenet.data.coco import CocoDataset, coco_taxonomy
from parsenet.data.coco_masks import Palette, draw_outlines
from parsenet.errors import ConfigError, DataNotFoundError, LabelError
from tests.fakes.coco import (
    SIZE,
    add,
    add_image,
    compressed,
    rectangle,
    start_record,
    write_image,
    write_record,
)

JSON = "annotations/instances_train.json"


def refuses(error, message):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def open_coco(root):
    return CocoDataset(root, "train", CocoConfig(), coco_taxonomy(root, "train", CocoConfig()))


def write_one(root):
    record = start_record()
    write_image(root / "train" / "a.jpg")
    return record, add_image(record, "a.jpg")


def test_301_classes_are_drawn_and_scored_in_16_bits(tmp_path):
    record, image = write_one(tmp_path)
    record["categories"] = [{"id": n, "name": f"class {n}"} for n in range(1, 301)]
    add(record, image, 299, [rectangle(2, 3, 6, 8)])
    line = np.eye(*SIZE, dtype=np.uint8)
    add(record, image, 300, {"size": list(SIZE), "counts": compressed(line)})
    add(record, image, 1, [], bbox=[0, 10, 4, 2])
    write_record(tmp_path / JSON, record)

    dataset = open_coco(tmp_path)
    label = dataset.read_label(0)

    expected = np.zeros(SIZE, np.uint16)
    expected[10:12, :4] = 511
    expected[2:6, 3:8] = 299
    expected[line > 0] = 300
    assert (dataset.taxonomy.num_classes, dataset.taxonomy.void) == (301, 511)
    assert label.dtype == np.uint16
    np.testing.assert_array_equal(label, expected)
    assert dataset[0].label.max() == 511


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "'FILE' must be a JSON file, got "),
        ("7", "'FILE' must hold lists `images`, `annotations` and `categories`, as "),
        ("[]", "'FILE' must hold lists `images`, `annotations` and `categories`, as COCO's "),
        ('{"shapes": []}', "'FILE' must hold lists `images`, `annotations` and `categories`, as "),
        ('{"images": [{}], "categories": []}', "Every image in 'FILE' must have `id` and "),
        ('{"images": [], "categories": [{}]}', "Every category in 'FILE' must have `id` and `na"),
        (
            '{"images": [{"id": 2, "file_name": "a"}], "categories": [],'
            ' "annotations": [{"id": 7, "image_id": 1}]}',
            "'FILE' must have an image for every annotation, got none for 'image_id' 1 of annot",
        ),
        (
            '{"images": [{"id": 1, "file_name": "a"}], "categories": [], "annotations": [7]}',
            "'FILE' must be of COCO's form, got TypeError 'argument of type 'int' is not ",
        ),
        (
            '{"images": [{"id": 1, "file_name": "a"}], "categories": [],'
            ' "annotations": [{"image_id": 1, "segments_info": [{}], "file_name": "a.png"}]}',
            "Every annotation in 'FILE' must have `file_name` and `segments_info` with ids, got one"
            " of 'image_id' 1 without. Export the file again.",
        ),
        (
            '{"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}],'
            ' "categories": []}',
            "Every image in 'FILE' must have an id of its own, got one twice.",
        ),
    ],
)
def test_file_of_another_form_is_refused(tmp_path, text, message):
    path = tmp_path / JSON
    path.parent.mkdir()
    path.write_text(text)

    with pytest.raises(LabelError, match=re.escape(message.replace("FILE", str(path)))):
        open_coco(tmp_path)


def test_file_without_images_is_refused(tmp_path):
    write_record(tmp_path / JSON, start_record())

    with refuses(DataNotFoundError, f"'{tmp_path / JSON}' must name at least one image, got none."):
        open_coco(tmp_path)


def test_two_categories_of_one_name_are_refused(tmp_path):
    record = start_record()
    add_image(record, "a.jpg")
    record["categories"][1]["name"] = "person"
    write_record(tmp_path / JSON, record)

    with refuses(
        ConfigError,
        f"The categories in '{tmp_path / JSON}' must have names and ids of their own, got 'person' "
        "twice. Rename one in the annotation tool and export again.",
    ):
        open_coco(tmp_path)


def test_file_that_changed_is_read_again(tmp_path):
    record, _ = write_one(tmp_path)
    write_record(tmp_path / JSON, record)
    coco_taxonomy(tmp_path, "train", CocoConfig())
    record["categories"][0]["name"] = "somebody else"
    write_record(tmp_path / JSON, record)

    assert coco_taxonomy(tmp_path, "train", CocoConfig()).names[1] == "somebody else"


WIDE = (9, 70)


def draw(annotations, size=WIDE):
    return draw_outlines(annotations, size, Palette({1: 1, 2: 2}, 0, 255, "uint8"), "random")


@given(arrays(np.uint8, WIDE, elements=st.integers(0, 1)))
def test_compressed_run_lengths_are_unpacked_as_pycocotools_packed_them(shape):
    counts = mask.encode(np.asfortranarray(shape))["counts"].decode()
    outline = {"size": list(WIDE), "counts": counts}

    label = draw([{"category_id": 1, "segmentation": outline}])

    np.testing.assert_array_equal(label, shape)


def test_long_runs_are_unpacked():
    size = (3000, 2000)
    shape = np.zeros(size, np.uint8)
    shape[10:2500, 5:1900] = 1
    shape[:, 700:705] = 0
    counts = mask.encode(np.asfortranarray(shape))["counts"].decode()

    outline = {"size": list(size), "counts": counts}
    label = draw([{"category_id": 1, "segmentation": outline}], size)

    np.testing.assert_array_equal(label, shape)


@pytest.mark.parametrize("polygon", [[3.2, 1.1, 60.7, 2.3, 40.5, 8.8], [0, 0, 69, 0, 0, 9]])
def test_polygons_are_drawn_as_pycocotools_draws_them(polygon):
    label = draw([{"category_id": 2, "segmentation": [polygon]}])

    runs = mask.merge(mask.frPyObjects([polygon], *WIDE))
    assert (label == 2).sum() == mask.area(runs)


def test_smaller_outline_is_on_top_in_any_order():
    large = {"category_id": 1, "segmentation": [[0, 0, 60, 0, 60, 9, 0, 9]]}
    small = {"category_id": 2, "segmentation": [[10, 2, 20, 2, 20, 6, 10, 6]]}

    first = draw([large, small])
    second = draw([small, large])

    np.testing.assert_array_equal(first, second)
    assert (first == 2).sum() == 40


def test_later_outline_is_on_top_of_an_equal_one():
    outline = [[10, 2, 20, 2, 20, 6, 10, 6]]
    both = [{"category_id": number, "segmentation": outline} for number in (2, 1)]

    assert (draw(both) == 1).sum() == 40
