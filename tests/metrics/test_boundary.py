import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from parsenet.metrics.boundary import contour_areas
from parsenet.metrics.counting import count
from parsenet.metrics.scores import SCORES, areas_of, table

VOID = 255
maps = arrays(np.uint8, (7, 9), elements=st.integers(0, 2))


def drawn(seed, size=(40, 53), num_classes=4):
    """Blocks of classes, void between some of them, and a prediction that is a little off."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, num_classes, (5, 6)).astype(np.uint8)
    label = cv2.resize(blocks, size[::-1], interpolation=cv2.INTER_NEAREST)
    prediction = np.roll(label, (2, -1), (0, 1))
    return prediction, label


def strip_iou(prediction, label, num_classes, **options):
    """Boundary IoU of every class."""
    return table(contour_areas(prediction, label, num_classes, **options))[0, len(SCORES) :]


def bands(prediction, label, num_classes, widths):
    """Right, true and predicted pixels by band and class."""
    return contour_areas(prediction, label, num_classes, widths=widths)[:, 1:]


def strip(mask, radius):
    """boundary_iou's `mask_to_boundary`: what d erosions take away, the outside being empty."""
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=radius)
    return mask & ~eroded[1:-1, 1:-1].astype(bool)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ratio", [0.02, 0.05, 0.2])
def test_boundary_iou_equals_that_of_erosions(seed, ratio):
    prediction, label = drawn(seed)
    radius = max(1, round(ratio * math.hypot(*label.shape)))
    expected = []
    for index in range(4):
        truth, found = strip(label == index, radius), strip(prediction == index, radius)
        expected.append((truth & found).sum() / (truth | found).sum())

    np.testing.assert_allclose(strip_iou(prediction, label, 4, ratio=ratio), expected)


def test_boundary_iou_by_hand():
    """A square of 4 x 4 in 8 x 8, predicted one column to the right; the strip is one pixel wide.

    Its ring has 12 pixels; the two rings share the inner 3 of the upper and of the lower row.
    """
    label, prediction = np.zeros((2, 8, 8), np.uint8)
    label[2:6, 2:6] = 1
    prediction[2:6, 3:7] = 1

    both, truth, found = contour_areas(prediction, label, 2, ratio=0.02)[:, 0, 1]

    assert (both, truth, truth + found - both) == (6, 12, 18)


@settings(deadline=None, max_examples=30)
@given(maps, maps, maps, arrays(np.bool_, (7, 9)))
def test_prediction_under_void_changes_nothing(label, prediction, other, void):
    label = np.where(void, VOID, label).astype(np.uint8)
    changed = np.where(void, other, prediction)

    one, same = (contour_areas(each, label, 3) for each in (prediction, changed))

    np.testing.assert_array_equal(one, same)


def test_trimap_by_hand():
    """Columns 0 0 0 0 1 1 1 1: a band of one holds a column on either side of the contour."""
    label = np.repeat(np.array([[0, 0, 0, 0, 1, 1, 1, 1]], np.uint8), 3, axis=0)
    prediction = np.repeat(np.array([[0, 0, 0, 1, 1, 1, 0, 0]], np.uint8), 3, axis=0)

    right, truth, found = bands(prediction, label, 2, widths=(1, 2, 8))

    assert right.tolist() == [[0, 3], [3, 6], [9, 6]]
    assert truth.tolist() == [[3, 3], [6, 6], [12, 12]]
    assert found.tolist() == [[0, 6], [3, 9], [15, 9]]


def test_void_is_a_contour_and_is_not_counted():
    label = np.array([[0, 0, 0, VOID, 0, 0, 0]], np.uint8)

    right, _, _ = bands(np.zeros_like(label), label, 1, widths=(1, 2))

    assert right.ravel().tolist() == [2, 4]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("width", [1, 3, 7])
def test_trimap_equals_that_of_a_distance_transform(seed, width):
    prediction, label = drawn(seed)
    near = np.zeros(label.shape, bool)
    for index in range(4):
        inside = np.pad((label == index).astype(np.uint8), 60, mode="edge")
        distance = cv2.distanceTransform(inside, cv2.DIST_C, 3)[60:-60, 60:-60]
        near |= (label == index) & (distance <= width)

    expected = count(prediction, np.where(near, label, VOID).astype(np.uint8), 4)
    np.testing.assert_array_equal(
        bands(prediction, label, 4, widths=(width,))[:, 0], areas_of(expected)
    )


def test_more_classes_than_eight_bits_hold_have_strips_and_bands():
    prediction, label = (x.astype(np.uint16) for x in drawn(2))
    label[4:8] = VOID
    wide = np.array([300, 458, 7, 0], np.uint16)
    renamed = np.where(label == VOID, 511, wide[np.minimum(label, 3)]).astype(np.uint16)

    areas = contour_areas(wide[prediction], renamed, 459, 511)

    np.testing.assert_array_equal(areas[:, :, wide], contour_areas(prediction, label, 4))
