"""What every trunk promises, run over each line of the table in `parsenet/models/build.py`."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from parsenet.engine.optim import freeze
from parsenet.models.build import TRUNKS
from parsenet.models.tiny import Tiny
from parsenet.models.trunk import Trunk

# How far the centre of a cell may be from where `FeatureMap` says, in pixels, by stride.
CENTRE_ERROR = {"squeezenet": {4: 1.5, 8: 0.5}}
EVERY = pytest.mark.parametrize("name", TRUNKS)
# With numbers in it `vgg16_fcn` takes seconds; fc6 apart it is `vgg16_fcn_reduced`.
DRAWN = pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n == "vgg16_fcn" else n for n in TRUNKS],
)


def on_meta(name):
    """Shapes without numbers: no trunk is too big for it."""
    with torch.device("meta"):
        return TRUNKS[name](0.5).eval()


@EVERY
def test_trunk_has_the_features_that_heads_fuse(name):
    assert {"conv3", "conv4", "conv5", "fc7"} <= set(on_meta(name).feature_maps)


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
def test_small_and_odd_sizes_give_finite_features(name, make_trunk):
    trunk, wrong = make_trunk(name).eval(), []

    with torch.no_grad():
        for size in ((1, 1), (1, 5), (3, 7), (33, 18)):
            features = trunk(100 * torch.randn(1, 3, *size))
            wrong += [(size, feature) for feature, x in features.items() if not x.isfinite().all()]

    assert wrong == []


@DRAWN
def test_features_are_after_their_relu(name, make_trunk):
    trunk = make_trunk(name).eval()

    with torch.no_grad():
        features = trunk(100 * torch.randn(1, 3, 40, 56))

    assert all(x.min() >= 0 and x.max() > 0 for x in features.values())


@DRAWN
def test_every_parameter_feeds_fc7(name, make_trunk):
    trunk = make_trunk(name).eval()

    trunk(100 * torch.randn(1, 3, 40, 56))["fc7"].sum().backward()

    assert [n for n, p in trunk.named_parameters() if not p.grad.count_nonzero()] == []


@DRAWN
def test_images_of_a_batch_do_not_mix(name, make_trunk):
    trunk, image = make_trunk(name).eval(), 100 * torch.randn(2, 3, 33, 25)

    with torch.no_grad():
        both, alone = trunk(image), trunk(image[1:])

    for feature, x in alone.items():
        torch.testing.assert_close(both[feature][1:], x, rtol=1e-4, atol=1e-4)


@EVERY
def test_dropout_is_what_the_constructor_was_told(name):
    with torch.device("meta"):
        trunk = TRUNKS[name](0.25)

    assert {m.p for m in trunk.modules() if isinstance(m, nn.Dropout)} == {0.25}


@DRAWN
def test_fc7_is_after_its_dropout(name, make_trunk):
    trunk = make_trunk(name).train()
    image = 100 * torch.randn(1, 3, 24, 24)

    with torch.no_grad():
        dropped, whole = trunk(image)["fc7"], trunk.eval()(image)["fc7"]

    assert (dropped == 0).sum() > 1.2 * (whole == 0).sum() + 1


@EVERY
def test_new_layers_names_layers_that_exist(name):
    trunk = on_meta(name)

    assert set(trunk.new_layers) <= {layer for layer, _ in trunk.named_children()}


@EVERY
def test_own_names_are_not_translated_to_others(name):
    trunk = on_meta(name)

    for own, value in trunk.state_dict().items():
        translated = trunk.translate(own, value)
        assert translated is None or (translated[0], translated[1].shape) == (own, value.shape)


def test_base_is_abstract():
    with pytest.raises(TypeError, match=r"abstract class Trunk"):
        Trunk()


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


def test_frozen_batch_normalization_keeps_its_statistics_in_training():
    trunk = Normalized(0.5)
    freeze(trunk, ("conv2",))
    before = [buffer.clone() for buffer in trunk.buffers()]

    trunk.train()(torch.randn(2, 3, 24, 24))
    frozen = [buffer.clone() for buffer in trunk.buffers()]
    trunk.requires_grad_(True).train()(torch.randn(2, 3, 24, 24))

    assert all(map(torch.equal, frozen, before))
    assert not any(map(torch.equal, trunk.buffers(), before))
