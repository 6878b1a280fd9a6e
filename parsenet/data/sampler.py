"""Which sample comes when: shuffled keys for training, every sample once for evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import numpy as np
from torch.utils.data import Sampler

from parsenet.data.sample import Key


@final
class TrainSampler(Sampler[Key]):
    """All samples in an order drawn from (seed, epoch), each with its own seed.

    Every process draws the same order and takes every `world_size`-th key, so the shares are
    disjoint. They are equally long: the remainder of a division is left out of this epoch.

    Args:
        num_samples: size of the data set.
        seed: start of all randomness.
        rank: number of this process.
        world_size: number of processes.

    Attributes:
        skip: keys of this process left out at the start of the next pass, and of that pass alone;
            set it to go on in the middle of an epoch. The length stays that of a whole epoch.
    """

    def __init__(self, num_samples: int, seed: int = 0, rank: int = 0, world_size: int = 1) -> None:
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
        order = generator.permutation(self._num_samples)
        seeds = generator.integers(2**32, size=self._num_samples)
        share = slice(self._rank, len(self) * self._world_size, self._world_size)
        keys = [
            Key(*pair) for pair in zip(order[share].tolist(), seeds[share].tolist(), strict=True)
        ]
        keys, self.skip = keys[self.skip :], 0
        return iter(keys)


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
