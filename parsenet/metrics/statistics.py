"""How far a score can be trusted: intervals, and a paired test between two checkpoints.

A score is a ratio of sums over images, and images are what is drawn at random; pixels of one
image are not independent. So images are resampled, never pixels: a confidence interval holds
the scores of data sets made by drawing images with replacement (percentile bootstrap), and a
difference is judged by swapping the two checkpoints' counts in random images, which changes
nothing if neither is better (paired permutation test).

What is covered is the choice of images. How much a score moves from one training run to the next
is another question, which only more runs answer.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 15.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from parsenet.errors import ConfigError, LabelError
from parsenet.metrics.areas import ClassAreas, class_areas
from parsenet.metrics.per_image import ImageCounts

SCORES = ("mean_iou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou")
"""The scores at the head of every table here; the IoU of every class follows them."""

_CHUNK = 2**22
"""Numbers in a block of resamples: 32 MB, whatever the number of images."""


@dataclass(frozen=True)
class Resampling:
    """How to draw."""

    resamples: int = 5000
    """Data sets drawn; the last digit of a limit or a p-value shrinks with its root."""
    level: float = 0.95
    """Share of the resamples that an interval holds."""
    seed: int = 0
    """Start of the randomness: the same seed gives the same figures."""

    def __post_init__(self) -> None:
        if self.resamples < 100:
            raise ConfigError(
                f"`resamples` must be at least 100, got {self.resamples}. Use 5000 for a paper."
            )
        if not 0 < self.level < 1:
            raise ConfigError(f"`level` must be between 0 and 1, got {self.level}. Use 0.95.")


@dataclass(frozen=True)
class Intervals:
    """Scores with their limits; the four of `SCORES` first, then the IoU of every class."""

    value: Float64[np.ndarray, " s"]
    """Score of the images themselves, nan where there is none."""
    low: Float64[np.ndarray, " s"]
    """Lower limit."""
    high: Float64[np.ndarray, " s"]
    """Upper limit."""


@dataclass(frozen=True)
class Comparison:
    """Two checkpoints on the same images; differences are `other` minus `one`."""

    one: Intervals
    other: Intervals
    difference: Intervals
    p_value: Float64[np.ndarray, " s"]
    """Chance of a difference as large when swapping the two changes nothing; two-sided."""
    num_images: Int64[np.ndarray, " c"]
    """Images that show each class; from few of them, limits are too narrow."""

    @property
    def p_value_of_classes(self) -> Float64[np.ndarray, " c"]:
        """Holm's p-values of the classes: testing many, one would look better by chance."""
        return _holm(self.p_value[len(SCORES) :])


def table(areas: ClassAreas, whole: ClassAreas | None = None) -> Float64[np.ndarray, "*r s"]:
    """Score each row of areas: the four of `SCORES`, then the IoU of every class.

    Args:
        areas: sums of several data sets, one per row; a class without ground truth leaves its
            row's means.
        whole: sums of the set that the rows were drawn from. Where a row happens to hold no
            image of a class, the class enters the row's means with its ratio in the whole set,
            so that all rows average the same classes.
    """
    right, truth, union = areas.right, areas.truth, areas.union
    absent = truth == 0
    if whole is not None:
        right, truth = np.where(absent, whole.right, right), np.where(absent, whole.truth, truth)
        union = np.where(absent, whole.union, union)
    known = truth > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        iou = np.where(known, right / union, 0)
        recall = np.where(known, right / truth, 0)
        pixels = areas.truth.sum(-1)
        columns = [
            iou.sum(-1) / known.sum(-1),
            areas.right.sum(-1) / pixels,
            recall.sum(-1) / known.sum(-1),
            (areas.truth * iou).sum(-1) / pixels,
        ]
    return np.concatenate([np.stack(columns, -1), np.where(absent, np.nan, iou)], -1)


def intervals(counts: ImageCounts, how: Resampling = Resampling()) -> Intervals:
    """Bound every score by the bootstrap over images.

    Args:
        counts: confusion counts of every image.
        how: number of resamples, level and seed.
    """
    areas = class_areas(counts)
    whole = areas.total()
    drawn = [table(areas.weighted(times), whole) for times in _resamples(len(counts), how)]
    return _bound(areas, np.concatenate(drawn), how.level)


