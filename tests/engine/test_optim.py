"""The authors' solver: who learns how fast, and Caffe's momentum step by step."""

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


@pytest.mark.parametrize("config", NETWORKS.values(), ids=NETWORKS)
def test_biases_have_twice_the_rate_and_no_decay(config):
    rates = rates_of(config)

    biases = {rate for name, rate in rates.items() if name.endswith("bias")}
    others = {rate for name, rate in rates.items() if not name.endswith("bias")}
    assert biases == {(2, 0), (20, 0)}
    assert others == {(1, 5e-4), (10, 5e-4)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("trunk.conv1.weight", (1, 5e-4)),
        ("trunk.fire9.expand3x3.bias", (2, 0)),
        ("trunk.fc7.weight", (10, 5e-4)),  # new in SqueezeNet: no ImageNet weights
        ("trunk.fc7.bias", (20, 0)),
        ("head.score.fc7.weight", (10, 5e-4)),
        ("head.score.pool6.bias", (20, 0)),
        ("head.prepare.norm.conv4.scale", (1, 5e-4)),
        ("upsample.deconv.weight", (1, 5e-4)),
        ("upsample.deconv.bias", (2, 0)),
    ],
)
def test_rates_of_a_late_fusion_squeezenet(name, expected):
    assert rates_of(NETWORKS["late"])[name] == expected


def test_early_score_layer_learns_ten_times_as_fast():
    rates = rates_of(NETWORKS["early"])

    assert rates["head.score.weight"] == (10, 5e-4)
    assert rates["head.score.bias"] == (20, 0)


def test_fc7_of_vgg_is_not_new():
    rates = rates_of(NETWORKS["raw"])

    assert rates["trunk.fc7.weight"] == (1, 5e-4)
    assert rates["trunk.fc7.bias"] == (2, 0)


def test_upscoring_of_a_skip_head_is_no_score_layer():
    rates = rates_of(NETWORKS["skip"])

    assert rates["head.upscore.pool4.weight"] == (1, 5e-4)
    assert rates["head.score.pool4.weight"] == (10, 5e-4)


def test_fixed_parameters_are_left_out():
    layer = nn.Conv2d(1, 1, 1)
    layer.weight.requires_grad_(False)

    groups = parameter_groups(layer, (), AUTHORS)

    assert [group["params"] for group in groups] == [[layer.bias]]


def test_a_prefix_is_a_whole_name():
    network = nn.ModuleDict({"fc7": nn.Linear(1, 1), "fc70": nn.Linear(1, 1)})

    groups = parameter_groups(network, ("fc7",), AUTHORS)

    fast = [p for group in groups if group["lr"] > 5e-8 for p in group["params"]]
    assert {id(p) for p in fast} == {id(p) for p in network["fc7"].parameters()}


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 1.0), (10_000, 0.5**0.9), (19_999, 0.00005**0.9), (20_000, 0.0)]
)
def test_poly_factor_at_start_middle_and_end(step, expected):
    assert poly_factor(step, 20_000, 0.9) == pytest.approx(expected, rel=1e-9)


def test_poly_factor_beyond_the_end_is_zero():
    assert poly_factor(25, 20, 0.9) == 0


def test_power_one_falls_in_a_straight_line():
    assert [poly_factor(step, 4, 1.0) for step in range(5)] == [1, 0.75, 0.5, 0.25, 0]


def test_power_zero_keeps_the_rate():
    assert [poly_factor(step, 4, 0.0) for step in range(4)] == [1, 1, 1, 1]


def test_warm_up_rises_in_a_straight_line_to_the_poly_rate():
    factors = [poly_factor(step, 1000, 0.0, 4) for step in range(6)]

    assert factors == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])


