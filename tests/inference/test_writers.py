"""Every kind of result on small, odd and 16-bit maps; the tables of a folder."""

import contextlib
import csv
import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from parsenet.data.labels import read_mask
from parsenet.inference.inputs import PLACES, Frame, Input
from parsenet.inference.job import RunConfig
from parsenet.inference.writers import (
    Result,
    number_images,
    write_areas,
    write_coco,
    write_label,
    write_result,
    write_sheets,
)
from parsenet.taxonomy import PASCAL_CONTEXT459, SHAPES, VOC2012
from tests.fakes.segmenter import red_predictor

# pycocotools 2.0.11 with numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")

KINDS = [kind for kind in PLACES if kind != "video"]
IMAGE = np.zeros((10, 16, 3), np.uint8)
IMAGE[:, :8, 0] = 130


def write(folder, kind, image=IMAGE, taxonomy=SHAPES, name="a", **options):
    """Write one kind of result of an image; return its file and the label."""
    prediction = red_predictor(taxonomy).predict([image], probabilities=True, entropy=True)[0]
    path, config = folder / PLACES[kind].format(name), RunConfig(**options)
    frame = Frame(Input(f"in/{name}.jpg", name), name, name, image)
    write_result(kind, path, Result(frame, prediction, taxonomy, config))
    return path, prediction.label


def read(path):
    with Image.open(path) as image:
        return np.array(image)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (7, 11), (1, 30), (301, 3)])
@pytest.mark.parametrize("taxonomy", [SHAPES, PASCAL_CONTEXT459], ids=lambda x: x.name)
def test_every_kind_is_written_of_maps_of_any_size_and_depth(tmp_path, kind, size, taxonomy):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    image[0, 0] = 255  # the last class
    path, label = write(tmp_path, kind, image, taxonomy)

    write_areas(tmp_path, ["a"])
    write_coco(tmp_path, ["a"], taxonomy)
    write_sheets(tmp_path, ["a"], taxonomy)

    if kind == "label":
        np.testing.assert_array_equal(read_mask(path, taxonomy), label)
    elif kind == "overlay":
        assert read(path).shape[0] > size[0]
    elif kind == "probabilities":
        with np.load(path) as content:
            assert content["probabilities"].shape == (taxonomy.num_classes, *size)
    elif kind == "entropy":
        assert read(path).shape == size
    elif kind == "areas":
        (record,) = json.loads((tmp_path / "areas.json").read_text())
        assert sum(area["pixels"] for area in record["classes"]) == label.size
        assert taxonomy.names[label.max()] in [area["class"] for area in record["classes"]]
    elif kind == "coco":
        results = load_coco(tmp_path)
        for entry in results.loadAnns(results.getAnnIds()):
            expected = label == entry["category_id"]
            np.testing.assert_array_equal(results.annToMask(entry).astype(bool), expected)
        assert taxonomy.num_classes - 1 in results.getCatIds()
    else:
        assert read(tmp_path / "sheet" / "01.png").ndim == 3


def load_coco(folder):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(folder / "coco_images.json")).loadRes(str(folder / "coco.json"))


def test_void_survives_in_a_label_file(tmp_path):
    write_label(tmp_path / "a.png", np.full((2, 3), 255, np.uint8), VOC2012)

    assert read(tmp_path / "a.png").tolist() == [[255] * 3] * 2


def test_entropy_is_grey_between_sure_and_guessing(tmp_path):
    # A score of 4 against four of 0.
    sure, others = np.exp(4) / (np.exp(4) + 4), 1 / (np.exp(4) + 4)
    expected = -(sure * np.log(sure) + 4 * others * np.log(others)) / np.log(5)

    assert (read(write(tmp_path, "entropy")[0]) == round(255 * expected)).all()


def test_sheets_hold_thirty_images_each_and_older_pages_go(tmp_path):
    (tmp_path / "sheet").mkdir()
    (tmp_path / "sheet" / "09.png").touch()
    for index in range(31):
        write(tmp_path, "sheet", name=str(index))

    write_sheets(tmp_path, map(str, range(31)), SHAPES)

    assert sorted(path.name for path in (tmp_path / "sheet").iterdir()) == ["01.png", "02.png"]
    colours = {tuple(colour) for colour in read(tmp_path / "sheet" / "02.png").reshape(-1, 3)}
    assert SHAPES.palette[2] in colours
    assert SHAPES.palette[1] not in colours


def test_areas_are_told_by_class_largest_first(tmp_path):
    write(tmp_path, "areas", IMAGE[:2, 6:10], name="sub/a")

    write_areas(tmp_path, ["sub/a", "none"])

    with (tmp_path / "areas.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["image", "index", "class", "pixels", "share"],
            ["sub/a", "0", "background", "4", "0.5"],
            ["sub/a", "2", "moon", "4", "0.5"],
        ]
    areas = [
        {"index": 0, "class": "background", "pixels": 4, "share": 0.5},
        {"index": 2, "class": "moon", "pixels": 4, "share": 0.5},
    ]
    assert json.loads((tmp_path / "areas.json").read_text(encoding="utf-8")) == [
        {"image": "sub/a", "source": "in/sub/a.jpg", "height": 2, "width": 4, "classes": areas}
    ]


def test_name_that_is_no_unicode_can_be_written(tmp_path):
    write(tmp_path, "areas", name="\udcff")

    write_areas(tmp_path, ["\udcff"])

    assert "\\udcff" in (tmp_path / "areas.csv").read_text(encoding="utf-8")


def test_coco_has_an_entry_per_image_and_class_but_the_background(tmp_path):
    for name in ("a", "b"):
        write(tmp_path, "coco", name=name)

    write_coco(tmp_path, ["b", "a"], SHAPES)

    dataset = load_coco(tmp_path).dataset
    found = [(x["image_id"], x["category_id"], int(x["area"])) for x in dataset["annotations"]]
    assert found == [(1, 2, 80), (2, 2, 80)]
    assert dataset["images"][1] == {"id": 2, "file_name": "b.jpg", "height": 10, "width": 16}
    assert [x["name"] for x in dataset["categories"]] == list(SHAPES.names[1:])


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
