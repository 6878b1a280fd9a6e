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
few = settings(deadline=None, max_examples=40)


def authors_scores(predictions, labels, num_classes, void):
    """Score as the authors' Matlab code does: per image and class, then summed (PAPER 4b).

    Written from the formulas with loops over images and classes; shares nothing with ours.
    """
    total = np.zeros((num_classes, 3))
    wrong = 0
    for prediction, label in zip(predictions, labels, strict=True):
        for index in range(num_classes):
            in_label = label == index
            in_prediction = (prediction == index) & (label != void)
            hit = (in_label & in_prediction).sum()
            total[index] += [hit, in_label.sum(), in_prediction.sum()]
        wrong += ((prediction != label) & (label != void)).sum()
    total = total[total[:, 1] > 0]
    hit, truth, found = total.T
    iou = hit / (truth + found - hit)
    return {
        "pixel_accuracy": hit.sum() / (hit.sum() + wrong),
        "mean_accuracy": (hit / truth).mean(),
        "mean_iou": iou.mean(),
        "frequency_weighted_iou": (truth / truth.sum() * iou).sum(),
    }


def counts_of(prediction, label, num_classes):
    """Count with a loop."""
    counts = np.zeros((num_classes, num_classes), np.int64)
    for predicted, true in zip(prediction.ravel(), label.ravel(), strict=True):
        if true != 255:
            counts[true, predicted] += 1
    return counts


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


@pytest.mark.parametrize("name", BY_HAND)
def test_scores_of_three_classes_are_right_by_hand(name):
    assert getattr(scores(COUNTS), name) == pytest.approx(BY_HAND[name])


def test_precision_and_recall_are_not_mistaken_for_each_other():
    result = scores(np.array([[6, 2], [1, 3]]))

    assert result.class_precision == pytest.approx((6 / 7, 3 / 5))
    assert result.class_accuracy == pytest.approx((6 / 8, 3 / 4))
    assert result.class_dice == pytest.approx((12 / 15, 6 / 9))


def test_class_that_was_never_predicted_has_no_precision_and_no_dice_to_speak_of():
    result = scores(np.array([[3, 0], [2, 0]]))

    assert math.isnan(result.class_precision[1])
    assert result.class_dice[1] == 0.0


def test_class_without_ground_truth_has_neither_precision_nor_dice():
    result = scores(np.array([[3, 1], [0, 0]]))

    assert np.isnan([result.class_precision[1], result.class_dice[1]]).all()


@pytest.mark.parametrize("seed", range(5))
def test_precision_recall_and_dice_equal_sklearn(seed):
    random = np.random.default_rng(seed)
    label, prediction = random.integers(0, 5, (2, 200))

    result = scores(counts_of(prediction, label, 5))

    precision, recall, dice, _ = precision_recall_fscore_support(label, prediction)
    assert result.class_precision == pytest.approx(tuple(precision))
    assert result.class_accuracy == pytest.approx(tuple(recall))
    assert result.class_dice == pytest.approx(tuple(dice))


def test_every_image_has_scores_of_its_own():
    counts = np.array([[[6, 2], [1, 3]], [[4, 4], [0, 0]], [[0, 0], [0, 0]]])

    rows = table(ImageCounts.of(["a", "b", "c"], counts, 2).areas())

    expected = [[(6 / 9 + 3 / 6) / 2, 9 / 12], [4 / 8, 1 / 2], [math.nan, math.nan]]
    np.testing.assert_allclose(rows[:, :2], expected)


@few
@given(arrays(np.int64, (5, 4, 4), elements=st.integers(0, 50)))
def test_table_holds_the_scores_of_every_image(counts):
    rows = table(ImageCounts.of(list("abcde"), counts, 4).areas())

    for row, matrix in zip(rows, counts, strict=True):
        expected = scores(matrix)
        named = [getattr(expected, name) for name in SCORES]
        np.testing.assert_allclose(row, [*named, *expected.class_iou], rtol=1e-12)


def test_class_without_ground_truth_leaves_the_means():
    counts = np.array([[3, 0, 0], [0, 1, 0], [0, 0, 0]])

    assert scores(counts).mean_iou == 1.0


def test_pixels_given_to_an_absent_class_cost_their_true_class():
    counts = np.array([[3, 0, 1], [0, 1, 0], [0, 0, 0]])

    assert scores(counts).mean_iou == pytest.approx((3 / 4 + 1) / 2)


def test_absent_class_has_no_iou():
    assert math.isnan(scores(np.array([[1, 1], [0, 0]])).class_iou[1])


def test_scores_of_nothing_are_unknown():
    result = scores(np.zeros((3, 3), np.int64))

    summary = [result.pixel_accuracy, result.mean_accuracy, result.mean_iou]
    assert np.isnan([*summary, result.frequency_weighted_iou]).all()


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_the_authors_rule_with_void_and_an_absent_class(seed):
    random = np.random.default_rng(seed)
    labels = random.choice([0, 1, 2, 4, 255], (3, 8, 11))
    predictions = random.integers(0, 5, labels.shape)

    result = scores(counts_of(predictions, labels, 5))

    expected = authors_scores(predictions, labels, 5, void=255)
    assert {name: getattr(result, name) for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_sklearn_with_void_and_an_absent_class(seed):
    random = np.random.default_rng(seed)
    label = random.choice([0, 1, 2, 4, 255], 200)
    prediction = random.choice([0, 1, 2, 4], 200)
    truth, found = label[label != 255], prediction[label != 255]
    present = [0, 1, 2, 4]

    result = scores(counts_of(prediction, label, 5))

    assert result.pixel_accuracy == pytest.approx(accuracy_score(truth, found))
    assert result.mean_accuracy == pytest.approx(balanced_accuracy_score(truth, found))
    assert result.mean_iou == pytest.approx(
        jaccard_score(truth, found, labels=present, average="macro")
    )
    assert result.frequency_weighted_iou == pytest.approx(
        jaccard_score(truth, found, labels=present, average="weighted")
    )


@few
@given(arrays(np.int64, (4, 4), elements=st.integers(0, 50)), st.permutations(range(4)))
def test_permuting_classes_permutes_scores(counts, order):
    result, permuted = scores(counts), scores(counts[np.ix_(order, order)])

    np.testing.assert_allclose(permuted.class_iou, np.array(result.class_iou)[order])
    np.testing.assert_allclose(permuted.mean_iou, result.mean_iou)


@few
@given(arrays(np.int64, (4, 4), elements=st.integers(0, 50)))
def test_scores_are_between_nought_and_one(counts):
    result = scores(counts)

    known = np.array([*result.class_iou, *result.class_accuracy, result.frequency_weighted_iou])
    known = known[~np.isnan(known)]
    assert ((known >= 0) & (known <= 1)).all()


def test_scores_of_ten_billion_pixels_are_exact():
    assert scores(COUNTS * 10**10).mean_iou == scores(COUNTS).mean_iou
