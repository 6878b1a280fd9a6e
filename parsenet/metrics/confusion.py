"""Count the pixels of torch tensors, image by image or in one confusion matrix.

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
    ImageCounts,
    count,
    num_rows,
    refuse_other_size,
    refuse_wrong_labels,
    refuse_wrong_predictions,
)
from parsenet.taxonomy import IGNORE_INDEX

_BLOCK = 64
"""Images whose counts a GPU keeps before they are fetched; it is waited for once in so many."""


class ImageCounter:
    """Counts pixels by (image, true class, predicted class), a batch at a time.

    Args:
        num_classes: number of classes C; labels and predictions are 0..C-1.
        void: label value of pixels that count nowhere.
    """

    def __init__(self, num_classes: int, void: int = IGNORE_INDEX) -> None:
        self.num_classes = num_classes
        self.void = void
        self.reset()

    def reset(self) -> None:
        """Forget all counts."""
        self._parts: list[ImageCounts] = []
        self._waiting: list[tuple[str, Tensor, Tensor]] = []

    def update(
        self,
        prediction: Integer[Tensor, "n ..."],
        label: Integer[Tensor, "n ..."],
        ids: Sequence[str],
    ) -> None:
        """Count the pixels of some images.

        A GPU counts its own; once in 64 images their counts are fetched and their values checked.

        Raises:
            LabelError: the two differ in size, or a value is no class, nor void in a label.
        """
        for found, truth, name in zip(prediction, label, ids, strict=True):
            if truth.is_cuda and truth.numel():
                self._count_on_device(found, truth, name)
            else:
                maps = found.cpu().numpy(), truth.numpy(force=True)
                counts = count(*maps, self.num_classes, self.void)[None]
                part = ImageCounts.of([name], counts, self.num_classes)
                self._parts = ImageCounts.gather(self._parts, part)

    def to_counts(self) -> ImageCounts:
        """Return what was counted since the last reset, sorted by id; refuse what a GPU counted."""
        self._fetch()
        return ImageCounts.join(self._parts, self.num_classes)

    def _count_on_device(
        self, prediction: Integer[Tensor, ...], label: Integer[Tensor, ...], name: str
    ) -> None:
        refuse_other_size(prediction.shape, label.shape)
        self._waiting.append((name, *_scatter(prediction, label, self.num_classes)))
        if len(self._waiting) >= _BLOCK:
            self._fetch()

    def _fetch(self) -> None:
        """Wait for the GPU, and refuse there what the CPU refuses at once."""
        if not self._waiting:
            return
        ids, rows, ranges = zip(*self._waiting, strict=True)
        counts, limits = (torch.stack(part).cpu().numpy() for part in (rows, ranges))
        refuse_wrong_predictions(int(limits.min()), int(limits.max()), self.num_classes)
        refuse_wrong_labels(counts.sum(axis=0), self.num_classes, self.void)
        part = ImageCounts.of(ids, counts[:, : self.num_classes], self.num_classes)
        self._parts, self._waiting = ImageCounts.gather(self._parts, part), []


class ConfusionMatrix:
    """Adds up pixels by (true class, predicted class): the total of such an `ImageCounter`."""

    def __init__(self, num_classes: int, void: int = IGNORE_INDEX) -> None:
        self._counter = ImageCounter(num_classes, void)
        self.reset()

    def reset(self) -> None:
        """Forget all counts."""
        self._counter.reset()
        self._num_updates = 0
        self._total = np.zeros((self._counter.num_classes,) * 2, np.int64)

    def update(
        self, prediction: Integer[Tensor, "*batch h w"], label: Integer[Tensor, "*batch H W"]
    ) -> None:
        """Add the pixels of one or more images, as `ImageCounter.update` does."""
        self._num_updates += 1
        self._counter.update(prediction[None], label[None], [str(self._num_updates)])
        if self._num_updates % _BLOCK == 0:
            self.to_numpy()

    def to_numpy(self) -> Int64[np.ndarray, "c c"]:
        """Return a copy of the counts; rows are true classes, columns predicted ones."""
        self._total += self._counter.to_counts().total()
        self._counter.reset()
        return self._total.copy()


def _scatter(
    prediction: Integer[Tensor, "*shape"], label: Integer[Tensor, "*shape"], num_classes: int
) -> tuple[Int64[Tensor, "r c"], Int64[Tensor, " 2"]]:
    """Count an image's pixels by (label value, predicted class) without waiting for a GPU.

    Wrong label values are in the last row; smallest and largest predicted value come second.
    """
    prediction, label = prediction.long(), label.long()
    rows = num_rows(num_classes)
    label = label.masked_fill((label < 0) | (label >= rows - 1), rows - 1)
    # A wrong prediction must not reach the next class's row; the range tells that there is one.
    code = (label * num_classes + prediction.clamp(0, num_classes - 1)).flatten()
    # bincount would wait for the GPU to learn its largest value; scatter_add does not.
    counts = label.new_zeros(rows * num_classes).scatter_add_(0, code, torch.ones_like(code))
    return counts.view(rows, num_classes), torch.stack(torch.aminmax(prediction))
