"""Three loaders; all randomness of a sample is in its key, so a run can be resumed anywhere."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytorch_lightning as pl
from jaxtyping import Bool, Float64
from torch.utils.data import DataLoader

from parsenet.config import DataConfig
from parsenet.data.base import SegmentationDataset, check_labels
from parsenet.data.build import build_dataset, taxonomy_of
from parsenet.data.sample import Batch, Item, TrainSampler, collate, repeat_factors
from parsenet.errors import ConfigError, ParseNetError


class TrainLoader(DataLoader[Item]):
    """A loader that begins where the trainer's own counters say, so that a run can be resumed.

    Attributes:
        progress: counts the batches of this epoch; asked only when the first batch is.
    """

    progress: Callable[[], int]

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # torch's own is private
        """Load the rest of an epoch.

        Lightning asks for the iterator before it has told the sampler the epoch and settled its
        counters; a generator looks at both only when the first batch is wanted.
        """
        assert isinstance(self.sampler, TrainSampler)
        assert self.batch_size is not None
        self.sampler.skip = self.progress() * self.batch_size
        yield from super().__iter__()


class SegmentationDataModule(pl.LightningDataModule):
    """Training, validation and test images of a config, shared between all processes.

    Args:
        **options: the fields of `DataConfig`, so that the command line says `--data.root`, not
            `--data.config.root` (jsonargparse follows them there for types and help).

    Attributes:
        seed: start of all randomness; the command line sets it from `seed_everything`.
        datasets: the images of `train`, `val` and `test`, as far as `setup` has been asked for.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - DataConfig checks them
        super().__init__()
        self.config = DataConfig(**options)
        self.seed = 0
        self.taxonomy = taxonomy_of(self.config)
        self.datasets: dict[str, SegmentationDataset] = {}
        self._weights: Float64[np.ndarray, " n"] | None = None

    def setup(self, stage: str) -> None:
        """Find the images, and read every label once before training."""
        config = self.config
        names = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}[stage]
        for name in names:
            split = getattr(config, f"{name}_split")
            self.datasets[name] = build_dataset(config, split, train=name == "train")
        if stage == "fit" and (config.check_labels or config.balance):
            for name, dataset in self.datasets.items():
                present = self._check_labels(dataset)
                if name == "train":
                    self._weights = repeat_factors(present, config.balance)

    def train_dataloader(self) -> TrainLoader:
        """Load shuffled, augmented batches; go on where a resumed run stopped."""
        assert self.trainer is not None
        dataset = self.datasets["train"]
        trainer = self.trainer
        sampler = TrainSampler(
            len(dataset), self.seed, trainer.global_rank, trainer.world_size, self._weights
        )
        if len(sampler) < self.config.batch_size:
            raise ConfigError(
                f"`data.batch_size` must be at most {len(sampler)}, the training images per "
                f"process, got {self.config.batch_size}."
            )
        loader = TrainLoader(
            dataset,
            sampler=sampler,
            collate_fn=collate,
            drop_last=True,
            batch_size=self.config.batch_size,
            num_workers=self.config.num_workers,
            persistent_workers=self.config.num_workers > 0,
            pin_memory=trainer.strategy.root_device.type == "cuda",
        )
        batches = trainer.fit_loop.epoch_loop.batch_progress
        loader.progress = lambda: batches.current.ready
        return loader

    def val_dataloader(self) -> DataLoader[Item]:
        """Load the images to score at native size, one at a time."""
        trainer = self.trainer
        assert trainer is not None
        dataset = self.datasets["test" if trainer.testing else "val"]
        return DataLoader(
            dataset,
            sampler=range(trainer.global_rank, len(dataset), trainer.world_size),
            num_workers=self.config.num_workers,
            pin_memory=trainer.strategy.root_device.type == "cuda",
            collate_fn=collate,
        )

    test_dataloader = val_dataloader

    def _check_labels(self, dataset: SegmentationDataset) -> Bool[np.ndarray, "n c"]:
        """Read every label once, in the first process; all get its answer or its error."""
        assert self.trainer is not None
        found: object = None
        if self.trainer.is_global_zero:
            try:
                found = check_labels(dataset, progress=True)
            except ParseNetError as error:
                found = error
        found = self.trainer.strategy.broadcast(found)
        if isinstance(found, ParseNetError):
            raise found
        assert isinstance(found, np.ndarray)
        return found
