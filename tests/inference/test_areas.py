import csv
import json

import numpy as np

from parsenet.inference.areas import write_areas
from parsenet.inference.drawing import measure_areas
from parsenet.taxonomy import SHAPES

ENTRY = {"name": "sub/a", "source": "in/sub/a.jpg", "size": [2, 4], "areas": {"2": 6, "0": 2}}


def test_areas_count_pixels_largest_first():
    label = np.array([[0, 2, 2, 2], [0, 2, 2, 2]], np.uint8)

    assert list(measure_areas(label).items()) == [(2, 6), (0, 2)]


def test_areas_of_a_large_label_are_counted_in_bands():
    label = np.random.default_rng(0).integers(0, 5, (1500, 1500)).astype(np.uint8)

    assert measure_areas(label) == dict(
        sorted(enumerate(np.bincount(label.ravel()).tolist()), key=lambda pair: -pair[1])
    )


def test_areas_of_classes_above_255_are_counted():
    assert measure_areas(np.array([[300, 458, 458]], np.uint16)) == {458: 2, 300: 1}


def test_table_has_a_line_per_image_and_class(tmp_path):
    write_areas(tmp_path, [ENTRY], SHAPES)

    with (tmp_path / "areas.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["image", "index", "class", "pixels", "share"],
            ["sub/a", "2", "moon", "6", "0.75"],
            ["sub/a", "0", "background", "2", "0.25"],
        ]


def test_records_tell_the_same(tmp_path):
    write_areas(tmp_path, [ENTRY], SHAPES)

    assert json.loads((tmp_path / "areas.json").read_text(encoding="utf-8")) == [
        {
            "image": "sub/a",
            "source": "in/sub/a.jpg",
            "height": 2,
            "width": 4,
            "classes": [
                {"index": 2, "class": "moon", "pixels": 6, "share": 0.75},
                {"index": 0, "class": "background", "pixels": 2, "share": 0.25},
            ],
        }
    ]


def test_tables_of_nothing_are_empty(tmp_path):
    write_areas(tmp_path, [], SHAPES)

    assert (tmp_path / "areas.csv").read_text() == "image,index,class,pixels,share\n"
    assert json.loads((tmp_path / "areas.json").read_text()) == []


def test_name_that_is_no_unicode_can_be_written(tmp_path):
    write_areas(tmp_path, [ENTRY | {"name": "\udcff"}], SHAPES)

    assert "\\udcff" in (tmp_path / "areas.csv").read_text(encoding="utf-8")
