"""A run that was broken off and resumed ends exactly like one that was not."""

from contextlib import contextmanager

import pytest
import pytorch_lightning as pl
import torch

from parsenet.engine import run


class BreakOff(pl.Callback):
    """Stop a run hard at the start of a batch, as a killed machine would."""

    def __init__(self, batch):
        self.batch = batch

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.fit_loop.epoch_loop.batch_progress.total.ready == self.batch:
            raise RuntimeError("the lights went out")


@contextmanager
def broken_off(batch):
    """Make a run inside stop at the start of its n-th batch, counted from 0."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "Guards", lambda: BreakOff(batch))
        with pytest.raises(RuntimeError, match=r"^the lights went out$"):
            yield


def assert_equal_runs(toy, first, second):
    one, two = toy.checkpoint(first), toy.checkpoint(second)
    assert one["global_step"] == two["global_step"]
    assert one["epoch"] == two["epoch"]
    for name, value in one["state_dict"].items():
        assert torch.equal(value, two["state_dict"][name]), name
    torch.testing.assert_close(
        one["optimizer_states"], two["optimizer_states"], rtol=0, atol=0, equal_nan=True
    )
    assert one["lr_schedulers"] == two["lr_schedulers"]
    assert toy.rows(first) == toy.rows(second)


# Four pictures per epoch and batches of one: 12 batches, and two or one to a step. The number is
# the batch at whose start the run dies.
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize(
    ("accumulate", "every", "batch"),
    [
        pytest.param(1, 1, 7, id="in the middle of an epoch"),
        pytest.param(1, 1, 5, id="at the end of an epoch"),
        pytest.param(1, 2, 6, id="at the end of an epoch, batches lost"),
        pytest.param(2, 1, 8, id="accumulating"),
        pytest.param(2, 1, 11, id="accumulating, in the last epoch"),
        pytest.param(2, 2, 6, id="accumulating, at the end of an epoch"),
        pytest.param(3, 1, 8, id="accumulating, the last step of an epoch is short"),
        pytest.param(1, 1, 12, id="at the last batch"),
    ],
)
def test_resumed_run_equals_the_straight_one(toy, optimizer, accumulate, every, batch):
    words = [
        "--model.optim.optimizer", optimizer,
        "--model.optim.lr", "0.01" if optimizer == "sgd" else "0.001",
        "--trainer.max_epochs", "3",
        "--trainer.accumulate_grad_batches", str(accumulate),
        "--checkpoint_every", str(every),
    ]  # fmt: skip
    toy("fit", *words, name="straight")

    with broken_off(batch):
        toy("fit", *words, name="broken")
    toy("fit", *words, "--resume", "true", name="broken")

    assert_equal_runs(toy, "straight", "broken")
