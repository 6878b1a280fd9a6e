"""What travels from a data set to the network: a sample, an item, a batch, and a training key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from parsenet.errors import ConfigError


class Sample(NamedTuple):
    """One picture with its label, as read from disk: RGB (H, W, 3) and class indices (H, W)."""

    image: UInt8[np.ndarray, "h w 3"]
    label: UInt8[np.ndarray, "h w"]
    id: str


class Item(NamedTuple):
    """A sample as tensors: `image` (3, H, W) RGB in [0, 255], `label` (H, W) with void."""

    image: UInt8[Tensor, "3 h w"]
    label: Int64[Tensor, "h w"]
    id: str


class Batch(NamedTuple):
    """Items of one size, stacked: `image` (N, 3, H, W) and `label` (N, H, W)."""

    image: UInt8[Tensor, "n 3 h w"]
    label: Int64[Tensor, "n h w"]
    id: tuple[str, ...]


class Key(NamedTuple):
    """What the training sampler yields: which sample, and the seed of everything random in it.

    The augmentation then depends on neither the worker, the process nor a resume.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which no one needs here
    seed: int


Transform: TypeAlias = Callable[[Sample, int], Sample]
"""Changes a sample; the number is its seed, and the same seed gives the same result."""


def collate(items: Sequence[Item]) -> Batch:
    """Stack items into a batch.

    Raises:
        ConfigError: the pictures differ in size.
    """
    sizes = {(item.image.shape[1], item.image.shape[2]) for item in items}
    if len(sizes) > 1:
        raise ConfigError(
            f"The pictures of a batch must have one size, got {sorted(sizes)}. Set `data.crop`, or "
            "`data.batch_size: 1`."
        )
    return Batch(
        torch.stack([item.image for item in items]),
        torch.stack([item.label for item in items]),
        tuple(item.id for item in items),
    )
