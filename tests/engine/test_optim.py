"""The authors' solver: who learns how fast, and Caffe's momentum step by step."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from parsenet.config import NetworkConfig, OptimConfig
from parsenet.engine.optim import build_optimizer, freeze, parameter_groups, poly_factor
from parsenet.errors import ConfigError
from parsenet.models.build import build_model

AUTHORS = OptimConfig()


def rates_of(network_config):
    """Map each parameter's name to (rate multiplier, decay), and check that it has one group."""
    network = build_model(network_config, 3)
    names = {parameter: name for name, parameter in network.named_parameters()}
    rates = {}
    for group in parameter_groups(network, network.new_layers, AUTHORS):
        for parameter in group["params"]:
            name = names.pop(parameter)  # a KeyError: the parameter is in two groups
            rates[name] = (round(group["lr"] / AUTHORS.lr, 6), group["weight_decay"])
    assert names == {}, "parameters that nobody trains"
    return rates


NETWORKS = {
    "late": NetworkConfig(trunk="squeezenet", features=("pool6", "fc7", "conv4")),
    "early": NetworkConfig(trunk="squeezenet", features=("pool6", "fc7"), head="early"),
    "raw": NetworkConfig(trunk="vgg16_largefov", normalize=False, upsample="bilinear"),
    "skip": NetworkConfig(trunk="vgg16_fcn_reduced", head="fcn8s"),
}


@pytest.mark.parametrize("config", NETWORKS.values(), ids=NETWORKS)
def test_every_parameter_is_in_one_group(config):
    rates = rates_of(config)

    assert set(rates.values()) <= {(1, 5e-4), (2, 0), (10, 5e-4), (20, 0)}


@pytest.mark.parametrize(
    ("network", "name", "expected"),
    [
        ("late", "trunk.conv1.weight", (1, 5e-4)),
        ("late", "trunk.fire9.expand3x3.bias", (2, 0)),
        ("late", "trunk.fc7.weight", (10, 5e-4)),  # new in SqueezeNet: no ImageNet weights
        ("late", "head.score.fc7.weight", (10, 5e-4)),
        ("late", "head.prepare.norm.conv4.scale", (1, 5e-4)),
        ("late", "upsample.deconv.weight", (1, 5e-4)),
        ("early", "head.score.weight", (10, 5e-4)),
        ("raw", "trunk.fc7.weight", (1, 5e-4)),  # VGG's has ImageNet weights
        ("skip", "head.upscore.pool4.weight", (1, 5e-4)),
        ("skip", "head.score.pool4.weight", (10, 5e-4)),
    ],
)
def test_rate_and_decay_of_a_parameter(network, name, expected):
    assert rates_of(NETWORKS[network])[name] == expected


@pytest.mark.parametrize(
    ("power", "warmup", "steps", "expected"),
    [
        (0.9, 0, (0, 500, 999, 1000, 1001), (1, 0.5**0.9, 0.001**0.9, 0, 0)),
        (1.0, 0, (0, 250, 500, 1000), (1, 0.75, 0.5, 0)),
        (0.0, 4, (0, 1, 2, 3, 4, 5), (0.2, 0.4, 0.6, 0.8, 1, 1)),
    ],
)
def test_poly_factor_by_hand(power, warmup, steps, expected):
    factors = [poly_factor(step, 1000, power, warmup) for step in steps]

    assert factors == pytest.approx(expected, rel=1e-9)


class Quadratic(nn.Module):
    """Two weights and a bias in float64 whose gradients are easy to write down."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.5, -2.0], dtype=torch.float64))
        self.bias = nn.Parameter(torch.tensor([0.75], dtype=torch.float64))
        self.curve = torch.tensor([3.0, 0.5], dtype=torch.float64)

    def forward(self, step):
        return (self.curve * self.weight**2).sum() / 2 + (self.bias - step % 3).pow(2).sum()


def train_with_torch(config):
    network = Quadratic()
    optimizer, schedule = build_optimizer(network, (), config, 20)
    path = []
    for step in range(20):
        optimizer.zero_grad()
        network(step).backward()
        optimizer.step()
        schedule.step()
        path.append(torch.cat([network.weight, network.bias]).detach().numpy().copy())
    return np.array(path)


def train_like_caffe(lr=0.1, momentum=0.9, decay=0.02, power=0.9, warmup=0):
    """SGDSolver of Caffe: Regularize, ComputeUpdateValue, Net::Update; poly rate."""
    w = np.array([1.5, -2.0, 0.75])
    lr_mult, decay_mult = np.array([1.0, 1.0, 2.0]), np.array([1.0, 1.0, 0.0])
    history = np.zeros(3)
    path = []
    for step in range(20):
        rate = lr * (1 - step / 20) ** power * min(1, (step + 1) / (warmup + 1))
        gradient = np.array([3.0 * w[0], 0.5 * w[1], 2 * (w[2] - step % 3)])
        gradient = gradient + decay * decay_mult * w
        history = momentum * history + rate * lr_mult * gradient
        w = w - history
        path.append(w)
    return np.array(path)


CAFFE = OptimConfig(lr=0.1, loss="mean", weight_decay=0.02)


@pytest.mark.parametrize("warmup", [0, 5])
def test_sgd_is_caffes_step_by_step(warmup):
    ours = train_with_torch(replace(CAFFE, warmup_steps=warmup))

    np.testing.assert_allclose(ours, train_like_caffe(warmup=warmup), rtol=1e-12)


def test_adamw_keeps_its_own_betas():
    network = Quadratic()

    optimizer, _ = build_optimizer(network, (), OptimConfig(optimizer="adamw", lr=1e-3), 20)

    assert isinstance(optimizer, torch.optim.AdamW)
    assert {group["betas"] for group in optimizer.param_groups} == {(0.9, 0.999)}
    assert all("momentum" not in group for group in optimizer.param_groups)


def test_frozen_layers_are_in_no_group_and_all_others_are():
    network = build_model(NETWORKS["late"], 3)

    freeze(network.trunk, ("conv1", "fire2"))

    groups = parameter_groups(network, network.new_layers, AUTHORS)
    trained = {parameter for group in groups for parameter in group["params"]}
    for name, parameter in network.named_parameters():
        assert (parameter in trained) != name.startswith(("trunk.conv1.", "trunk.fire2.")), name


@pytest.mark.parametrize("name", ["fire", ""])
def test_unknown_layer_to_freeze_is_refused(name):
    network = build_model(NETWORKS["late"], 3)

    with pytest.raises(
        ConfigError, match=rf"^`freeze` must name layers of the trunk, got '{name}'"
    ):
        freeze(network.trunk, (name,))