def compare(one: ImageCounts, other: ImageCounts, how: Resampling = Resampling()) -> Comparison:
    """Bound the scores of two checkpoints and test their difference, image by image.

    Args:
        one: counts of the first.
        other: counts of the second on the same images, in any order.
        how: number of resamples, level and seed.

    Raises:
        LabelError: the images, or their ground truth, are not the same.
    """
    first, second = _pair(one, other)
    draws = [
        (table(first.weighted(times), first.total()), table(second.weighted(times), second.total()))
        for times in _resamples(len(one), how)
    ]
    drawn_first, drawn_second = (np.concatenate(part) for part in zip(*draws, strict=True))
    before, after = (
        _bound(first, drawn_first, how.level),
        _bound(second, drawn_second, how.level),
    )
    low, high = _quantiles(drawn_second - drawn_first, how.level)
    difference = after.value - before.value
    return Comparison(
        before,
        after,
        Intervals(difference, low, high),
        _permutation_test(first, second, np.abs(difference), how),
        (first.truth > 0).sum(0),
    )


def _pair(one: ImageCounts, other: ImageCounts) -> tuple[ClassAreas, ClassAreas]:
    """Bring two sets of counts into the same order of images."""
    if set(one.ids) != set(other.ids):
        single = sorted(set(one.ids) ^ set(other.ids))
        raise LabelError(
            f"`other` must have the images of `one`, got {len(single)} that only one of them "
            f"has, such as '{single[0]}'. Score both on the same split."
        )
    place = {name: index for index, name in enumerate(other.ids)}
    first, second = class_areas(one), class_areas(other.subset([place[name] for name in one.ids]))
    different = np.flatnonzero((first.truth != second.truth).any(-1))
    if different.size:
        raise LabelError(
            f"`other` must have the ground truth of `one`, got other counts in {different.size} "
            f"images, such as '{one.ids[different[0]]}'. Score both at the same size."
        )
    return first, second


def _resamples(num_images: int, how: Resampling) -> Iterator[Int64[np.ndarray, "r n"]]:
    """Draw images with replacement: how often each was drawn, block after block."""
    random = np.random.default_rng([how.seed, 0])
    for size in _blocks(num_images, how.resamples):
        drawn = random.integers(0, num_images, (size, num_images))
        drawn += np.arange(size)[:, None] * num_images
        times = np.bincount(drawn.ravel(), minlength=size * num_images)
        yield times.reshape(size, num_images)


def _permutation_test(
    first: ClassAreas, second: ClassAreas, observed: Float64[np.ndarray, " s"], how: Resampling
) -> Float64[np.ndarray, " s"]:
    random = np.random.default_rng([how.seed, 1])
    num_images = len(first.truth)
    as_large = np.zeros(len(observed))
    for size in _blocks(num_images, how.resamples):
        kept = random.integers(0, 2, (size, num_images))
        difference = table(_mixed(first, second, kept)) - table(_mixed(first, second, 1 - kept))
        # The margin takes sums of the same numbers in another order for ties.
        as_large += (np.abs(difference) >= observed - 1e-12).sum(0)
    # The data as they are belong to the permutations: a p-value is never zero.
    return np.where(np.isnan(observed), np.nan, (as_large + 1) / (how.resamples + 1))


def _mixed(first: ClassAreas, second: ClassAreas, kept: Int64[np.ndarray, "r n"]) -> ClassAreas:
    """Sum images of the first where kept, else of the second."""
    one, other = first.weighted(kept), second.weighted(1 - kept)
    return ClassAreas(one.right + other.right, one.truth + other.truth, one.found + other.found)


def _blocks(num_images: int, resamples: int) -> Iterator[int]:
    size = max(1, _CHUNK // max(1, num_images))
    for start in range(0, resamples, size):
        yield min(size, resamples - start)


def _bound(areas: ClassAreas, drawn: Float64[np.ndarray, "r s"], level: float) -> Intervals:
    return Intervals(table(areas.total()), *_quantiles(drawn, level))


def _quantiles(
    drawn: Float64[np.ndarray, "r s"], level: float
) -> tuple[Float64[np.ndarray, " s"], Float64[np.ndarray, " s"]]:
    """Cut off the same share at both ends; draws without the class do not count."""
    limits = np.full((2, drawn.shape[1]), np.nan)
    known = ~np.isnan(drawn).all(0)
    limits[:, known] = np.nanquantile(drawn[:, known], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return limits[0], limits[1]


def _holm(p_value: Float64[np.ndarray, " c"]) -> Float64[np.ndarray, " c"]:
    """Correct for testing many classes; source: Holm, Scandinavian J. of Statistics 6 (1979)."""
    adjusted = np.full_like(p_value, np.nan)
    order = np.argsort(p_value)[: np.isfinite(p_value).sum()]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_value[order] * factors))
    return adjusted
