import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from parsenet.inference.polygons import trace_polygons

# pycocotools 2.0.11 with numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")


def filled(mask):
    """What pycocotools makes of the polygons of a mask."""
    polygons = trace_polygons(mask)
    if not polygons:
        return np.zeros(mask.shape, bool)
    parts = coco.frPyObjects([[float(v) for v in p] for p in polygons], *mask.shape)
    return coco.decode(coco.merge(parts)).astype(bool)


def drawn(*rows):
    return np.array([[mark == "#" for mark in row] for row in rows])


def test_box_is_its_four_corners():
    assert trace_polygons(drawn("....", ".##.", ".##.", "....")) == [[1, 1, 3, 1, 3, 3, 1, 3]]


def test_whole_image_is_its_frame():
    assert trace_polygons(np.ones((2, 3), bool)) == [[0, 0, 3, 0, 3, 2, 0, 2]]


def test_empty_mask_has_no_polygons():
    assert trace_polygons(np.zeros((2, 3), bool)) == []


def test_parts_that_touch_in_a_corner_are_apart():
    polygons = trace_polygons(drawn("#.", ".#"))

    assert sorted(polygons) == [[0, 0, 1, 0, 1, 1, 0, 1], [1, 1, 2, 1, 2, 2, 1, 2]]


@pytest.mark.parametrize(
    "mask",
    [
        drawn("###", "#.#", "###"),
        drawn("#####", "#.#.#", "#####"),
        drawn("#######", "#.....#", "#.###.#", "#.#.#.#", "#.###.#", "#.....#", "#######"),
        drawn("####", "#.##", "##.#", "####"),
        drawn("#..#", ".##.", ".##.", "#..#"),
    ],
)
def test_filled_polygons_are_the_mask(mask):
    np.testing.assert_array_equal(filled(mask), mask)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 14), st.integers(1, 14), st.integers(0, 2**32 - 1), st.floats(0.1, 0.95))
def test_filled_polygons_of_any_mask_are_the_mask(height, width, seed, share):
    mask = np.random.default_rng(seed).random((height, width)) < share

    np.testing.assert_array_equal(filled(mask), mask)
