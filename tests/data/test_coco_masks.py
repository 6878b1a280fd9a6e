import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask

from parsenet.data.coco_masks import Palette, draw_outlines

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
