import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from parsenet.errors import LabelError
from parsenet.metrics.counting import count


def drawn(seed, num_classes=5, shape=(9, 14), void=255):
    random = np.random.default_rng(seed)
    label = random.integers(0, num_classes, shape).astype(np.uint8)
    label[random.random(shape) < 0.2] = void
    return random.integers(0, num_classes, shape).astype(np.uint8), label


def test_counts_of_six_pixels_are_right_by_hand():
    label = np.array([[0, 0, 1], [1, 2, 255]], np.uint8)
    prediction = np.array([[0, 1, 1], [1, 0, 2]], np.uint8)

    assert count(prediction, label, 3).tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_counts_equal_sklearn(dtype):
    prediction, label = drawn(0)
    known = label != 255

    counts = count(prediction.astype(dtype), label.astype(dtype), 5)

    assert counts.dtype == np.int64
    np.testing.assert_array_equal(
        counts, confusion_matrix(label[known], prediction[known], labels=range(5))
    )


def test_counts_with_255_classes_do_not_overflow():
    prediction, label = drawn(1, num_classes=255)

    counts = count(prediction, label, 255)

    assert counts.sum() == (label != 255).sum()
    assert counts[254].sum() == (label == 254).sum()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.permutations(range(5)))
def test_permuting_classes_permutes_counts(seed, order):
    prediction, label = drawn(seed)
    table = np.append(np.argsort(order), [255] * 251).astype(np.uint8)

    permuted = count(table[prediction], table[label], 5)

    np.testing.assert_array_equal(permuted, count(prediction, label, 5)[np.ix_(order, order)])


def test_void_is_any_value_that_is_no_class():
    prediction, label = drawn(2, void=77)

    assert count(prediction, label, 5, void=77).sum() == (label != 77).sum()


def test_image_without_pixels_has_no_counts():
    empty = np.zeros((0, 4), np.uint8)

    assert count(empty, empty, 3).tolist() == [[0, 0, 0]] * 3


def test_wrong_label_is_refused_with_its_value():
    message = (
        "`label` must be a class 0..4 or void 255, got 9 in 2 pixels. Fix the labels or the "
        "taxonomy."
    )

    with pytest.raises(LabelError, match=f"^{re.escape(message)}$"):
        count(np.zeros((1, 3), np.uint8), np.array([[9, 9, 0]], np.uint8), 5)


def test_void_in_a_prediction_is_refused():
    message = "`prediction` must be in 0..4, got 0..255. Use a network of 5 classes."

    with pytest.raises(LabelError, match=f"^{re.escape(message)}$"):
        count(np.array([[0, 255]], np.uint8), np.array([[0, 255]], np.uint8), 5)


def test_prediction_of_another_size_is_refused():
    message = (
        "`label` must be as large as `prediction` (3, 4), got (4, 3). Upsample the prediction to "
        "the label's size."
    )

    with pytest.raises(LabelError, match=f"^{re.escape(message)}$"):
        count(np.zeros((3, 4), np.uint8), np.zeros((4, 3), np.uint8), 5)


def test_more_classes_than_eight_bits_hold_are_counted():
    generator = np.random.default_rng(0)
    label = generator.integers(0, 459, (30, 40)).astype(np.uint16)
    prediction = generator.integers(0, 459, (30, 40)).astype(np.uint16)
    label[:3] = 511

    counts = count(prediction, label, 459, 511)

    expected = np.zeros((459, 459), np.int64)
    np.add.at(expected, (label[3:], prediction[3:]), 1)
    np.testing.assert_array_equal(counts, expected)


def test_many_classes_in_an_eight_bit_label_are_counted():
    label, prediction = np.array([[200, 255]], np.uint8), np.array([[458, 300]], np.uint16)

    counts = count(prediction, label, 459, 511)

    assert (counts[200, 458], counts[255, 300], counts.sum()) == (1, 1, 2)


@pytest.mark.parametrize(("value", "shown"), [(459, "459"), (512, "a value outside 0..511")])
def test_wrong_value_among_many_classes_is_refused(value, shown):
    label = np.array([[0, value]], np.uint16)

    with pytest.raises(
        LabelError,
        match=f"^`label` must be a class 0..458 or void 511, got {shown} in 1 pixels. Fix the "
        "labels or the taxonomy.$",
    ):
        count(np.zeros_like(label), label, 459, 511)
