"""From pixel counts to the four scores of the paper and the per-class ones.

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
from jaxtyping import Float, Float64, Integer, Real

SCORES = ("mean_iou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou")
"""The scores at the head of every table here; the IoU of every class follows them."""


@dataclass(frozen=True)
class Scores:
    """What a data set scored; everything in [0, 1], nan where there is no ground truth."""

    mean_iou: float
    """Intersection over union, averaged over classes."""
    pixel_accuracy: float
    """Share of the pixels that are right."""
    mean_accuracy: float
    """Share of the right pixels of a class, averaged over classes."""
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


def table(
    areas: Float[np.ndarray, "3 *r c"], whole: Float[np.ndarray, "3 c"] | None = None
) -> Float64[np.ndarray, "*r s"]:
    """Score each row of areas: the four of `SCORES`, then the IoU of every class.

    Args:
        areas: right, true and predicted pixels of images or data sets, by class; a class without
            ground truth leaves its row's means.
        whole: those of the set that the rows were drawn from. Where a row happens to hold no
            image of a class, the class enters the row's means with its ratio in the whole set,
            so that all rows average the same classes.
    """
    absent = areas[1] == 0
    right, truth, found = areas
    if whole is not None:
        right, truth, found = np.where(absent, whole[:, None], areas)
    known = truth > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        iou = np.where(known, right / (truth + found - right), 0)
        recall = np.where(known, right / truth, 0)
        pixels = areas[1].sum(-1)
        columns = [
            iou.sum(-1) / known.sum(-1),
            areas[0].sum(-1) / pixels,
            recall.sum(-1) / known.sum(-1),
            (areas[1] * iou).sum(-1) / pixels,
        ]
    return np.concatenate([np.stack(columns, -1), np.where(absent, np.nan, iou)], -1)


def areas_of(counts: Real[np.ndarray, "c c"]) -> Float64[np.ndarray, "3 c"]:
    """Return right, true and predicted pixels of a confusion matrix by class."""
    return np.stack([np.diag(counts), counts.sum(1), counts.sum(0)]).astype(np.float64)


def scores(counts: Integer[np.ndarray, "c c"]) -> Scores:
    """Turn pixels by (true class, predicted class) into scores, in float64."""
    right, truth, found = areas = areas_of(counts)
    mean_iou, pixel_accuracy, mean_accuracy, weighted, *iou = table(areas).tolist()
    with np.errstate(divide="ignore", invalid="ignore"):
        accuracy = right / truth
        precision = np.where(truth > 0, right / found, np.nan)
        dice = np.where(truth > 0, 2 * right / (truth + found), np.nan)
    return Scores(
        mean_iou,
        pixel_accuracy,
        mean_accuracy,
        frequency_weighted_iou=weighted,
        class_iou=tuple(iou),
        class_accuracy=tuple(accuracy.tolist()),
        class_precision=tuple(precision.tolist()),
        class_dice=tuple(dice.tolist()),
        class_pixels=tuple(counts.sum(axis=1).tolist()),
    )


def known(value: float | None) -> float | None:
    """Turn nan into None, as JSON wants it."""
    return None if value is None or not np.isfinite(value) else float(value)
