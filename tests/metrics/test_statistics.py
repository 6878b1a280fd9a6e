import re

import numpy as np
import pytest

from parsenet.errors import ConfigError, LabelError
from parsenet.metrics.counting import ImageCounts
from parsenet.metrics.scores import SCORES
from parsenet.metrics.statistics import Resampling, _holm, compare

QUICK = Resampling(resamples=400)


def images(counts):
    return ImageCounts.of([f"p{index}" for index in range(len(counts))], counts, counts.shape[1])


def drawn(seed, num_images=60, share=0.7):
    """Two classes of 100 pixels in every image, right for a share that varies."""
    random = np.random.default_rng(seed)
    right = np.clip(random.normal(100 * share, 12, (num_images, 2)), 0, 100).astype(np.int64)
    counts = np.zeros((num_images, 2, 2), np.int64)
    counts[:, [0, 1], [0, 1]] = right
    counts[:, [0, 1], [1, 0]] = 100 - right
    return images(counts)


def intervals(counts, how):
    return compare(counts, counts, how).one


def test_interval_is_that_of_the_normal_law_where_it_holds():
    """Every image has 200 counted pixels: pixel accuracy is a plain mean over images."""
    counts = drawn(1, num_images=200)
    share = counts.areas()[0].sum(1) / 200
    error = share.std() / np.sqrt(200)

    bounds = intervals(counts, Resampling(resamples=4000))

    expected = [share.mean() - 1.96 * error, share.mean() + 1.96 * error]
    assert [bounds.low[1], bounds.high[1]] == pytest.approx(expected, abs=0.1 * error)


def test_class_of_a_single_image_does_not_move_the_mean():
    """It is missed in every third draw; left out of the mean there, its 0 would not count."""
    counts = np.zeros((20, 2, 2), np.int64)
    counts[:, 0, 0] = 10
    counts[0, 1, 0] = 1

    bounds = intervals(images(counts), QUICK)

    assert bounds.high[0] == pytest.approx(0.5)


def test_blocks_change_nothing(monkeypatch):
    expected = compare(drawn(4), drawn(5), QUICK)
    monkeypatch.setattr("parsenet.metrics.statistics._CHUNK", 60 * 7)

    result = compare(drawn(4), drawn(5), QUICK)

    np.testing.assert_allclose(result.difference.low, expected.difference.low)
    np.testing.assert_array_equal(result.p_value, expected.p_value)


def test_exchanging_checkpoints_turns_the_difference_round():
    forth, back = compare(drawn(8), drawn(9), QUICK), compare(drawn(9), drawn(8), QUICK)

    np.testing.assert_allclose(forth.difference.low, -back.difference.high)
    np.testing.assert_array_equal(forth.p_value, back.p_value)


def test_p_value_is_that_of_all_permutations():
    """Three images, eight ways to swap: two of them, none and all, are as large as the data."""
    one = images(np.array([[[9, 1], [0, 10]], [[8, 2], [0, 10]], [[7, 3], [0, 10]]]))
    other = images(np.array([[[8, 2], [0, 10]], [[6, 4], [0, 10]], [[4, 6], [0, 10]]]))

    result = compare(one, other, Resampling(resamples=20_000))

    assert result.p_value[1] == pytest.approx(2 / 8, abs=0.01)


def test_images_are_paired_by_name():
    one = drawn(10)
    order = np.random.default_rng(0).permutation(len(one))

    result = compare(one, one.subset(order), QUICK)

    assert (result.p_value == 1).all()


def test_holm_is_right_by_hand():
    adjusted = _holm(np.array([0.04, 0.01, np.nan, 0.03]))

    np.testing.assert_allclose(adjusted, [0.06, 0.03, np.nan, 0.06])


RIGHT = np.array([[[3, 1], [0, 2]]] * 3)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            images(RIGHT[:2]),
            "`other` must have the images of `one`, got 1 that only one of them has, such as "
            "'p2'. Score both on the same split.",
        ),
        (
            images(np.array([RIGHT[0], [[3, 0], [0, 2]], RIGHT[2]])),
            "`other` must have the ground truth of `one`, got other counts in 1 images, such as "
            "'p1'. Score both at the same size.",
        ),
        (
            images(np.pad(RIGHT, ((0, 0), (0, 1), (0, 1)))),
            "`other` must have the 2 classes of `one`, got 3. Score both with the same taxonomy.",
        ),
    ],
)
def test_what_cannot_be_paired_is_refused(other, message):
    with pytest.raises(LabelError, match=f"^{re.escape(message)}$"):
        compare(images(RIGHT), other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resamples": 10}, "`resamples` must be at least 100, got 10. Use 5000 for a paper."),
        ({"level": 95.0}, "`level` must be between 0 and 1, got 95.0. Use 0.95."),
    ],
)
def test_odd_resampling_is_refused(options, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Resampling(**options)


@pytest.mark.slow
def test_intervals_hold_the_truth_and_the_test_seldom_lies():
    """150 data sets of 300 images; the bounds are four standard errors wide."""
    from benchmarks.coverage import Population, measure

    result = measure(Population(), images=300, trials=150, resamples=400)

    assert (result.interval[: len(SCORES)] > 0.88).all()
    assert result.interval[len(SCORES) :].mean() > 0.89
    assert (result.alarms[: len(SCORES)] < 0.12).all()
    assert result.family < 0.12
