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

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from parsenet.errors import ConfigError, LabelError
from parsenet.metrics.counting import ImageCounts
from parsenet.metrics.scores import SCORES, known, table

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


class Intervals(NamedTuple):
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
    """Chance of a difference as large when swapping the two changes nothing; two-sided.

    Those of the classes are Holm's: testing many, one would look better by chance.
    """
    num_images: Int64[np.ndarray, " c"]
    """Images that show each class; from few of them, limits are too narrow."""
    how: Resampling
    """How it was drawn."""

    def to_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """Return plain numbers in [0, 1] by score and class; what does not exist is None."""
        sides = {"a": self.one, "b": self.other, "difference": self.difference}
        num_images = [None] * len(SCORES) + self.num_images.tolist()
        record: dict[str, Any] = {}
        for row, label in enumerate([*SCORES, *(f"IoU_{name}" for name in names)]):
            record[label] = {
                side: {limit: known(values[row]) for limit, values in bounds._asdict().items()}
                for side, bounds in sides.items()
            }
            record[label] |= {"p_value": known(self.p_value[row]), "num_images": num_images[row]}
        return {"resampling": asdict(self.how), "scores": record}


def compare(one: ImageCounts, other: ImageCounts, how: Resampling = Resampling()) -> Comparison:
    """Bound the scores of two checkpoints on the same images, and test their difference.

    Raises:
        LabelError: the images, or their ground truth, are not the same.
    """
    first, second = _pair(one, other)
    before, after = table(first.sum(1)), table(second.sum(1))
    draws = [
        (table(times @ first, first.sum(1)), table(times @ second, second.sum(1)))
        for times in _resamples(len(one), how)
    ]
    drawn_before, drawn_after = (np.concatenate(part) for part in zip(*draws, strict=True))
    return Comparison(
        Intervals(before, *_quantiles(drawn_before, how.level)),
        Intervals(after, *_quantiles(drawn_after, how.level)),
        Intervals(after - before, *_quantiles(drawn_after - drawn_before, how.level)),
        _permutation_test(first, second, np.abs(after - before), how),
        (first[1] > 0).sum(0),
        how,
    )


def _pair(
    one: ImageCounts, other: ImageCounts
) -> tuple[Float64[np.ndarray, "3 n c"], Float64[np.ndarray, "3 n c"]]:
    """Return the areas of both, in the same order of images."""
    if set(one.ids) != set(other.ids):
        single = sorted(set(one.ids) ^ set(other.ids))
        raise LabelError(
            f"`other` must have the images of `one`, got {len(single)} that only one of them "
            f"has, such as '{single[0]}'. Score both on the same split."
        )
    if one.num_classes != other.num_classes:
        raise LabelError(
            f"`other` must have the {one.num_classes} classes of `one`, got {other.num_classes}. "
            "Score both with the same taxonomy."
        )
    place = {name: index for index, name in enumerate(other.ids)}
    first, second = one.areas(), other.subset([place[name] for name in one.ids]).areas()
    different = np.flatnonzero((first[1] != second[1]).any(-1))
    if different.size:
        raise LabelError(
            f"`other` must have the ground truth of `one`, got other counts in {different.size} "
            f"images, such as '{one.ids[different[0]]}'. Score both at the same size."
        )
    return first, second


def _resamples(num_images: int, how: Resampling) -> Iterator[Float64[np.ndarray, "r n"]]:
    """Draw images with replacement: how often each was drawn, block after block."""
    random = np.random.default_rng([how.seed, 0])
    for size in _blocks(num_images, how.resamples):
        drawn = random.integers(0, num_images, (size, num_images))
        drawn += np.arange(size)[:, None] * num_images
        times = np.bincount(drawn.ravel(), minlength=size * num_images)
        yield times.reshape(size, num_images).astype(np.float64)


def _permutation_test(
    first: Float64[np.ndarray, "3 n c"],
    second: Float64[np.ndarray, "3 n c"],
    observed: Float64[np.ndarray, " s"],
    how: Resampling,
) -> Float64[np.ndarray, " s"]:
    """Count how often the difference gets as large as observed when images are swapped."""
    random = np.random.default_rng([how.seed, 1])
    num_images = first.shape[1]
    as_large = np.zeros(len(observed))
    for size in _blocks(num_images, how.resamples):
        kept = random.integers(0, 2, (size, num_images)).astype(np.float64)
        one = table(kept @ first + (1 - kept) @ second)
        other = table((1 - kept) @ first + kept @ second)
        # The margin takes sums of the same numbers in another order for ties.
        as_large += (np.abs(one - other) >= observed - 1e-12).sum(0)
    # The data as they are belong to the permutations: a p-value is never zero.
    p_value = np.where(np.isnan(observed), np.nan, (as_large + 1) / (how.resamples + 1))
    return np.concatenate([p_value[: len(SCORES)], _holm(p_value[len(SCORES) :])])


def _blocks(num_images: int, resamples: int) -> list[int]:
    """Divide the resamples, so that memory stays bounded."""
    size = max(1, _CHUNK // max(1, num_images))
    return [min(size, resamples - start) for start in range(0, resamples, size)]


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
