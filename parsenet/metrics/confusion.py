"""Confusion counts of torch tensors: how often true class i was predicted as class j.

Counts are int64, so a data set of any size is exact, and void pixels are left out of rows and
columns alike (PAPER 4b). Scores of single images are never averaged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int64, Integer
from torch import Tensor

from parsenet.metrics.counting import (
    count_rows,
    num_rows,
    refuse_other_size,
    refuse_wrong_labels,
)
from parsenet.metrics.per_image import ImageCounts
from parsenet.taxonomy import IGNORE_INDEX

_BLOCK = 64
"""Images whose counts a GPU keeps before they are fetched; it waits once for so many."""


class ConfusionMatrix:
    """Adds up pixels by (true class, predicted class).

    Args:
        num_classes: number of classes C; labels and predictions are 0..C-1.
        void: label value of pixels that count nowhere.
    """

    def __init__(self, num_classes: int, void: int = IGNORE_INDEX) -> None:
        self.num_classes = num_classes
        self.void = void
        self._host: Int64[np.ndarray, "r c"] = np.zeros(
            (num_rows(num_classes), num_classes), np.int64
        )
        self._device: Int64[Tensor, "r c"] | None = None

    def update(
        self, prediction: Integer[Tensor, "*batch h w"], label: Integer[Tensor, "*batch H W"]
    ) -> None:
        """Add the pixels of one or more images.

        Tensors on a GPU are counted there without synchronising; their labels are checked when
        the counts are read.

        Args:
            prediction: predicted classes 0..C-1.
            label: true classes 0..C-1, or void.

        Raises:
            LabelError: the two differ in size, or a value is not among those above.
        """
        refuse_other_size(prediction.shape, label.shape)
        if label.is_cuda:
            self._count_on_device(prediction, label)
        else:
            self._host += count_rows(
                prediction.cpu().numpy(), label.numpy(force=True), self.num_classes
            )
            refuse_wrong_labels(self._host, self.num_classes, self.void)

    def to_numpy(self) -> Int64[np.ndarray, "c c"]:
        """Return a copy of the counts; rows are true classes, columns predicted ones.

        Raises:
            LabelError: a label counted on a GPU is neither a class nor void.
        """
        rows = self._host.copy()
        if self._device is not None:
            rows += self._device.cpu().numpy()
        refuse_wrong_labels(rows, self.num_classes, self.void)
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

    def _count_on_device(
        self, prediction: Integer[Tensor, "*batch h w"], label: Integer[Tensor, "*batch h w"]
    ) -> None:
        # Outside inference mode, so that counts begun in an evaluation loop can be added to later.
        with torch.inference_mode(False), torch.no_grad():
            if self._device is None:
                self._device = label.new_zeros(self._host.shape, dtype=torch.int64)
            _scatter(self._device, prediction, label)


class ImageCounter:
    """Counts pixels by (image, true class, predicted class), a batch at a time.

    Args:
        num_classes: number of classes C; labels and predictions are 0..C-1.
        void: label value of pixels that count nowhere.
    """

    def __init__(self, num_classes: int, void: int = IGNORE_INDEX) -> None:
        self.num_classes = num_classes
        self.void = void
        self._parts: list[ImageCounts] = []
        self._block: Int64[Tensor, "b r c"] | None = None
        self._block_ids: list[str] = []

    def update(
        self,
        prediction: Integer[Tensor, "n h w"],
        label: Integer[Tensor, "n H W"],
        ids: Sequence[str],
    ) -> None:
        """Count the pixels of some images.

        Tensors on a GPU are counted there; it is waited for once in 64 images, when their counts
        are fetched and their labels checked.

        Args:
            prediction: predicted classes 0..C-1.
            label: true classes 0..C-1, or void.
            ids: one name per image.

        Raises:
            LabelError: the two differ in size, or a value is not among those above.
        """
        refuse_other_size(prediction.shape, label.shape)
        for index, name in enumerate(ids):
            if label.is_cuda:
                self._count_on_device(prediction[index], label[index], name)
            else:
                rows = count_rows(
                    prediction[index].cpu().numpy(),
                    label[index].numpy(force=True),
                    self.num_classes,
                )
                self._keep([name], rows[None])

    def to_counts(self) -> ImageCounts:
        """Return what was counted since the last reset, sorted by id.

        Raises:
            LabelError: a label counted on a GPU is neither a class nor void.
        """
        self._fetch()
        return ImageCounts.join(self._parts, self.num_classes)

    def reset(self) -> None:
        """Forget all counts."""
        self._parts = []
        self._block = None
        self._block_ids = []

    def _count_on_device(
        self, prediction: Integer[Tensor, "h w"], label: Integer[Tensor, "h w"], name: str
    ) -> None:
        with torch.inference_mode(False), torch.no_grad():
            if self._block is None:
                shape = (_BLOCK, num_rows(self.num_classes), self.num_classes)
                self._block = label.new_zeros(shape, dtype=torch.int64)
            _scatter(self._block[len(self._block_ids)], prediction, label)
        self._block_ids.append(name)
        if len(self._block_ids) == _BLOCK:
            self._fetch()

    def _fetch(self) -> None:
        if self._block is not None:
            self._keep(self._block_ids, self._block[: len(self._block_ids)].cpu().numpy())
            self._block, self._block_ids = None, []

    def _keep(self, ids: Sequence[str], rows: Int64[np.ndarray, "n r c"]) -> None:
        refuse_wrong_labels(rows.sum(axis=0), self.num_classes, self.void)
        part = ImageCounts.of(ids, rows[:, : self.num_classes], self.num_classes)
        self._parts = ImageCounts.gather(self._parts, part)


def _scatter(
    rows: Int64[Tensor, "r c"],
    prediction: Integer[Tensor, "*batch h w"],
    label: Integer[Tensor, "*batch h w"],
) -> None:
    """Add pixels to counts by (label value, predicted class), without waiting for a GPU."""
    label = label.long()
    last = len(rows) - 1
    label = label.masked_fill((label < 0) | (label >= last), last)
    code = (label * rows.shape[1] + prediction).flatten()
    # bincount would wait for the GPU to learn its largest value; scatter_add does not.
    rows.view(-1).scatter_add_(0, code, torch.ones_like(code))
