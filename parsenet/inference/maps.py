"""What a predictor says about an image, and how it is put together from parts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float16, Float32
from torch import Tensor

from parsenet.data.labels import LabelMap

_SMALLEST = 1e-30
"""Stands for a probability of 0, whose logarithm would be infinite."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a predictor says about one image."""

    label: LabelMap
    """Class indices 0..K-1."""
    probabilities: Float16[np.ndarray, "k h w"] | None = None
    """Probability of each class, where asked for."""
    entropy: Float32[np.ndarray, "h w"] | None = None
    """Uncertainty in [0, 1], where asked for: 0 is sure, 1 knows nothing (entropy / log K)."""


class Maps:
    """The maps of some images of one size, filled part by part.

    Args:
        shape: number of images, height, width.
        num_classes: classes.
        probabilities: keep the probability of each class.
        entropy: keep the uncertainty.
    """

    def __init__(
        self, shape: tuple[int, int, int], num_classes: int, probabilities: bool, entropy: bool
    ) -> None:
        self._label = np.empty(shape, np.uint8 if num_classes <= 256 else np.uint16)
        # A single class leaves nothing to be unsure about.
        self._most = math.log(num_classes) or 1.0
        by_class = (shape[0], num_classes, *shape[1:])
        self._probabilities = np.empty(by_class, np.float16) if probabilities else None
        self._entropy = np.empty(shape, np.float32) if entropy else None

    def put(
        self, top: int, left: int, values: Float[Tensor, "n k h w"], *, is_probability: bool
    ) -> None:
        """Fill the part that begins at (top, left).

        Args:
            top: first row.
            left: first column.
            values: class scores before the softmax, or probabilities.
            is_probability: which of the two they are.
        """
        part = (..., slice(top, top + values.shape[2]), slice(left, left + values.shape[3]))
        # On a CPU `max` is about eight times as fast as `argmax`, and as exact.
        best = values.max(dim=1).indices
        narrow = best.byte() if self._label.dtype == np.uint8 else best.int()
        self._label[part] = narrow.cpu().numpy()
        if self._probabilities is None and self._entropy is None:
            return
        shares = values if is_probability else values.softmax(1)
        if self._probabilities is not None:
            self._probabilities[part] = shares.half().cpu().numpy()
        if self._entropy is not None:
            # On a CPU five times as fast as `torch.special.entr`; 0 log 0 is 0 here too.
            surprise = shares.clamp_min(_SMALLEST).log_().mul_(shares).sum(1)
            self._entropy[part] = (-surprise / self._most).clamp_(0, 1).cpu().numpy()

    def split(self) -> list[Prediction]:
        """Return the prediction of each image."""
        return [
            Prediction(
                label,
                None if self._probabilities is None else self._probabilities[i],
                None if self._entropy is None else self._entropy[i],
            )
            for i, label in enumerate(self._label)
        ]
