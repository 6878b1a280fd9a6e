"""What every trunk promises, run over each line of the table in `parsenet/models/build.py`."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from parsenet.config import FEATURES, NetworkConfig, OptimConfig
from parsenet.engine.module import SegmentationModule
from parsenet.errors import ConfigError
from parsenet.models.build import TRUNKS, build_model
from parsenet.models.tiny import Tiny
from parsenet.models.trunk import rescale_features

# How far the centre of a cell may be from where `FeatureMap` says, in pixels, by stride.
CENTRE_ERROR = {"squeezenet": {4: 1.5, 8: 0.5}}
EVERY = pytest.mark.parametrize("name", TRUNKS)
# With numbers in it `vgg16_fcn` takes seconds; fc6 apart it is `vgg16_fcn_reduced`.
DRAWN = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "vgg16_fcn" else n for n in TRUNKS]
)


def on_meta(name):
    """Shapes without numbers: no trunk is too big for it."""
    with torch.device("meta"):
        return TRUNKS[name](0.5).eval()


@EVERY
def test_every_size_from_one_up_gives_the_stated_channels_and_rounds_up(name):
    trunk, wrong = on_meta(name), []
    for height in range(1, 71):
        width = 71 - height if height % 2 else 3 * height

        features = trunk(torch.empty(2, 3, height, width, device="meta"))

        expected = {
            feature: (2, channels, -(-height // stride), -(-width // stride))
            for feature, (channels, stride) in trunk.feature_maps.items()
        }
        if {feature: tuple(x.shape) for feature, x in features.items()} != expected:
            wrong.append((height, width))

    assert wrong == []


@DRAWN
def test_images_of_a_batch_do_not_mix(name, make_trunk):
    trunk, image = make_trunk(name).eval(), 100 * torch.randn(2, 3, 33, 25)

    with torch.no_grad():
        both, alone = trunk(image), trunk(image[1:])

    for feature, x in alone.items():
        torch.testing.assert_close(both[feature][1:], x, rtol=1e-4, atol=1e-4)


def receptive_field(trunk, feature, stride, length, vertical, monkeypatch):
    """First and last pixel that the middle cell of a feature map sees, and the cell's index.

    All weights are positive and pools average instead of taking the maximum, so that the gradient
    is positive wherever the cell can see, and zero elsewhere.
    """

    def average(x, size, stride=None, padding=0, dilation=1, ceil_mode=False, **_):
        return F.avg_pool2d(x, size, stride, padding, ceil_mode)

    monkeypatch.setattr(F, "max_pool2d", average)
    with torch.no_grad():
        for parameter in trunk.parameters():
            weight = parameter.ndim == 4
            parameter.fill_(parameter.shape[0] / parameter.numel() if weight else 0)
    image = torch.ones(1, 3, length, 8) if vertical else torch.ones(1, 3, 8, length)
    x = trunk(image.requires_grad_())[feature]
    cell = length // stride // 2

    (x[:, :, cell] if vertical else x[..., cell]).sum().backward()

    seen = image.grad.sum((0, 1, 3) if vertical else (0, 1, 2)).nonzero().flatten()
    return seen[0].item(), seen[-1].item(), cell


CELLS = [
    (name, feature, vertical)
    for name in TRUNKS
    for feature in ("conv3", "conv4", "conv5", "fc7")
    for vertical in (True, False)
    if name != "vgg16_fcn" and (vertical or feature == "fc7")
] + [pytest.param("vgg16_fcn", "fc7", True, marks=pytest.mark.slow)]


@pytest.mark.parametrize(("name", "feature", "vertical"), CELLS)
def test_cell_is_centred_on_the_pixel_that_its_map_states(
    name, feature, vertical, make_trunk, monkeypatch
):
    trunk = make_trunk(name).eval()
    stride = trunk.feature_maps[feature].stride

    first, last, cell = receptive_field(trunk, feature, stride, 512, vertical, monkeypatch)

    error = abs((first + last) / 2 - (stride * cell + (stride - 1) / 2))
    assert error == CENTRE_ERROR.get(name, {}).get(stride, 0)


@pytest.mark.parametrize(
    ("name", "feature", "pixels"),
    [
        ("vgg16_largefov", "conv4", 92),
        ("vgg16_largefov", "pool4", 108),
        ("vgg16_largefov", "conv5", 204),
        ("vgg16_largefov", "fc7", 412),
        ("vgg16_fcn_reduced", "fc7", 404),
        pytest.param("vgg16_fcn", "fc7", 404, marks=pytest.mark.slow),
        ("tiny", "fc7", 62),
    ],
)
def test_receptive_field_is_as_stated(name, feature, pixels, make_trunk, monkeypatch):
    """VGG-16's in PAPER section 6, the tiny trunk's in its docstring."""
    trunk = make_trunk(name).eval()

    first, last, _ = receptive_field(
        trunk, feature, trunk.feature_maps[feature].stride, 512, True, monkeypatch
    )

    assert last - first + 1 == pixels


class Normalized(Tiny):
    """The tiny trunk with batch normalization before its conv3."""

    def __init__(self, dropout):
        super().__init__(dropout)
        self.conv2 = nn.Sequential(self.conv2, nn.BatchNorm2d(32))


def test_frozen_batch_normalization_keeps_its_statistics_in_training(monkeypatch):
    monkeypatch.setitem(TRUNKS, "tiny", Normalized)
    module = SegmentationModule(NetworkConfig(trunk="tiny"), OptimConfig(freeze=("conv2",)))
    trunk = module.network.trunk
    before = [buffer.clone() for buffer in trunk.buffers()]

    trunk(torch.randn(2, 3, 24, 24))
    module.train()
    trunk(torch.randn(2, 3, 24, 24))
    frozen = [buffer.clone() for buffer in trunk.buffers()]
    module.requires_grad_(True).train()
    trunk(torch.randn(2, 3, 24, 24))

    assert all(map(torch.equal, frozen, before))
    assert not any(map(torch.equal, trunk.buffers(), before))


def features_of(trunk):
    """Features of one random image; biases are random too, zeros would hide them."""
    torch.manual_seed(1)
    with torch.no_grad():
        return trunk.eval()(100 * torch.randn(1, 3, 24, 32))


@DRAWN
def test_only_the_map_and_its_pool_change_bit_for_bit_at_powers_of_two(name, make_trunk):
    trunk = make_trunk(name)
    with torch.no_grad():
        for key, value in trunk.named_parameters():
            if key.endswith("bias"):
                value.uniform_(-0.1, 0.1)
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


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_only_the_network_without_norm_is_changed_at_the_start(normalize, factor):
    torch.manual_seed(0)
    config = NetworkConfig(trunk="tiny", features=FEATURES, normalize=normalize)
    network, image = (build_model(config, 5).eval(), torch.randint(0, 256, (1, 3, 24, 32)))

    with torch.no_grad():
        before = network(image)
        rescale_features(network.trunk, {"conv3": factor, "conv4": factor})
        moved = float((network(image) - before).abs().max() / before.abs().max())

    assert moved < 1e-5 if normalize else moved > 0.1


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
