"""A run that was broken off and resumed ends exactly like one that was not."""

from contextlib import contextmanager

import pytest
import pytorch_lightning as pl
import torch

from parsenet.engine import run


class BreakOff(pl.Callback):
    """Stop a run hard at the start of a batch, as a killed machine would."""

    def __init__(self, batch: int):
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


@pytest.fixture(scope="module")
def straight(shared_toy):
    """Return a function that trains without a break, once for the same options."""
    names = {}

    def train(words):
        if words not in names:
            names[words] = f"straight{len(names)}"
            shared_toy("fit", *words.split(), "--checkpoint_every", "1", name=names[words])
        return names[words]

    return train


EVERY_TWO = "--trainer.accumulate_grad_batches 2"
EVERY_THREE = "--trainer.accumulate_grad_batches 3"
ADAMW = "--model.optim.optimizer adamw --model.optim.lr 0.001"
WITHIN = "--trainer.val_check_interval"
SLOW = pytest.mark.slow


# Four images per epoch, three epochs and batches of one: 12 batches. The last number is the batch
# at whose start the run dies, the one before it how often it saves.
@pytest.mark.parametrize(
    ("words", "every", "batch"),
    [
        pytest.param("", 1, 7, id="in an epoch"),
        pytest.param("", 1, 4, id="between epochs", marks=SLOW),
        pytest.param("", 1, 5, id="after the first batch of an epoch", marks=SLOW),
        pytest.param("", 4, 6, id="from the end of an epoch", marks=SLOW),
        pytest.param("", 1, 11, id="at the last batch", marks=SLOW),
        pytest.param(EVERY_TWO, 1, 7, id="while accumulating", marks=SLOW),
        pytest.param(EVERY_TWO, 2, 5, id="accumulating, from the end of an epoch", marks=SLOW),
        pytest.param(EVERY_TWO, 1, 11, id="accumulating, in the last epoch", marks=SLOW),
        pytest.param(EVERY_THREE, 1, 7, id="accumulating, short last step", marks=SLOW),
        pytest.param(f"{WITHIN} 2", 1, 3, id="validating within epochs", marks=SLOW),
        pytest.param(f"{WITHIN} 2", 2, 7, id="validating within epochs, batch lost", marks=SLOW),
        pytest.param(f"{EVERY_TWO} {WITHIN} 3", 1, 7, id="validating while accumulating"),
        pytest.param(
            "--trainer.check_val_every_n_epoch 2", 4, 5, id="epochs without validation", marks=SLOW
        ),
        pytest.param("--trainer.limit_train_batches 3", 1, 5, id="epochs cut short", marks=SLOW),
        pytest.param("--data.num_workers 1", 1, 6, id="loader process", marks=SLOW),
        pytest.param(ADAMW, 1, 6, id="adamw", marks=SLOW),
        pytest.param(f"{ADAMW} {EVERY_TWO}", 2, 5, id="adamw, accumulating", marks=SLOW),
    ],
)
def test_resumed_run_equals_the_straight_one(shared_toy, straight, words, every, batch, request):
    words = f"--trainer.max_epochs 3 {words}"
    options = [*words.split(), "--checkpoint_every", str(every)]
    name = f"broken {request.node.callspec.id}"

    with broken_off(batch):
        shared_toy("fit", *options, name=name)
    shared_toy("fit", *options, "--resume", "true", name=name)

    assert_equal_runs(shared_toy, straight(words), name)
