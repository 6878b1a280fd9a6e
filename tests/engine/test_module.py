"""Losses, gradients and scores of the module, through a real Trainer."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F

from parsenet.config import NetworkConfig
from parsenet.errors import ConfigError
from parsenet.metrics.scores import scores
from parsenet.models.checkpoint import load_network, save_network
from parsenet.taxonomy import SHAPES
from tests.fakes.training import Batches, make_batches, make_module, make_trainer


class Watch(pl.Callback):
    """Keep gradients and rates at every step of the optimiser."""

    def __init__(self):
        self.gradients = []
        self.rates = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        gradients = {n: p.grad.clone() for n, p in pl_module.network.named_parameters()}
        self.gradients.append(gradients)
        self.rates.append(optimizer.param_groups[0]["lr"])


def test_eight_batches_of_one_give_the_mean_of_their_gradients():
    batches, module, watch = make_batches(8), make_module(), Watch()
    reference = make_module().network.train()
    expected = {name: torch.zeros_like(p) for name, p in reference.named_parameters()}
    for batch in batches:
        reference.zero_grad()
        # Caffe's normalize: false: the sum over the pixels of the one image.
        logits = reference(batch.image)
        F.cross_entropy(logits, batch.label, ignore_index=255, reduction="sum").backward()
        for name, parameter in reference.named_parameters():
            expected[name] += parameter.grad / 8  # iter_size

    make_trainer([watch], max_steps=1, accumulate_grad_batches=8).fit(module, batches)

    assert len(watch.gradients) == 1
    for name, gradient in watch.gradients[0].items():
        scale = float(expected[name].abs().max()) + 1e-6
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-5 * scale)


def test_rate_falls_with_every_iteration_and_not_with_every_batch():
    module, watch = make_module(lr=1e-8, power=1.0), Watch()

    make_trainer([watch], max_steps=4, accumulate_grad_batches=2).fit(module, make_batches(8))

    assert watch.rates == pytest.approx([1e-8, 0.75e-8, 0.5e-8, 0.25e-8])


def test_schedule_ends_with_the_last_epoch():
    module, watch = make_module(lr=1e-8, power=1.0), Watch()

    # Three batches make a whole and a half step, twice.
    make_trainer([watch], max_epochs=2, accumulate_grad_batches=2).fit(module, make_batches(3))

    assert watch.rates == pytest.approx([1e-8, 0.75e-8, 0.5e-8, 0.25e-8])


def test_endless_training_is_refused():
    trainer = make_trainer(max_epochs=-1)

    with pytest.raises(
        ConfigError,
        match=r"^The poly schedule must know its end, got endless training\. Set "
        r"`trainer\.max_steps` or `trainer\.max_epochs`\.$",
    ):
        trainer.fit(make_module(), make_batches(1))


@pytest.mark.parametrize("loss", ["sum", "mean"])
def test_loss_is_that_of_the_pixels_that_are_not_void(loss):
    module = make_module(loss=loss)
    batch = make_batches(1, batch_size=3)[0]
    losses = []

    class Keep(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            losses.append(float(outputs["loss"]))

    logits = make_module().network.train()(batch.image)
    total = F.cross_entropy(logits, batch.label, ignore_index=255, reduction="sum")
    expected = float(total.detach() / (3 if loss == "sum" else 3 * 10 * 14))

    make_trainer([Keep()], max_steps=1).fit(module, Batches([batch]))

    assert losses == pytest.approx([expected], rel=1e-5)


def count_by_hand(module, batches):
    """Count pixel by pixel, in plain Python."""
    counts = np.zeros((5, 5), np.int64)
    module.network.eval()
    for batch in batches:
        with torch.no_grad():
            predicted = module.network(batch.image).argmax(1)
        for truth, guess in zip(batch.label.flatten(), predicted.flatten(), strict=True):
            if truth != 255:
                counts[truth, guess] += 1
    return counts


@pytest.mark.parametrize("stage", ["val", "test"])
def test_counts_equal_counting_by_hand(stage):
    module, batches = make_module(), make_batches(3)
    expected = count_by_hand(module, batches)
    trainer = make_trainer()

    (trainer.validate if stage == "val" else trainer.test)(module, batches, verbose=False)

    assert (module.result.counts == expected).all()
    assert set(module.result.logged) > {f"{stage}/mIoU", f"{stage}/IoU_moon"}
    assert len(module.result.images) == 3
    # repr, for nan is not equal to itself
    assert repr(module.result.scores) == repr(scores(expected))


def test_logged_scores_are_those_of_the_counts():
    module, batches = make_module(), make_batches(3)
    trainer = make_trainer()

    logged = trainer.validate(module, batches, verbose=False)[0]

    expected = scores(count_by_hand(module, batches))
    assert logged["val/mIoU"] == pytest.approx(expected.mean_iou)
    assert logged["val/pixel_acc"] == pytest.approx(expected.pixel_accuracy)
    assert logged["val/mean_acc"] == pytest.approx(expected.mean_accuracy)
    assert logged["val/fw_IoU"] == pytest.approx(expected.frequency_weighted_iou)
    assert logged["val/IoU_moon"] == pytest.approx(expected.class_iou[2])


def test_a_second_pass_starts_from_zero():
    module, batches = make_module(), make_batches(2)
    trainer = make_trainer()

    trainer.validate(module, batches, verbose=False)
    first = module.result
    trainer.validate(module, batches, verbose=False)

    assert (module.result.counts == first.counts).all()
    assert len(module.result.images) == 2


def test_image_without_a_labelled_pixel_gives_no_gradient():
    module, watch = make_module(), Watch()
    batch = make_batches(1)[0]
    void = batch._replace(label=torch.full_like(batch.label, 255))

    make_trainer([watch], max_steps=1).fit(module, Batches([void]))

    assert all(not gradient.any() for gradient in watch.gradients[0].values())


def losses_of(seed, network=None):
    losses = []

    class Keep(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            losses.append(float(outputs["loss"]))

    module = make_module(network or NetworkConfig(trunk="tiny", dropout=0.5), lr=1e-12)
    module.seed = seed
    make_trainer([Keep()], max_epochs=2).fit(module, Batches([make_batches(1)[0]] * 2))
    return losses


def test_same_seed_gives_the_same_losses():
    assert losses_of(3) == losses_of(3)


def test_dropout_follows_the_seed_the_epoch_and_the_batch():
    # One image four times and next to no learning: only dropout tells the losses apart.
    assert len(set(losses_of(3) + losses_of(4))) == 8


def test_rescale_is_applied_when_training_starts_and_never_to_a_saved_network(tmp_path):
    config = NetworkConfig(trunk="tiny", rescale={"conv4": 64.0})
    module = make_module(config, lr=1e-12)
    start = module.network.trunk.conv5.weight.clone()

    make_trainer(max_steps=1).fit(module, make_batches(1))
    save_network(tmp_path / "model.safetensors", module.network, config, SHAPES)
    loaded = load_network(tmp_path / "model.safetensors")

    torch.testing.assert_close(module.network.trunk.conv5.weight, start / 64)
    assert torch.equal(loaded.network.trunk.conv5.weight, module.network.trunk.conv5.weight)
    assert loaded.config.rescale == {"conv4": 64.0}

    make_trainer(max_steps=1).fit(module, make_batches(1))  # goes on, and does not rescale again

    torch.testing.assert_close(module.network.trunk.conv5.weight, start / 64)
