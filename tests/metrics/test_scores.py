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

from parsenet.metrics.counting import ImageCounts
from parsenet.metrics.scores import SCORES, scores, table

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
    """Labels with void and without class 3, predictions, and the confusion matrix by a loop."""
    random = np.random.default_rng(seed)
    labels = random.choice([0, 1, 2, 4, 255], (3, 8, 11))
    predictions = random.choice([0, 1, 2, 4], labels.shape)
    counts = np.zeros((5, 5), np.int64)
    for predicted, true in zip(predictions.ravel(), labels.ravel(), strict=True):
        if true != 255:
            counts[true, predicted] += 1
    return predictions, labels, counts


@pytest.mark.parametrize("name", BY_HAND)
def test_scores_of_three_classes_are_right_by_hand(name):
    assert getattr(scores(COUNTS), name) == pytest.approx(BY_HAND[name])


def test_precision_and_recall_are_not_mistaken_for_each_other():
    result = scores(np.array([[6, 2], [1, 3]]))

    assert result.class_precision == pytest.approx((6 / 7, 3 / 5))
    assert result.class_accuracy == pytest.approx((6 / 8, 3 / 4))
    assert result.class_dice == pytest.approx((12 / 15, 6 / 9))


def test_class_that_was_never_predicted_has_no_precision_and_a_dice_of_nought():
    result = scores(np.array([[3, 0], [2, 0]]))

    assert math.isnan(result.class_precision[1])
    assert (result.class_dice[1], result.class_iou[1]) == (0, 0)


def test_class_without_ground_truth_has_no_scores_but_costs_the_true_class():
    result = scores(np.array([[3, 0, 1], [0, 1, 0], [0, 0, 0]]))

    absent = (result.class_iou, result.class_accuracy, result.class_precision, result.class_dice)
    assert np.isnan([values[2] for values in absent]).all()
    assert result.mean_iou == pytest.approx((3 / 4 + 1) / 2)


def test_scores_of_nothing_are_unknown():
    result = scores(np.zeros((3, 3), np.int64))

    assert np.isnan([getattr(result, name) for name in SCORES]).all()


def test_every_image_has_scores_of_its_own():
    counts = np.array([[[6, 2], [1, 3]], [[4, 4], [0, 0]], [[0, 0], [0, 0]]])

    rows = table(ImageCounts.of(["a", "b", "c"], counts, 2).areas())

    expected = [[(6 / 9 + 3 / 6) / 2, 9 / 12], [4 / 8, 1 / 2], [math.nan, math.nan]]
    np.testing.assert_allclose(rows[:, :2], expected)


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_the_authors_rule_with_void_and_an_absent_class(seed):
    """PAPER 4b, from the formulas: per image and class, then summed; shares nothing with ours."""
    predictions, labels, counts = drawn(seed)
    total, wrong = np.zeros((5, 3)), 0
    for prediction, label in zip(predictions, labels, strict=True):
        for index in range(5):
            in_label = label == index
            in_prediction = (prediction == index) & (label != 255)
            total[index] += [(in_label & in_prediction).sum(), in_label.sum(), in_prediction.sum()]
        wrong += ((prediction != label) & (label != 255)).sum()
    hit, truth, found = total[total[:, 1] > 0].T
    iou = hit / (truth + found - hit)

    result = scores(counts)

    assert [getattr(result, name) for name in SCORES] == pytest.approx([
        iou.mean(),
        hit.sum() / (hit.sum() + wrong),
        (hit / truth).mean(),
        (truth / truth.sum() * iou).sum(),
    ])


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_sklearn_with_void_and_an_absent_class(seed):
    predictions, labels, counts = drawn(seed)
    truth, found = labels[labels != 255], predictions[labels != 255]
    present = [0, 1, 2, 4]

    result = scores(counts)

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


def test_scores_of_ten_billion_pixels_are_exact():
    assert scores(COUNTS * 10**10).mean_iou == scores(COUNTS).mean_iou
