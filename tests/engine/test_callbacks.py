"""What a run writes while it goes on."""

import pytest
import torch

from parsenet.engine.checkpoints import AtomicCheckpointIO


def test_loss_of_a_row_does_not_depend_on_accumulation(toy):
    frozen = ["--model.optim.lr", "1e-9", "--trainer.max_epochs", "1"]

    toy("fit", *frozen, name="plain")
    toy("fit", *frozen, "--trainer.accumulate_grad_batches", "4", name="accumulated")

    plain, accumulated = toy.rows("plain")[0], toy.rows("accumulated")[0]
    assert float(plain["train/loss"]) == pytest.approx(float(accumulated["train/loss"]), rel=1e-4)


def test_checkpoint_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)

    with pytest.raises(Exception, match="pickle"):
        AtomicCheckpointIO().save_checkpoint({"step": lambda: None}, path)

    assert torch.load(path, weights_only=True) == {"step": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.ckpt"]
