"""What travels from a data set to the network, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias, final

import numpy as np
import torch
from jaxtyping import Bool, Float64, Integer, UInt, UInt8
from torch import Tensor
from torch.utils.data import Sampler

from parsenet.data.labels import LabelMap
from parsenet.errors import ConfigError


class Sample(NamedTuple):
    """One image with its label, as read from disk: RGB (H, W, 3) and class indices (H, W)."""

    image: UInt8[np.ndarray, "h w 3"]
    label: LabelMap
    id: str


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


Read: TypeAlias = Callable[[int], UInt8[np.ndarray, "i j 3"]]
"""Decodes an image, its sides divided by 1, 2, 4 or 8 and rounded up."""

Transform: TypeAlias = Callable[
    [LabelMap, Read, int], tuple[UInt8[np.ndarray, "a b 3"], UInt[np.ndarray, "a b"]]
]
"""Makes a training image and its label from a label, the reader of its image, and a seed.

The same seed gives the same result.
"""


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
    images, labels, ids = zip(*items, strict=True)
    return Batch(torch.stack(images), torch.stack(labels), ids)


@final
class TrainSampler(Sampler[Key]):
    """All samples in an order drawn from (seed, epoch), each with its own seed.

    With weights, a sample comes as often as its weight says, rounded up or down at random; an epoch
    has as many samples as before.

    Every process draws the same order and takes every `world_size`-th key, so the shares are
    disjoint. They are equally long: the remainder of a division is left out of this epoch.

    Args:
        num_samples: size of the data set.
        seed: start of all randomness.
        rank: number of this process.
        world_size: number of processes.
        weights: how often each sample comes, relative to the others; None for equally often.

    Attributes:
        skip: keys of this process left out at the start of the next pass, and of that pass alone;
            set it to go on in the middle of an epoch. The length stays that of a whole epoch.
    """

    def __init__(
        self,
        num_samples: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        weights: Float64[np.ndarray, " n"] | None = None,
    ) -> None:
        self._weights = np.ones(num_samples) if weights is None else weights
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self._epoch = 0
        self.skip = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next pass follows."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._weights) // self._world_size

    def __iter__(self) -> Iterator[Key]:
        generator = np.random.default_rng((self._seed, self._epoch))
        # Equally spaced marks, laid over the weights joined to a line of length 1.
        num_samples = len(self._weights)
        marks = (generator.random() + np.arange(num_samples)) / num_samples
        line = np.cumsum(self._weights / self._weights.sum())
        order = generator.permutation(np.searchsorted(line[:-1], marks, side="right"))
        seeds = generator.integers(2**32, size=num_samples)
        share = slice(self._rank, len(self) * self._world_size, self._world_size)
        keys = list(map(Key, order[share].tolist(), seeds[share].tolist()))
        keys, self.skip = keys[self.skip :], 0
        return iter(keys)


def repeat_factors(present: Bool[np.ndarray, "n c"], threshold: float) -> Float64[np.ndarray, " n"]:
    """Weigh samples so that classes in less than a share `threshold` of them come more often.

    A class in a share f of the samples gets max(1, sqrt(threshold / f)); a sample gets the largest
    of its classes.

    Args:
        present: which classes each sample shows.
        threshold: share in [0, 1] below which a class is rare; 0 gives every sample the weight 1.

    Source: repeat factor sampling of LVIS, arXiv:1908.03195, appendix.
    """
    share = np.maximum(present.mean(axis=0), 1e-9)
    factor = np.maximum(1.0, np.sqrt(threshold / share))
    weights: Float64[np.ndarray, " n"] = np.where(present, factor, 1.0).max(axis=1)
    return weights
