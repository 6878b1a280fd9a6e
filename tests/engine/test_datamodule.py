"""Loaders: what they yield, and that a resumed epoch goes on where it was."""

from types import SimpleNamespace

import pytest
import torch

from parsenet.data.sample import TrainSampler
from parsenet.data.shapes import Shapes
from parsenet.engine.datamodule import SegmentationDataModule, TrainLoader
from parsenet.errors import ConfigError


def make_loader(done, num_workers=0):
    """A loader of batches of two from ten images, with `done()` batches behind it."""
    dataset = Shapes("train", count=10)
    sampler = TrainSampler(10, seed=4)
    loader = TrainLoader(
        dataset,
        done,
        sampler,
        batch_size=2,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
    )
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


def test_next_epoch_is_whole():
    done = SimpleNamespace(batches=4)
    loader, _ = make_loader(lambda: done.batches)

    assert len(ids_of(loader)) == 1
    done.batches = 0
    assert len(ids_of(loader)) == 5


def test_loader_is_as_long_as_an_epoch_wherever_it_stands():
    loader, _ = make_loader(lambda: 3)

    assert len(loader) == 5


def make_datamodule(rank=0, world_size=1, **options):
    datamodule = SegmentationDataModule(dataset="shapes", num_workers=0, **options)
    progress = SimpleNamespace(current=SimpleNamespace(ready=0))
    datamodule.trainer = SimpleNamespace(
        global_rank=rank,
        world_size=world_size,
        num_nodes=1,
        is_global_zero=rank == 0,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
        fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress)),
    )
    return datamodule


@pytest.mark.slow
def test_processes_share_the_training_images():
    shares = []
    for rank in (0, 1):
        datamodule = make_datamodule(
            rank, 2, train_split="train", check_labels=False, batch_size=50, crop=(88, 88)
        )
        datamodule.setup("fit")
        shares.append([name for batch in datamodule.train_dataloader() for name in batch.id])

    assert len(shares[0]) == len(shares[1]) == 200
    assert len({*shares[0], *shares[1]}) == 400


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


def test_each_stage_reads_its_own_split():
    datamodule = make_datamodule(val_split="val", test_split="train")

    datamodule.setup("test")

    assert len(datamodule.datasets["test"]) == 400


def test_batch_larger_than_a_share_is_refused():
    datamodule = make_datamodule(
        0, 2, train_split="train", check_labels=False, batch_size=201, crop=(88, 88)
    )
    datamodule.setup("fit")

    with pytest.raises(
        ConfigError,
        match=r"^`data\.batch_size` must be at most 200, the training images per process, got "
        r"201\.$",
    ):
        datamodule.train_dataloader()


@pytest.mark.parametrize("stage", ["fit", "validate"])
def test_images_and_labels_travel_as_bytes(stage):
    # The network takes them as they are: normalisation happens on the device.
    datamodule = make_datamodule(train_split="train", check_labels=False, crop=(24, 24))
    datamodule.setup(stage)
    loader = datamodule.train_dataloader() if stage == "fit" else datamodule.val_dataloader()

    batch = next(iter(loader))

    assert (batch.image.dtype, batch.label.dtype) == (torch.uint8, torch.uint8)
