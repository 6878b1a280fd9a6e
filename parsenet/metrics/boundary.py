"""Scores near the contours, where mean IoU hardly looks: boundary IoU and the trimap curve.

Both ask how far the nearest pixel of another label is, in rows and columns.

Void pixels are made void in the prediction too before contours are looked for, and count nowhere.
So a prediction that is right wherever it is judged scores 1, whatever it says under void.

Source: Cheng, Girshick, Dollar, Berg, Kirillov, Boundary IoU (CVPR 2021, arXiv:2103.16562);
Kohli, Ladicky, Torr, Robust Higher Order Potentials (IJCV 2009) and DeepLab (arXiv:1412.7062,
section 4.3) for the trimap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int32, UInt
from scipy.ndimage import distance_transform_cdt, maximum_filter, minimum_filter

from parsenet.taxonomy import IGNORE_INDEX

RATIO = 0.02
"""Width of the boundary strip as a share of the image's diagonal, the paper's choice."""

WIDTHS = (1, 2, 4, 8, 16, 32)
"""Widths of the trimap's bands, in pixels."""


def contour_areas(
    prediction: UInt[np.ndarray, "h w"],
    label: UInt[np.ndarray, "h w"],
    num_classes: int,
    void: int = IGNORE_INDEX,
    ratio: float = RATIO,
    widths: Sequence[int] = WIDTHS,
) -> Float64[np.ndarray, "3 r c"]:
    """Count the pixels of an image near contours; add up over images, then `scores.table`.

    A pixel of a class is in the class's strip when a pixel of another label, or the outside of the
    image, is at most d pixels away in rows and columns; d is `ratio` of the diagonal. It is in the
    band of width w when a pixel of another true label, void being one, is at most w pixels away;
    the wider the band, the nearer its score to that of the whole images.

    Args:
        prediction: predicted classes 0..C-1.
        label: true classes 0..C-1, or void.
        num_classes: number of classes C.
        void: label value of pixels that are left out.
        ratio: width of the boundary strips as a share of the diagonal.
        widths: widths of the trimap's bands in pixels, the narrowest first.

    Returns:
        right, true and predicted pixels by row and class: first the boundary strips, where the
        three are in both strips, the true one and the predicted one; then every band.
    """
    counted = label != void
    judged = np.where(counted, prediction, label)
    distance = distance_to_other_label(label)
    radius = max(1, round(ratio * math.hypot(*label.shape)))
    edge = np.ones(label.shape, bool)
    edge[radius:-radius, radius:-radius] = False
    truth = counted & (edge | (distance <= radius))
    found = counted & (edge | (distance_to_other_label(judged) <= radius))
    right = label == judged
    strips = [(truth & found & right, label), (truth, label), (found, judged)]
    # By the narrowest band that holds a pixel; wider bands hold the narrower ones.
    band = np.searchsorted(widths, distance) * num_classes
    bands = [(counted & right, band + label), (counted, band + label), (counted, band + judged)]
    size = (1 + len(widths)) * num_classes
    sums = [np.bincount(codes[where], minlength=size) for where, codes in bands]
    nested = np.reshape(sums, (3, -1, num_classes)).cumsum(axis=1)[:, :-1]
    edges = [[np.bincount(codes[where], minlength=num_classes)] for where, codes in strips]
    return np.concatenate([edges, nested], axis=1).astype(np.float64)


def distance_to_other_label(label: UInt[np.ndarray, "h w"]) -> Int32[np.ndarray, "h w"]:
    """Return the steps from each pixel to the nearest one of another label."""
    contour = minimum_filter(label, 3, mode="nearest") != maximum_filter(label, 3, mode="nearest")
    if not contour.any():
        return np.full(label.shape, np.iinfo(np.int32).max, np.int32)
    # To the nearest pixel that has another label beside it, and one step more.
    steps: Int32[np.ndarray, "h w"] = distance_transform_cdt(~contour, "chessboard")
    return steps + 1
