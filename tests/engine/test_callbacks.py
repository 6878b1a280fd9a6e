"""What a run writes while it goes on."""

import csv
import logging
import math

import pytest
import torch

from parsenet.engine.checkpoints import AtomicCheckpointIO


def test_loss_of_a_row_does_not_depend_on_accumulation(toy):
    frozen = ["--model.optim.lr", "1e-9", "--trainer.max_epochs", "1"]

    toy("fit", *frozen, name="plain")
    toy("fit", *frozen, "--trainer.accumulate_grad_batches", "4", name="accumulated")

    plain, accumulated = toy.rows("plain")[0], toy.rows("accumulated")[0]
    assert float(plain["train/loss"]) == pytest.approx(float(accumulated["train/loss"]), rel=1e-4)


def test_rate_of_a_row_is_that_of_the_next_iteration(toy):
    toy("fit", "--model.optim.power", "1")

    assert [float(row["lr"]) for row in toy.rows()] == pytest.approx([0.005, 0.0])


def test_row_and_line_say_the_same(toy, caplog):
    with caplog.at_level(logging.INFO, "parsenet"):
        toy("fit", "--trainer.max_epochs", "1")

    row = toy.rows()[0]
    messages = [record.getMessage() for record in caplog.records]
    lines = [message for message in messages if message.startswith("step 4 of 4: ")]
    assert len(lines) == 1
    assert f"mean IoU {100 * float(row['val/mIoU']):.2f}" in lines[0]
    assert f"pixel accuracy {100 * float(row['val/pixel_acc']):.2f}" in lines[0]


def test_class_without_ground_truth_is_nan_in_a_row(toy):
    toy("fit", "--trainer.max_epochs", "1")

    row = toy.rows()[0]
    values = [float(value) for name, value in row.items() if name.startswith("val/IoU_")]
    known = [value for value in values if not math.isnan(value)]
    assert len(known) < len(values) == 21
    assert float(row["val/mIoU"]) == pytest.approx(sum(known) / len(known))


def test_history_is_a_csv_that_others_read(toy):
    toy("fit")

    with (toy.root / "run" / "metrics.csv").open() as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames[:5] == ["epoch", "step", "seconds", "lr", "train/loss"]


def test_checkpoint_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)

    with pytest.raises(Exception, match="pickle"):
        AtomicCheckpointIO().save_checkpoint({"step": lambda: None}, path)

    assert torch.load(path, weights_only=True) == {"step": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.ckpt"]
