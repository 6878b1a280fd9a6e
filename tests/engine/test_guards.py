"""Guards stop a run with a whole sentence, or warn."""

import logging
import re

import pytest
import torch

from parsenet.config import NetworkConfig
from parsenet.engine.callbacks import DEAD, Guards
from parsenet.errors import TrainingError
from tests.fakes.training import NETWORK, make_batches, make_module, make_trainer


def spoil(module):
    """Make every score of the network nan."""
    with torch.no_grad():
        module.network.head.score.fc7.bias.fill_(torch.nan)
    return module


def test_loss_that_is_nan_stops_the_run():
    trainer = make_trainer([Guards()], max_steps=3)

    expected = (
        "The loss must be finite, got nan at iteration 1 (images image0_0). Lower `optim.lr`, "
        "or train with `--trainer.precision 32-true`."
    )
    with pytest.raises(TrainingError, match=f"^{re.escape(expected)}$"):
        trainer.fit(spoil(make_module()), make_batches(3))


def test_loss_that_is_nan_with_raw_features_names_them():
    network = NetworkConfig(trunk="tiny", normalize=False)
    trainer = make_trainer([Guards()], max_steps=3)

    expected = (
        "The loss must be finite, got nan at iteration 1 (images image0_0). Lower `optim.lr`, "
        "set `network.normalize: true`, or train with `--trainer.precision 32-true`."
    )
    with pytest.raises(TrainingError, match=f"^{re.escape(expected)}$"):
        trainer.fit(spoil(make_module(network)), make_batches(3))


def test_finite_loss_goes_on():
    trainer = make_trainer([Guards()], max_steps=3)

    trainer.fit(make_module(), make_batches(3))

    assert trainer.global_step == 3


def lean_to_one_class(module):
    with torch.no_grad():
        module.network.head.score.fc7.bias[3] = 1e4
    return module


def test_one_class_for_all_images_is_a_warning(caplog):
    trainer = make_trainer([Guards()], max_steps=2, num_sanity_val_steps=0)

    with caplog.at_level(logging.WARNING, "parsenet"):
        trainer.fit(lean_to_one_class(make_module()), make_batches(2), make_batches(3))

    assert [record.getMessage() for record in caplog.records if record.name[:4] == "pars"] == [
        "Only 'crate' was predicted on all 3 images: the network has collapsed or has not begun "
        "to learn. Likely causes: a learning rate too high or too low for `optim.loss: sum`, or "
        "too few iterations so far (2)."
    ]


def test_sanity_check_before_training_warns_of_nothing(caplog):
    trainer = make_trainer([Guards()], max_steps=1, limit_val_batches=2, val_check_interval=1.0)

    class Stop(Exception):
        pass

    module = lean_to_one_class(make_module())
    module.on_train_start = lambda: (_ for _ in ()).throw(Stop)
    with caplog.at_level(logging.WARNING, "parsenet"), pytest.raises(Stop):
        trainer.fit(module, make_batches(2), make_batches(3))

    assert [record for record in caplog.records if record.name.startswith("parsenet")] == []


def test_scale_that_died_stops_the_run():
    module = make_module(NETWORK)
    with torch.no_grad():
        module.network.head.prepare.norm.pool6.scale.fill_(0.5 * DEAD * NETWORK.norm_scale)
    trainer = make_trainer([Guards()], max_steps=1, num_sanity_val_steps=0)

    expected = (
        "The scales of `head.prepare.norm.pool6` must stay alive, got at most 0.005 after starting "
        "at 10.0. Lower `optim.lr` or `optim.weight_decay`."
    )
    with pytest.raises(TrainingError, match=f"^{re.escape(expected)}$"):
        trainer.fit(module, make_batches(1), make_batches(1))


def test_one_living_factor_keeps_a_scale_alive():
    module = make_module(NETWORK)
    with torch.no_grad():
        module.network.head.prepare.norm.pool6.scale[1:] = 0
    trainer = make_trainer([Guards()], max_steps=1, num_sanity_val_steps=0)

    trainer.fit(module, make_batches(1), make_batches(1))

    assert trainer.global_step == 1
