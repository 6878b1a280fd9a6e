import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools import mask as masks
from pycocotools.coco import COCO

from parsenet.inference.coco import (
    encode_regions,
    number_images,
    write_coco,
)
from parsenet.taxonomy import SHAPES, Taxonomy

# pycocotools 2.0.11 with numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")

LABEL = np.zeros((20, 30), np.uint8)
LABEL[3:9, 4:14] = 2
LABEL[5:7, 6:10] = 0  # a hole
LABEL[12:18, 20:30] = 4


def written(folder, form, names=("a", "b")):
    """Write the same label for several images; return what COCO reads of it."""
    entries = [
        {
            "name": name,
            "source": f"in/{name}.jpg",
            "size": [20, 30],
            form: json.loads(json.dumps(encode_regions(LABEL, None, SHAPES, form))),
        }
        for name in names
    ]
    write_coco(folder, entries, form, SHAPES)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "coco_images.json"))
        return truth.loadRes(str(folder / "coco.json"))


@pytest.mark.parametrize("form", ["rle", "polygons"])
def test_coco_reads_the_masks_back(tmp_path, form):
    results = written(tmp_path, form)

    for annotation in results.loadAnns(results.getAnnIds()):
        expected = annotation["category_id"] == LABEL
        np.testing.assert_array_equal(results.annToMask(annotation).astype(bool), expected)


@pytest.mark.parametrize("form", ["rle", "polygons"])
def test_every_image_has_an_entry_per_class_but_the_background(tmp_path, form):
    results = written(tmp_path, form)

    found = [(x["image_id"], x["category_id"]) for x in results.dataset["annotations"]]
    assert found == [(1, 2), (1, 4), (2, 2), (2, 4)]


def test_area_of_run_lengths_is_that_of_the_mask(tmp_path):
    results = written(tmp_path, "rle")

    assert [int(x["area"]) for x in results.dataset["annotations"]][:2] == [52, 60]


def test_images_and_classes_are_named(tmp_path):
    results = written(tmp_path, "rle")

    assert results.dataset["images"][1] == {
        "id": 2, "file_name": "b.jpg", "height": 20, "width": 30,
    }  # fmt: skip
    assert [x["name"] for x in results.dataset["categories"]] == list(SHAPES.names[1:])


def test_images_without_regions_of_that_form_are_left_out(tmp_path):
    entry = {"name": "a", "source": "a.jpg", "size": [2, 2], "areas": {}}

    write_coco(tmp_path, [entry], "rle", SHAPES)

    assert json.loads((tmp_path / "coco.json").read_text()) == []
    assert json.loads((tmp_path / "coco_images.json").read_text())["images"] == []


def test_score_is_the_mean_probability_of_the_region():
    label = np.array([[1, 1, 0]], np.uint8)
    probabilities = np.zeros((5, 1, 3), np.float16)
    probabilities[1, 0] = [0.5, 1.0, 0.25]

    assert encode_regions(label, probabilities, SHAPES, "rle")[0]["score"] == 0.75


def test_score_without_probabilities_is_one():
    assert encode_regions(LABEL, None, SHAPES, "rle")[0]["score"] == 1.0


def test_first_class_counts_where_it_is_no_background():
    taxonomy = Taxonomy("two", ("road", "car"), ((1, 1, 1), (2, 2, 2)))

    regions = encode_regions(np.zeros((2, 2), np.uint8), None, taxonomy, "rle")

    assert [region["category_id"] for region in regions] == [0]


def test_box_of_polygons_is_that_of_the_mask():
    region = encode_regions(LABEL, None, SHAPES, "polygons")[0]

    assert region["bbox"] == masks.toBbox(masks.encode(np.asfortranarray(LABEL == 2))).tolist()


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["000000000139", "sub/42"], [139, 42]),
        (["2", "2b"], [1, 2]),
        (["a/7", "b/7"], [1, 2]),
        (["7", "007"], [1, 2]),
        (["²", "3"], [1, 2]),
        ([], []),
    ],
)
def test_image_ids_are_the_numbers_in_their_names(names, ids):
    assert number_images(names) == ids
