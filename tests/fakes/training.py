"""Batches, a module and a Trainer, tiny and quiet."""

import pytorch_lightning as pl
import torch

from parsenet.config import NetworkConfig, OptimConfig
from parsenet.data.sample import Batch
from parsenet.engine.module import SegmentationModule
from parsenet.taxonomy import SHAPES

NETWORK = NetworkConfig(trunk="tiny", dropout=0.0, context_dropout=0.0)


class Batches:
    """A loader; Lightning would take each item of a plain list for one."""

    def __init__(self, batches):
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def make_batches(count, size=(12, 14), batch_size=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    batches = []
    for number in range(count):
        image = torch.randint(0, 256, (batch_size, 3, *size), generator=generator)
        label = torch.randint(0, 5, (batch_size, *size), generator=generator)
        label[:, :2] = 255
        names = tuple(f"image{number}_{i}" for i in range(batch_size))
        batches.append(Batch(image.byte(), label, names))
    return Batches(batches)


def make_module(network=NETWORK, **optim):
    torch.manual_seed(1)
    return SegmentationModule(network, OptimConfig(**optim), SHAPES)


def make_trainer(callbacks=(), **options):
    return pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        **options,
    )
