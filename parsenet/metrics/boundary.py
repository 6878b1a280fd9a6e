"""Scores near the contours, where mean IoU hardly looks: boundary IoU and the trimap curve.

Both come from one question: does the square window of radius d around a pixel show a single label?
The smallest and the largest label of a window answer it for all classes at once, and running minima
and maxima cost the logarithm of d, so no image library is needed.

Void pixels are made void in the prediction too before contours are looked for, and count nowhere.
So a prediction that is right wherever it is judged scores 1, whatever it says under void.

Source: Cheng, Girshick, Dollar, Berg, Kirillov, Boundary IoU (CVPR 2021, arXiv:2103.16562);
Kohli, Ladicky, Torr, Robust Higher Order Potentials (IJCV 2009) and DeepLab (arXiv:1412.7062,
section 4.3) for the trimap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt

from parsenet.metrics.counting import count
from parsenet.taxonomy import IGNORE_INDEX

RATIO = 0.02
"""Width of the boundary strip as a share of the image's diagonal, the paper's choice."""

WIDTHS = (1, 2, 4, 8, 16, 32)
"""Widths of the trimap's bands, in pixels."""


@dataclass(frozen=True)
class BoundaryAreas:
    """Strip pixels by class, summed over images: add them up, divide at the end."""

    both: Int64[np.ndarray, " c"]
    """In the strip of the truth and in that of the prediction."""
    either: Int64[np.ndarray, " c"]
    """In one of the two at least."""
    truth: Int64[np.ndarray, " c"]
    """In the strip of the truth."""

    def __add__(self, other: BoundaryAreas) -> BoundaryAreas:
        return BoundaryAreas(
            self.both + other.both, self.either + other.either, self.truth + other.truth
        )

    def iou(self) -> Float64[np.ndarray, " c"]:
        """Return the boundary IoU of every class; nan where there is no ground truth."""
        iou = np.full(len(self.both), np.nan)
        np.divide(self.both, self.either, out=iou, where=self.truth > 0)
        return iou

    def mean_iou(self) -> float:
        """Average over the classes with ground truth."""
        iou = self.iou()
        known = iou[~np.isnan(iou)]
        return float(known.mean()) if known.size else float("nan")


def boundary_areas(
    prediction: UInt[np.ndarray, "h w"],
    label: UInt[np.ndarray, "h w"],
    num_classes: int,
    void: int = IGNORE_INDEX,
    ratio: float = RATIO,
) -> BoundaryAreas:
    """Count the strip pixels of one image.

    A pixel of a class is in the class's strip when a pixel of another label, or the outside of the
    image, is at most d pixels away in rows and columns; d is `ratio` of the diagonal.

    Args:
        prediction: predicted classes 0..C-1.
        label: true classes 0..C-1, or void.
        num_classes: number of classes C.
        void: label value of pixels that are left out.
        ratio: width of the strip as a share of the diagonal.
    """
    radius = max(1, round(ratio * math.hypot(*label.shape)))
    counted = label != void
    judged = np.where(counted, prediction, label)
    in_truth = _near_other_label(label, radius, outside=True) & counted
    in_found = _near_other_label(judged, radius, outside=True) & counted

    def add(labels: UInt[np.ndarray, "h w"], where: Bool[np.ndarray, "h w"]) -> np.ndarray:
        return np.bincount(labels[where], minlength=num_classes)

    truth = add(label, in_truth)
    both = add(label, in_truth & in_found & (label == judged))
    return BoundaryAreas(both, truth + add(judged, in_found) - both, truth)


def trimap_counts(
    prediction: UInt[np.ndarray, "h w"],
    label: UInt[np.ndarray, "h w"],
    num_classes: int,
    void: int = IGNORE_INDEX,
    widths: Sequence[int] = WIDTHS,
) -> Int64[np.ndarray, "b c c"]:
    """Count the pixels of one image within bands around the true contours.

    A pixel is in the band of width w when a pixel of another label, void being one, is at most w
    pixels away in rows and columns. Add the counts up over images; `scores.scores` of each width
    then draws the trimap curve, which ends at the score of the whole images.

    Args:
        prediction: predicted classes 0..C-1.
        label: true classes 0..C-1, or void.
        num_classes: number of classes C.
        void: label value of pixels that are left out.
        widths: widths of the bands, in pixels.

    Returns:
        a confusion matrix for every width.
    """
    bands = []
    for width in widths:
        near = _near_other_label(label, width, outside=False)
        bands.append(
            count(prediction, np.where(near, label, label.dtype.type(void)), num_classes, void)
        )
    return np.stack(bands)


def _near_other_label(
    label: UInt[np.ndarray, "h w"], radius: int, *, outside: bool
) -> Bool[np.ndarray, "h w"]:
    """Tell which pixels see two labels in their window, the outside being one if asked for."""
    smallest, largest = label, label
    for axis in (0, 1):
        smallest = _running(np.minimum, smallest, radius, axis)
        largest = _running(np.maximum, largest, radius, axis)
    near: Bool[np.ndarray, "h w"] = smallest != largest
    if outside:
        near[:radius] = near[-radius:] = near[:, :radius] = near[:, -radius:] = True
    return near


def _running(
    pick: np.ufunc, label: UInt[np.ndarray, "h w"], radius: int, axis: int
) -> UInt[np.ndarray, "h w"]:
    """Take the smallest or largest of 2 * radius + 1 neighbours along an axis.

    Windows double: that of 2s pixels is made of two of s. At the image's edge the last pixel is
    repeated, which adds no label to a window.
    """
    around = [(0, 0), (0, 0)]
    around[axis] = (radius, radius)
    rows = np.moveaxis(np.pad(label, around, mode="edge"), axis, 0)
    window, covered = 2 * radius + 1, 1
    while covered < window:
        step = min(covered, window - covered)
        rows = pick(rows[:-step], rows[step:])
        covered += step
    return np.moveaxis(rows, 0, axis)
