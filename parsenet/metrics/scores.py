"""From confusion counts to the four scores of the paper and the per-class ones.

With n_ij pixels of true class i predicted as j, and t_i = sum_j n_ij:

    pixel accuracy             sum_i n_ii / sum_i t_i
    mean accuracy              mean_i n_ii / t_i
    mean IoU                   mean_i n_ii / (t_i + sum_j n_ji - n_ii)
    frequency-weighted IoU     sum_i t_i IoU_i / sum_i t_i

and for a class: accuracy (its recall) n_ii / t_i, precision n_ii / sum_j n_ji, and Dice (F1)
2 n_ii / (t_i + sum_j n_ji).

Classes without ground truth (t_i = 0) leave the means, as the authors do; pixels wrongly given to
such a class still cost their true class.

Source: PAPER 4a and 4b (FCN's score.py; wl_evaluateSegment.m, weiliu89/caffe, branch fcn).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Integer

from parsenet.metrics.per_image import ImageCounts


@dataclass(frozen=True)
class Scores:
    """What a data set scored; everything in [0, 1], nan where there is no ground truth."""

    pixel_accuracy: float
    """Share of the pixels that are right."""
    mean_accuracy: float
    """Share of the right pixels of a class, averaged over classes."""
    mean_iou: float
    """Intersection over union, averaged over classes."""
    frequency_weighted_iou: float
    """Intersection over union, averaged over classes with their pixels as weights."""
    class_iou: tuple[float, ...]
    """Intersection over union of every class."""
    class_accuracy: tuple[float, ...]
    """Share of the right pixels of every class; also called recall."""
    class_precision: tuple[float, ...]
    """Share of the pixels given to a class that belong to it; nan where none was given."""
    class_dice: tuple[float, ...]
    """Dice or F1 of every class: the harmonic mean of precision and accuracy."""
    class_pixels: tuple[int, ...]
    """Ground-truth pixels of every class, void not counted."""


@dataclass(frozen=True)
class ImageScores:
    """What every image scored by itself; nan for an image without a counted pixel."""

    pixel_accuracy: tuple[float, ...]
    """Share of the pixels that are right."""
    mean_iou: tuple[float, ...]
    """Intersection over union, averaged over the classes in the image's ground truth."""


def scores(counts: Integer[np.ndarray, "c c"]) -> Scores:
    """Turn confusion counts into scores, in float64.

    Args:
        counts: pixels by (true class, predicted class).
    """
    right = np.diag(counts).astype(np.float64)
    truth = counts.sum(axis=1).astype(np.float64)
    predicted = counts.sum(axis=0).astype(np.float64)
    union = truth + predicted - right
    present = truth > 0
    iou = _divide(right, union, present)
    accuracy = _divide(right, truth, present)
    return Scores(
        pixel_accuracy=_share(right[present].sum(), truth.sum()),
        mean_accuracy=_mean(accuracy),
        mean_iou=_mean(iou),
        frequency_weighted_iou=_share((truth * iou)[present].sum(), truth.sum()),
        class_iou=tuple(iou.tolist()),
        class_accuracy=tuple(accuracy.tolist()),
        class_precision=tuple(_divide(right, predicted, present & (predicted > 0)).tolist()),
        class_dice=tuple(_divide(2 * right, truth + predicted, present).tolist()),
        class_pixels=tuple(int(pixels) for pixels in counts.sum(axis=1)),
    )


def image_scores(images: ImageCounts) -> ImageScores:
    """Score every image by itself, to find the bad ones; their mean is not the data set's score.

    Args:
        images: counts per image.
    """
    right, truth, predicted = (part.astype(np.float64) for part in images.class_sums())
    present = truth > 0
    iou = _divide(right, truth + predicted - right, present)
    total = truth.sum(axis=1)
    some = total > 0
    accuracy = _divide(right.sum(axis=1), total, some)
    mean_iou = _divide(np.nansum(iou, axis=1), present.sum(axis=1).astype(np.float64), some)
    return ImageScores(tuple(accuracy.tolist()), tuple(mean_iou.tolist()))


def _divide(
    part: Float64[np.ndarray, "*c"], whole: Float64[np.ndarray, "*c"], where: Bool[np.ndarray, "*c"]
) -> Float64[np.ndarray, "*c"]:
    ratio = np.full_like(part, np.nan)
    np.divide(part, whole, out=ratio, where=where)
    return ratio


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _mean(values: Float64[np.ndarray, " c"]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
