import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    jaccard_score,
    precision_recall_fscore_support,
)

from parsenet.metrics.counting import count
from parsenet.metrics.scores import SCORES, scores

COUNTS = np.array([[6, 1, 1], [2, 3, 0], [0, 1, 2]])
BY_HAND = {
    "class_iou": (6 / 10, 3 / 7, 2 / 4),
    "class_accuracy": (6 / 8, 3 / 5, 2 / 3),
    "class_precision": (6 / 8, 3 / 5, 2 / 3),
    "class_dice": (12 / 16, 6 / 10, 4 / 6),
    "class_pixels": (8, 5, 3),
    "pixel_accuracy": 11 / 16,
    "mean_accuracy": (6 / 8 + 3 / 5 + 2 / 3) / 3,
    "mean_iou": (6 / 10 + 3 / 7 + 2 / 4) / 3,
    "frequency_weighted_iou": (8 * 6 / 10 + 5 * 3 / 7 + 3 * 2 / 4) / 16,
}
few = settings(deadline=None, max_examples=40)
confusions = arrays(np.int64, (4, 4), elements=st.integers(0, 50))


def drawn(seed):
    """Labels with void and without class 3, and predictions."""
    random = np.random.default_rng(seed)
    labels = random.choice([0, 1, 2, 4, 255], (3, 8, 11))
    predictions = random.choice([0, 1, 2, 4], labels.shape)
    return predictions, labels


@pytest.mark.parametrize("name", BY_HAND)
def test_scores_of_three_classes_are_right_by_hand(name):
    assert getattr(scores(COUNTS), name) == pytest.approx(BY_HAND[name])


def test_class_without_ground_truth_has_no_scores_but_costs_the_true_class():
    result = scores(np.array([[3, 0, 1], [0, 1, 0], [0, 0, 0]]))

    absent = (result.class_iou, result.class_accuracy, result.class_precision, result.class_dice)
    assert np.isnan([values[2] for values in absent]).all()
    assert result.mean_iou == pytest.approx((3 / 4 + 1) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_sklearn_with_void_and_an_absent_class(seed):
    predictions, labels = drawn(seed)
    truth, found = labels[labels != 255], predictions[labels != 255]
    present = [0, 1, 2, 4]

    result = scores(count(predictions, labels, 5))

    def jaccard(average):
        return jaccard_score(truth, found, labels=present, average=average)

    assert [getattr(result, name) for name in SCORES] == pytest.approx([
        jaccard("macro"),
        accuracy_score(truth, found),
        balanced_accuracy_score(truth, found),
        jaccard("weighted"),
    ])
    of_classes = (result.class_precision, result.class_accuracy, result.class_dice)
    expected = precision_recall_fscore_support(truth, found, labels=present)[:3]
    np.testing.assert_allclose(np.array(of_classes)[:, present], expected)


@few
@given(confusions, st.permutations(range(4)))
def test_permuting_classes_permutes_scores_which_are_between_nought_and_one(counts, order):
    result, permuted = scores(counts), scores(counts[np.ix_(order, order)])

    np.testing.assert_allclose(permuted.class_iou, np.array(result.class_iou)[order])
    for name in SCORES:
        one, other = getattr(result, name), getattr(permuted, name)
        np.testing.assert_allclose(one, other)
        assert math.isnan(one) or 0 <= one <= 1
