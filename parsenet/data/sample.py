"""What travels from a data set to the network: a sample, an item, a batch, and a training key."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias, final

import numpy as np
import torch
from jaxtyping import Integer, UInt8
from torch import Tensor

from parsenet.data.draw import Draw
from parsenet.data.labels import LabelMap
from parsenet.errors import ConfigError


class Sample(NamedTuple):
    """One image with its label, as read from disk: RGB (H, W, 3) and class indices (H, W).

    An image that is about to be made small may come with its sides divided by `reduction` and
    rounded up; the label has its full size.
    """

    image: UInt8[np.ndarray, "h w 3"]
    label: LabelMap
    id: str
    reduction: int = 1


class Item(NamedTuple):
    """A sample as tensors: `image` (3, H, W) RGB in [0, 255], `label` (H, W) with void.

    Labels are uint8 where the classes allow it: an eighth of the bytes on the way to the device,
    where the loss makes them int64.
    """

    image: UInt8[Tensor, "3 h w"]
    label: Integer[Tensor, "h w"]
    id: str


class Batch(NamedTuple):
    """Items of one size, stacked: `image` (N, 3, H, W) and `label` (N, H, W)."""

    image: UInt8[Tensor, "n 3 h w"]
    label: Integer[Tensor, "n h w"]
    id: tuple[str, ...]


class Key(NamedTuple):
    """What the training sampler yields: which sample, and the seed of everything random in it.

    The augmentation then depends on neither the worker, the process nor a resume.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which no one needs here
    seed: int


Transform: TypeAlias = Callable[[Sample, int], Sample]
"""Changes a sample; the number is its seed, and the same seed gives the same result."""


class Augmentation(ABC):
    """A transform that draws first, so that an image is decoded only as large as it is needed."""

    @abstractmethod
    def draw(self, label: LabelMap, seed: int) -> Draw:
        """Draw what is going to happen; it depends on label and seed alone."""

    @abstractmethod
    def read(self, path: Path, reduction: int) -> UInt8[np.ndarray, "h w 3"]:
        """Read an image, its sides divided by `reduction` (1, 2, 4 or 8) and rounded up.

        The result may be read-only.
        """

    @abstractmethod
    def apply(self, sample: Sample, draw: Draw) -> Sample:
        """Do what was drawn, leaving the sample as it is."""

    @final
    def __call__(self, sample: Sample, seed: int) -> Sample:
        """Transform a sample that has been read."""
        return self.apply(sample, self.draw(sample.label, seed))


def collate(items: Sequence[Item]) -> Batch:
    """Stack items into a batch.

    Raises:
        ConfigError: the images differ in size.
    """
    sizes = {(item.image.shape[1], item.image.shape[2]) for item in items}
    if len(sizes) > 1:
        raise ConfigError(
            f"The images of a batch must have one size, got {sorted(sizes)}. Set `data.crop`, or "
            "`data.batch_size: 1`."
        )
    return Batch(
        torch.stack([item.image for item in items]),
        torch.stack([item.label for item in items]),
        tuple(item.id for item in items),
    )
