"""Which sample comes when: shuffled keys for training, every sample once for evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import numpy as np
from jaxtyping import Bool, Float64
from torch.utils.data import Sampler

from parsenet.data.sample import Key


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
        self._num_samples = num_samples
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self._epoch = 0
        self.skip = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next pass follows."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._num_samples // self._world_size

    def __iter__(self) -> Iterator[Key]:
        generator = np.random.default_rng((self._seed, self._epoch))
        # Equally spaced marks, laid over the weights joined to a line of length 1.
        marks = (generator.random() + np.arange(self._num_samples)) / self._num_samples
        line = np.cumsum(self._weights / self._weights.sum())
        order = generator.permutation(np.searchsorted(line[:-1], marks, side="right"))
        seeds = generator.integers(2**32, size=self._num_samples)
        share = slice(self._rank, len(self) * self._world_size, self._world_size)
        keys = [
            Key(*pair) for pair in zip(order[share].tolist(), seeds[share].tolist(), strict=True)
        ]
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


@final
class EvalSampler(Sampler[int]):
    """Every sample once, in order, spread over the processes without padding or repeats.

    The shares of the processes may differ by one: sum their confusion matrices, never average.

    Args:
        num_samples: size of the data set.
        rank: number of this process.
        world_size: number of processes.
    """

    def __init__(self, num_samples: int, rank: int = 0, world_size: int = 1) -> None:
        self._indices = range(rank, num_samples, world_size)

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices)
