"""Class weights for a loss, ready to use, and how often rare classes would be shown."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from parsenet.doctor.totals import Totals

FORMULAS = {
    "inverse_frequency": "N / (C n_c)",
    "median_frequency": "median(f) / f_c, f_c = n_c / pixels of the images that show c",
    "enet": "1 / ln(1.02 + n_c / N)",
}
"""With n_c pixels of class c, N of all classes, and C classes that occur. Void counts nowhere."""


def class_weights(totals: Totals) -> dict[str, Float64[np.ndarray, " c"]]:
    """Weigh classes by how rare they are; a class that never occurs weighs 1.

    Args:
        totals: of the training labels.

    Returns:
        weights by the name of their formula, see `FORMULAS`.

    Source: median frequency balancing, Eigen and Fergus, arXiv:1411.4734 (SegNet's too); ENet,
    arXiv:1606.02147, section 5.2.
    """
    pixels, around = totals.pixels.astype(np.float64), totals.around.astype(np.float64)
    occurs = pixels > 0
    weights = {name: np.ones(len(pixels)) for name in FORMULAS}
    if not occurs.any():
        return weights
    everything = pixels.sum()
    seen = pixels[occurs]
    weights["inverse_frequency"][occurs] = everything / (occurs.sum() * seen)
    frequency = seen / around[occurs]
    weights["median_frequency"][occurs] = np.median(frequency) / frequency
    weights["enet"][occurs] = 1 / np.log(1.02 + seen / everything)
    return weights


def class_repeats(totals: Totals, threshold: float) -> Float64[np.ndarray, " c"]:
    """Tell how many times as often images of each class come with `data.balance: threshold`.

    Args:
        totals: of the training labels.
        threshold: share of the images below which a class is rare.

    Source: LVIS, arXiv:1908.03195, appendix; `parsenet.data.sampler.repeat_factors`.
    """
    if not totals.labels:
        return np.ones(len(totals.pixels))
    share = np.maximum(totals.present.mean(axis=0), 1e-9)
    repeats: Float64[np.ndarray, " c"] = np.maximum(1.0, np.sqrt(threshold / share))
    repeats[totals.images == 0] = 1.0
    return repeats