def test_schedule_sets_the_rate_of_every_group():
    network = build_model(NETWORKS["late"], 3)
    config = OptimConfig(lr=0.01, loss="mean", power=1.0)
    optimizer, schedule = build_optimizer(network, network.new_layers, config, 4)
    rates = []
    for _ in range(4):
        rates.append(sorted({round(group["lr"], 9) for group in optimizer.param_groups}))
        optimizer.step()
        schedule.step()

    for rate, factor in zip(rates, (1, 0.75, 0.5, 0.25), strict=True):
        assert rate == pytest.approx([factor * 0.01 * m for m in (1, 2, 10, 20)])


class Quadratic(nn.Module):
    """Two weights and a bias in float64 whose gradients are easy to write down."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.5, -2.0], dtype=torch.float64))
        self.bias = nn.Parameter(torch.tensor([0.75], dtype=torch.float64))
        self.curve = torch.tensor([3.0, 0.5], dtype=torch.float64)

    def forward(self, step):
        return (self.curve * self.weight**2).sum() / 2 + (self.bias - step % 3).pow(2).sum()


def train_with_torch(config, make_optimizer=None):
    network = Quadratic()
    optimizer, schedule = build_optimizer(network, (), config, 20)
    if make_optimizer is not None:
        optimizer, schedule = make_optimizer(network)
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


def test_sgd_is_caffes_step_by_step():
    np.testing.assert_allclose(train_with_torch(CAFFE), train_like_caffe(), rtol=1e-12)


def test_sgd_is_caffes_with_a_warm_up():
    config = OptimConfig(lr=0.1, loss="mean", weight_decay=0.02, warmup_steps=5)

    np.testing.assert_allclose(train_with_torch(config), train_like_caffe(warmup=5), rtol=1e-12)


def test_momentum_of_torch_alone_is_another():
    def plain(network):
        groups = parameter_groups(network, (), CAFFE)
        optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: poly_factor(step, 20, 0.9)
        )

    # Both see the same gradients and rates; only where the rate stands in the velocity differs.
    difference = np.abs(train_with_torch(CAFFE, plain) - train_like_caffe()).max()
    assert difference > 0.01


def test_adamw_keeps_its_own_betas():
    network = Quadratic()

    optimizer, _ = build_optimizer(network, (), OptimConfig(optimizer="adamw", lr=1e-3), 20)

    assert isinstance(optimizer, torch.optim.AdamW)
    assert {group["betas"] for group in optimizer.param_groups} == {(0.9, 0.999)}
    assert all("momentum" not in group for group in optimizer.param_groups)


def test_schedule_that_was_saved_goes_on_like_the_first():
    def advance(network, optimizer, schedule, steps):
        for step in steps:
            optimizer.zero_grad()
            network(step).backward()
            optimizer.step()
            schedule.step()

    first = Quadratic()
    parts = build_optimizer(first, (), CAFFE, 20)
    advance(first, *parts, range(7))
    states = [part.state_dict() for part in (first, *parts)]
    second = Quadratic()
    again = build_optimizer(second, (), CAFFE, 20)
    for part, state in zip((second, *again), states, strict=True):
        part.load_state_dict(state)
    advance(second, *again, range(7, 20))

    np.testing.assert_allclose(second.weight.detach(), train_like_caffe()[-1, :2], rtol=1e-12)


def test_frozen_layers_are_in_no_group_and_all_others_are():
    network = build_model(NETWORKS["late"], 3)

    freeze(network.trunk, ("conv1", "fire2"))

    trained = {
        parameter
        for group in parameter_groups(network, network.new_layers, AUTHORS)
        for parameter in group["params"]
    }
    left_out = {name for name, value in network.named_parameters() if value not in trained}
    parts = [f"fire2.{part}" for part in ("squeeze", "expand1x1", "expand3x3")]
    assert left_out == {
        f"trunk.{layer}.{kind}" for layer in ("conv1", *parts) for kind in ("weight", "bias")
    }


@pytest.mark.parametrize("name", ["fire", ""])
def test_unknown_layer_to_freeze_is_refused(name):
    network = build_model(NETWORKS["late"], 3)

    with pytest.raises(
        ConfigError, match=rf"^`freeze` must name layers of the trunk, got '{name}'"
    ):
        freeze(network.trunk, (name,))
