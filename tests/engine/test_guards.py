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
    with torch.no_grad():
        module.network.head.score.fc7.bias.fill_(torch.nan)
    return module


@pytest.mark.parametrize(
    ("network", "hint"),
    [
        (NETWORK, "or "),
        (NetworkConfig(trunk="tiny", normalize=False), "set `network.normalize: true`, or "),
    ],
)
def test_loss_that_is_nan_stops_the_run(network, hint):
    trainer = make_trainer([Guards()], max_steps=3)

    expected = (
        "The loss must be finite, got nan at iteration 1 (images image0_0). Lower `optim.lr`, "
        f"{hint}train with `--trainer.precision 32-true`."
    )
    with pytest.raises(TrainingError, match=f"^{re.escape(expected)}$"):
        trainer.fit(spoil(make_module(network)), make_batches(3))


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
