"""A feature's scale changes, and nothing behind it does, on every trunk of the table."""

import pytest
import torch

from parsenet.config import NetworkConfig
from parsenet.errors import ConfigError
from parsenet.models.build import TRUNKS, build_model
from parsenet.models.trunk import rescale_features

EVERY = pytest.mark.parametrize(
    "name",
    # The full VGG-16 has half a gigabyte; the reduced one has the same around its maps.
    [pytest.param(n, marks=[pytest.mark.slow] if n == "vgg16_fcn" else []) for n in TRUNKS],
)
FIVE = ("pool6", "fc7", "conv5", "conv4", "conv3")


def features_of(trunk):
    """Features of one random image; biases are random too, zeros would hide them."""
    torch.manual_seed(1)
    with torch.no_grad():
        return trunk.eval()(100 * torch.randn(1, 3, 24, 32))


def with_biases(trunk):
    torch.manual_seed(2)
    with torch.no_grad():
        for key, value in trunk.named_parameters():
            if key.endswith("bias"):
                value.uniform_(-0.1, 0.1)
    return trunk


@EVERY
def test_only_the_map_and_its_pool_change_bit_for_bit_at_powers_of_two(name, make_trunk):
    trunk = with_biases(make_trunk(name))
    before = features_of(trunk)

    rescale_features(trunk, {"conv3": 64.0, "conv4": 0.125, "conv5": 4.0})
    exact = features_of(trunk)
    rescale_features(trunk, {"conv3": 100.0, "conv4": 0.01, "conv5": 7.3})
    rounded = features_of(trunk)

    factors = {"conv3": 64, "pool3": 64, "conv4": 0.125, "pool4": 0.125, "conv5": 4, "fc7": 1}
    assert {
        feature
        for feature in exact
        if not torch.equal(exact[feature], factors[feature] * before[feature])
    } == set()
    near = 1e-5 * float(before["fc7"].abs().max())
    torch.testing.assert_close(rounded["fc7"], before["fc7"], rtol=1e-5, atol=near)
    torch.testing.assert_close(rounded["conv3"], 6400 * before["conv3"], rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("name", ["squeezenet", "tiny"])
@pytest.mark.parametrize("head", ["early", "late"])
@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_only_the_network_without_norm_is_changed_at_the_start(name, head, factor):
    torch.manual_seed(0)
    image = torch.randint(0, 256, (1, 3, 24, 32), dtype=torch.uint8)
    moved = {}
    for normalize in (True, False):
        config = NetworkConfig(trunk=name, features=FIVE, head=head, normalize=normalize)
        network = build_model(config, 5).eval()
        with torch.no_grad():
            before = network(image)
            rescale_features(network.trunk, {"conv3": factor, "conv4": factor})
            moved[normalize] = float((network(image) - before).abs().max() / before.abs().max())

    assert moved[True] < 1e-5
    assert moved[False] > 0.1


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        (
            {"conv3": 2.0, "fc7": 2.0},
            "`rescale` must name feature maps between two convolutions of the trunk, got 'fc7'. "
            "Tiny has: conv3, conv4, conv5.",
        ),
        ({"conv3": -1.0}, "`rescale` must hold positive factors, got conv3: -1.0."),
    ],
)
def test_wrong_factors_are_refused_before_anything_changes(factors, message, make_trunk):
    trunk = make_trunk("tiny")
    before = features_of(trunk)

    with pytest.raises(ConfigError) as error:
        rescale_features(trunk, factors)

    assert str(error.value) == message
    assert torch.equal(features_of(trunk)["conv3"], before["conv3"])
