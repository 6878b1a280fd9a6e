"""Losses, gradients and scores of the module, through a real Trainer."""

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F

from parsenet.config import NetworkConfig
from parsenet.errors import ConfigError
from parsenet.metrics.counting import count
from parsenet.metrics.scores import scores
from parsenet.models.checkpoint import load_network, save_network
from parsenet.taxonomy import SHAPES
from tests.fakes.training import Batches, make_batches, make_module, make_trainer


class Watch(pl.Callback):
    """Keep the losses, and gradients and rates at every step of the optimiser."""

    def __init__(self):
        self.gradients, self.rates, self.losses = [], [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.losses.append(float(outputs["loss"]))

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
    watch = Watch()
    logits = make_module().network.train()(batch.image)
    total = F.cross_entropy(logits, batch.label, ignore_index=255, reduction="sum")
    expected = float(total.detach() / (3 if loss == "sum" else 3 * 10 * 14))

    make_trainer([watch], max_steps=1).fit(module, Batches([batch]))

    assert watch.losses == pytest.approx([expected], rel=1e-5)


@pytest.mark.parametrize("stage", ["val", "test"])
def test_counts_are_those_of_all_images(stage):
    module, batches = make_module(), make_batches(3)
    module.network.eval()
    with torch.no_grad():
        labels = [module.network(batch.image).argmax(1).numpy() for batch in batches]
    maps = zip(labels, batches, strict=True)
    expected = sum(count(label, batch.label.numpy(), 5) for label, batch in maps)
    trainer = make_trainer()

    for _ in range(2):  # the second pass starts from zero
        (trainer.validate if stage == "val" else trainer.test)(module, batches, verbose=False)

    assert (module.result.counts == expected).all()
    assert set(module.result.logged) > {f"{stage}/mIoU", f"{stage}/IoU_moon"}
    assert len(module.result.images) == 3
    # repr, for nan is not equal to itself
    assert repr(module.result.scores) == repr(scores(expected))


def test_dropout_follows_the_seed_the_epoch_and_the_batch():
    losses = set()
    for seed in (3, 4, 3):
        module, watch = make_module(NetworkConfig(trunk="tiny", dropout=0.5), lr=1e-12), Watch()
        module.seed = seed
        make_trainer([watch], max_epochs=2).fit(module, Batches([make_batches(1)[0]] * 2))
        losses |= set(watch.losses)

    # One image four times and next to no learning: only dropout tells the losses apart.
    assert len(losses) == 8


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
