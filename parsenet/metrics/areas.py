"""Per image and class, the three pixel sums that every score is made of: right, true, predicted.

A confusion matrix has C x C numbers, but all the scores in use need only its diagonal and its two
margins. Over many images that is a third of a table, small enough to resample thousands of times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer, Real

from parsenet.metrics.per_image import ImageCounts


@dataclass(frozen=True)
class ClassAreas:
    """Pixels by image and class; whole numbers, in float64 (exact below 2^53) unless said."""

    right: Float[np.ndarray, "*n c"]
    """Pixels of the class that were predicted as such."""
    truth: Float[np.ndarray, "*n c"]
    """Pixels of the class."""
    found: Float[np.ndarray, "*n c"]
    """Pixels predicted as the class, void left out."""

    @property
    def union(self) -> Float[np.ndarray, "*n c"]:
        """Pixels of the class, predicted as it, or both."""
        union: Float[np.ndarray, "*n c"] = self.truth + self.found - self.right
        return union

    def total(self) -> ClassAreas:
        """Sum over the images."""
        return ClassAreas(self.right.sum(0), self.truth.sum(0), self.found.sum(0))

    def weighted(self, weights: Integer[np.ndarray, "r n"]) -> ClassAreas:
        """Sum over the images, each taken so many times.

        Args:
            weights: how often each image is taken, one row per sum.
        """
        times = weights.astype(np.float64)
        return ClassAreas(times @ self.right, times @ self.truth, times @ self.found)


def class_areas(counts: ImageCounts) -> ClassAreas:
    """Add up the confusion counts of each image by class."""
    return ClassAreas(*(sums.astype(np.float64) for sums in counts.class_sums()))


def of_confusion(matrix: Real[np.ndarray, "c c"]) -> ClassAreas:
    """Take the areas of one confusion matrix, rows true and columns predicted classes."""
    counts = matrix.astype(np.float64)
    return ClassAreas(np.diag(counts).copy(), counts.sum(1), counts.sum(0))
