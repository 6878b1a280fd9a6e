"""Confusion counts over a whole data set: how often true class i was predicted as class j.

Counts are int64, so a data set of any size is exact, and void pixels are left out of rows and
columns alike (PAPER 4b). Scores of single pictures are never averaged.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int64, Integer
from torch import Tensor

from parsenet.errors import LabelError
from parsenet.taxonomy import IGNORE_INDEX

_OUTSIDE = 256
"""The row that collects labels which are not 8-bit values."""


class ConfusionMatrix:
    """Adds up pixels by (true class, predicted class).

    Every 8-bit label value has a row of its own while counting: a wrong label is then found by
    looking at the counts, without a pass over the pixels and, on a GPU, without waiting for it.

    Args:
        num_classes: number of classes C; labels and predictions are 0..C-1.
        void: label value of pixels that count nowhere.
    """

    def __init__(self, num_classes: int, void: int = IGNORE_INDEX) -> None:
        self.num_classes = num_classes
        self.void = void
        self._host: Int64[np.ndarray, "257 c"] = np.zeros((_OUTSIDE + 1, num_classes), np.int64)
        self._device: Int64[Tensor, "257 c"] | None = None

    def update(
        self, prediction: Integer[Tensor, "*batch h w"], label: Integer[Tensor, "*batch H W"]
    ) -> None:
        """Add the pixels of one or more pictures.

        Tensors on a GPU are counted there without synchronising; their labels are checked when
        the counts are read.

        Args:
            prediction: predicted classes 0..C-1.
            label: true classes 0..C-1, or void.

        Raises:
            LabelError: the two differ in size, or a label is neither a class nor void.
        """
        if prediction.shape != label.shape:
            raise LabelError(
                f"`label` must be as large as `prediction` {tuple(prediction.shape)}, got "
                f"{tuple(label.shape)}. Upsample the prediction to the label's size."
            )
        if label.is_cuda:
            self._count_on_device(prediction, label)
        else:
            self._host += self._count(prediction.cpu().numpy(), label.numpy(force=True))
            self._refuse_wrong_labels(self._host)

    def to_numpy(self) -> Int64[np.ndarray, "c c"]:
        """Return a copy of the counts; rows are true classes, columns predicted ones.

        Raises:
            LabelError: a label counted on a GPU is neither a class nor void.
        """
        rows = self._host.copy()
        if self._device is not None:
            rows += self._device.cpu().numpy()
        self._refuse_wrong_labels(rows)
        return rows[: self.num_classes]

    def reset(self) -> None:
        """Forget all counts."""
        self._host[:] = 0
        self._device = None

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        if (self.num_classes, self.void) != (other.num_classes, other.void):
            raise ValueError(
                "`other` must have the same classes and void, got "
                f"{other.num_classes} and {other.void}, not {self.num_classes} and {self.void}."
            )
        total = ConfusionMatrix(self.num_classes, self.void)
        total._host[: self.num_classes] = self.to_numpy() + other.to_numpy()
        return total

    def _count(
        self,
        prediction: Integer[np.ndarray, "*batch h w"],
        label: Integer[np.ndarray, "*batch h w"],
    ) -> Int64[np.ndarray, "257 c"]:
        if prediction.size and not 0 <= prediction.min() <= prediction.max() < self.num_classes:
            raise ValueError(
                f"`prediction` must be in 0..{self.num_classes - 1}, got "
                f"{prediction.min()}..{prediction.max()}. Use a network of {self.num_classes} "
                "classes."
            )
        if label.dtype != np.uint8:
            label = np.where((label < 0) | (label > 255), _OUTSIDE, label)
        # 16 bits hold every code of 8-bit labels (255 * 255 + 254), and half the memory moves.
        code_type = np.dtype(np.uint16 if label.dtype == np.uint8 else np.int64)
        code = label.astype(code_type)
        code *= code_type.type(self.num_classes)
        code += prediction.astype(code_type)
        rows = np.bincount(code.ravel(), minlength=(_OUTSIDE + 1) * self.num_classes)
        return rows.reshape(_OUTSIDE + 1, self.num_classes)

    def _count_on_device(
        self, prediction: Integer[Tensor, "*batch h w"], label: Integer[Tensor, "*batch h w"]
    ) -> None:
        label = label.long()
        label = label.masked_fill((label < 0) | (label > 255), _OUTSIDE)
        code = (label * self.num_classes + prediction).flatten()
        # Outside inference mode, so that counts begun in an evaluation loop can be added to later.
        with torch.inference_mode(False), torch.no_grad():
            if self._device is None:
                self._device = torch.from_numpy(np.zeros_like(self._host)).to(label.device)
            # bincount would wait for the GPU to learn its largest value; scatter_add does not.
            self._device.view(-1).scatter_add_(0, code, torch.ones_like(code))

    def _refuse_wrong_labels(self, rows: Int64[np.ndarray, "257 c"]) -> None:
        per_value = rows.sum(axis=1)
        per_value[: self.num_classes] = 0
        per_value[self.void] = 0
        if not per_value.any():
            return
        value = int(per_value.argmax())
        shown = "a value outside 0..255" if value == _OUTSIDE else str(value)
        raise LabelError(
            f"`label` must be a class 0..{self.num_classes - 1} or void {self.void}, got {shown} "
            f"in {per_value[value]} pixels. Fix the labels or the taxonomy."
        )
