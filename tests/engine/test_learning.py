"""A run learns, and the seed decides everything in it."""

from pathlib import Path

import pytest
import torch

from parsenet.engine.run import run

DEMO = Path(__file__).parents[2] / "configs" / "shapes" / "demo.yaml"
ON_CPU = ["--trainer.accelerator", "cpu", "--trainer.precision", "32-true"]
QUIETLY = ["--trainer.enable_progress_bar", "false", "--trainer.logger", "false"]


def train_shapes(out, *words):
    """Train the demo's network; return the mean IoU."""
    options = ["--config", str(DEMO), "--run_dir", str(out), *ON_CPU, *QUIETLY]
    return run(["fit", *options, *words]).model.result.scores.mean_iou


@pytest.mark.slow
def test_context_tells_the_scenes_apart(tmp_path):
    # Measured 0.87 with PyTorch 2.15 on a CPU.
    assert train_shapes(tmp_path) > 0.75


@pytest.mark.slow
def test_without_context_the_scene_is_a_guess(tmp_path):
    # Right shapes with guessed classes: background 1, 1/3 for each of the four. Measured 0.43.
    assert train_shapes(tmp_path, "--model.network.features", "[fc7]") < 0.55


def test_four_images_are_learned(toy):
    words = ["--trainer.max_epochs", "16", "--trainer.check_val_every_n_epoch", "4"]

    toy("fit", "--model.optim.optimizer", "adamw", *words)

    losses = [float(row["train/loss"]) for row in toy.rows()]
    assert losses[-1] < losses[0] / 2


def test_same_seed_gives_the_same_run(toy):
    words = ["--seed_everything", "5"]

    toy("fit", *words, name="first")
    toy("fit", *words, name="second")

    first, second = toy.checkpoint("first"), toy.checkpoint("second")
    for name, value in first["state_dict"].items():
        assert torch.equal(value, second["state_dict"][name]), name
    assert toy.rows("first") == toy.rows("second")
