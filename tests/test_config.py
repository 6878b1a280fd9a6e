import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import jsonargparse
import pytest

from parsenet.config import DataConfig, FolderConfig, NetworkConfig, OptimConfig
from parsenet.errors import ConfigError

CONFIGS = [NetworkConfig, OptimConfig, DataConfig, FolderConfig]


def exactly(message):
    return f"^{re.escape(message)}$"


def test_default_network_is_the_released_voc_model():
    # PAPER: late fusion of pool6 and fc7, both normalized to 10, learned upsampling.
    released = NetworkConfig(
        trunk="vgg16_largefov",
        features=("pool6", "fc7"),
        head="late",
        normalize=True,
        norm_scale=10.0,
        dropout=0.5,
        context_dropout=0.3,
        upsample="learned",
    )

    assert NetworkConfig() == released


def test_default_solver_is_the_authors():
    authors = OptimConfig(
        optimizer="sgd",
        lr=1e-8,
        momentum=0.9,
        weight_decay=5e-4,
        power=0.9,
        warmup_steps=0,
        score_lr_mult=10.0,
        bias_lr_mult=2.0,
        loss="sum",
    )

    assert OptimConfig() == authors


@pytest.mark.parametrize("kind", CONFIGS)
def test_config_is_frozen(kind):
    config = kind()
    field = dataclasses.fields(kind)[0].name

    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, field, None)


@pytest.mark.parametrize("kind", CONFIGS)
def test_config_is_hashable(kind):
    assert hash(kind()) == hash(kind())


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_field_has_its_line_of_help(kind):
    source = Path(__import__(kind.__module__, fromlist=["_"]).__file__).read_text(encoding="utf-8")

    for field in dataclasses.fields(kind):
        assert re.search(rf'^    {field.name}: [^\n]+\n    """', source, re.MULTILINE), field.name


def test_features_of_a_yaml_list_are_a_tuple():
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--network", type=NetworkConfig)

    parsed = parser.parse_args(["--network.features=[fc7, conv5]"])

    assert parser.instantiate(parsed).network == NetworkConfig(features=("fc7", "conv5"))


def test_misspelt_option_is_named():
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--network", type=NetworkConfig)

    with pytest.raises(jsonargparse.ArgumentError, match=r"network\.fuson"):
        parser.parse_args(["--network.fuson=late"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"features": ("fc7", "conv6")},
            "`features` must name known features, got 'conv6'. Did you mean `conv5`?",
        ),
        (
            {"features": ("fc7", "input")},
            "`features` must name known features, got 'input'. "
            "Known: `pool6`, `fc7`, `conv5`, `conv4`, `conv3`.",
        ),
        (
            {"features": ("fc7", "fc7")},
            "`features` must be one or more different names, got ['fc7', 'fc7'].",
        ),
        ({"features": ()}, "`features` must be one or more different names, got []."),
        ({"dropout": 1.0}, "`dropout` must be in [0, 1), got 1.0."),
        ({"context_dropout": -0.1}, "`context_dropout` must be in [0, 1), got -0.1."),
        ({"norm_scale": 0.0}, "`norm_scale` must be positive, got 0.0. The paper's is 10."),
    ],
)
def test_network_contradiction_is_refused(options, message):
    with pytest.raises(ConfigError, match=exactly(message)):
        NetworkConfig(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, "`lr` must be in (0, 10), got 0.0."),
        ({"lr": float("nan")}, "`lr` must be in (0, 10), got nan."),
        ({"momentum": 1.0}, "`momentum` must be in [0, 1), got 1.0."),
        (
            {"weight_decay": -1e-4},
            "`weight_decay`, `power` and `warmup_steps` must not be negative.",
        ),
        (
            {"lr": 2e-3},
            "`lr` must be at most 1e-5 with `loss: sum`, got 0.002: the loss is a sum over some "
            "100,000 pixels. Use `loss: mean`, or `lr: 1e-08`.",
        ),
    ],
)
def test_solver_contradiction_is_refused(options, message):
    with pytest.raises(ConfigError, match=exactly(message)):
        OptimConfig(**options)


def test_large_rate_is_right_for_the_mean_loss():
    assert OptimConfig(lr=2e-3, loss="mean").lr == 2e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"batch_size": 0},
            "`batch_size` must be at least 1 and `num_workers` at least 0, got 0 and 2.",
        ),
        (
            {"num_workers": -1},
            "`batch_size` must be at least 1 and `num_workers` at least 0, got 8 and -1.",
        ),
        (
            {"crop": None},
            "`batch_size` must be 1 when `crop` is null (whole pictures differ in size), got 8. "
            "Set it to 1 and `trainer.accumulate_grad_batches` to 8.",
        ),
        (
            {"scale": (2.0, 0.5)},
            "`scale` must be (low, high) with 0 < low <= high, got (2.0, 0.5).",
        ),
        ({"colour": 1.5}, "`colour` must be in [0, 1], got 1.5."),
    ],
)
def test_data_contradiction_is_refused(options, message):
    with pytest.raises(ConfigError, match=exactly(message)):
        DataConfig(**options)


def test_whole_pictures_are_taken_one_at_a_time():
    assert DataConfig(crop=None, batch_size=1).crop is None


def test_unknown_head_is_refused_where_types_are_not_checked():
    # In a process of its own: here beartype would be first.
    code = "from parsenet.config import NetworkConfig; NetworkConfig(head='lat')"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    message = "ConfigError: `head` must be a known name, got 'lat'. Did you mean `late`?"
    assert done.stderr.rstrip().endswith(message)
