"""Loaders: what they yield, and that a resumed epoch goes on where it was."""

import re
from types import SimpleNamespace

import pytest
import torch

from parsenet.data.sample import TrainSampler, collate
from parsenet.data.shapes import Shapes
from parsenet.engine.datamodule import SegmentationDataModule, TrainLoader
from parsenet.errors import ConfigError


def make_loader(done, num_workers=0):
    """A loader of batches of two from ten images, with `done()` batches behind it."""
    dataset = Shapes("train", count=10)
    sampler = TrainSampler(10, seed=4)
    loader = TrainLoader(
        dataset, batch_size=2, sampler=sampler, num_workers=num_workers, collate_fn=collate
    )
    loader.progress = done
    return loader, sampler


def ids_of(batches):
    return [batch.id for batch in batches]


def test_loader_goes_on_where_the_epoch_was():
    whole, _ = make_loader(lambda: 0)
    rest, _ = make_loader(lambda: 3)

    assert ids_of(rest) == ids_of(whole)[3:]


@pytest.mark.parametrize("num_workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_loader_asks_for_epoch_and_position_when_the_first_batch_is_wanted(num_workers):
    done = SimpleNamespace(batches=0)
    loader, sampler = make_loader(lambda: done.batches, num_workers)
    expected, other = make_loader(lambda: 2)
    other.set_epoch(3)

    iterator = iter(loader)  # Lightning asks for it first, ...
    sampler.set_epoch(3)  # ... then tells the epoch, and settles its counters
    done.batches = 2

    assert ids_of(iterator) == ids_of(expected)


def make_datamodule(rank=0, world_size=1, **options):
    datamodule = SegmentationDataModule(dataset="shapes", num_workers=0, **options)
    progress = SimpleNamespace(current=SimpleNamespace(ready=0))
    datamodule.trainer = SimpleNamespace(
        global_rank=rank,
        world_size=world_size,
        is_global_zero=rank == 0,
        testing=False,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
        fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress)),
    )
    return datamodule


def test_processes_share_the_validation_images_without_repeats():
    shares = []
    for rank in (0, 1, 2):
        datamodule = make_datamodule(rank, 3)
        datamodule.setup("validate")
        shares.append([name for batch in datamodule.val_dataloader() for name in batch.id])

    assert [len(share) for share in shares] == [34, 33, 33]
    assert len({name for share in shares for name in share}) == 100


def test_validation_images_come_one_by_one_at_native_size():
    datamodule = make_datamodule(batch_size=8, crop=(16, 16))
    datamodule.setup("validate")

    batch = next(iter(datamodule.val_dataloader()))

    assert batch.image.shape == (1, 3, 96, 128)
    assert batch.label.shape == (1, 96, 128)
    # The network takes them as they are: normalisation happens on the device.
    assert (batch.image.dtype, batch.label.dtype) == (torch.uint8, torch.uint8)


def test_batch_larger_than_a_share_is_refused():
    datamodule = make_datamodule(
        0, 2, train_split="train", check_labels=False, batch_size=201, crop=(88, 88)
    )
    datamodule.setup("fit")

    message = "`data.batch_size` must be at most 200, the training images per process, got 201."
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        datamodule.train_dataloader()
