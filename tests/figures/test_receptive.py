"""How far activations see: the paper's fields, what gradients reach, and the patch of noise."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from parsenet.config import NetworkConfig
from parsenet.errors import ConfigError, WeightsError
from parsenet.figures import Probe
from parsenet.figures.receptive import (
    draw_fields,
    fields_of,
    mean_shares,
    open_network,
    probe_image,
    receptive_fields,
    write_fields,
)
from parsenet.models.build import TRUNKS, build_model
from parsenet.models.checkpoint import save_network
from parsenet.taxonomy import SHAPES


def test_checkpoint_is_what_it_says(tmp_path):
    config = NetworkConfig(trunk="tiny", features=("fc7", "conv3"))
    save_network(tmp_path / "a.safetensors", build_model(config, 5), config, SHAPES)

    network, name = open_network(str(tmp_path / "a.safetensors"))

    assert name == f"{tmp_path.name}/a.safetensors"
    assert set(network.head.prepare.norm) == {"fc7", "conv3"}
    assert fields_of(str(tmp_path / "a.safetensors")) == fields_of("tiny")


def test_neither_is_refused():
    with pytest.raises(WeightsError) as error:
        open_network("vgg17")

    assert str(error.value) == (
        "`model` must be a checkpoint or a trunk (vgg16_largefov, vgg16_fcn, vgg16_fcn_reduced, "
        "squeezenet, tiny), got 'vgg17'. Check the path."
    )


@pytest.mark.parametrize(
    ("trunk", "sizes"),
    [
        # PAPER section 6: pool5 sees 212 at stride 32, fc6 adds six cells.
        ("vgg16_fcn", {"fc7": 404}),
        ("vgg16_fcn_reduced", {"fc7": 404}),
        ("tiny", {"fc7": 62}),
        (
            "vgg16_largefov",
            {"conv3": 40, "pool3": 44, "conv4": 92, "pool4": 108, "conv5": 204, "fc7": 412},
        ),
    ],
)
def test_fields_are_those_of_the_paper(trunk, sizes):
    found = {feature: field.size for feature, field in fields_of(trunk).items()}

    assert found | sizes == found


@pytest.mark.parametrize("name", ["squeezenet", "tiny"])
def test_gradients_fill_the_field_and_never_leave_it(name, monkeypatch):
    trunk = TRUNKS[name](0.0).eval().double()
    with torch.no_grad():
        for parameter in trunk.parameters():  # positive all through: no ReLU closes
            parameter.uniform_(0.5, 1)
    fields = receptive_fields(trunk)
    # A maximum passes one of its inputs at a time, a mean all of them.
    monkeypatch.setattr(
        nn.MaxPool2d,
        "forward",
        lambda self, x: F.avg_pool2d(x, self.kernel_size, self.stride, self.padding),
    )
    height = 8 * 24  # rows are looked at
    image = torch.rand(1, 3, height, 40, dtype=torch.double).requires_grad_()

    for feature, x in trunk(image).items():
        row, column = x.shape[2] // 2, x.shape[3] // 2
        (gradient,) = torch.autograd.grad(x[0, :, row, column].sum(), image, retain_graph=True)
        rows = gradient.abs().sum((0, 1, 3)).nonzero().flatten()
        first, end = fields[feature].span(row, height)
        assert (first, end) == (int(rows[0]), int(rows[-1]) + 1), feature


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)


def test_heat_is_the_change_of_the_activation_under_the_patch(make_network, image):
    network, probe = make_network(), Probe(patch=8, stride=8, noise="grey", at=(20, 28), channel=3)

    (seen,) = probe_image(network, image, probe, ["conv4"])

    def activation(pixels):
        x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
        with torch.no_grad():
            return float(network.trunk(network.preprocess(x))["conv4"][0, 3, 2, 3])

    expected = np.zeros((5, 7), np.float32)
    for row, column in np.ndindex(5, 7):
        changed = image.copy()
        changed[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 128
        expected[row, column] = abs(activation(changed) - activation(image))
    assert [seen[key] for key in ("channel", "row", "column")] == [3, 2, 3]
    assert seen["activation"] == pytest.approx(activation(image))
    np.testing.assert_allclose(seen["heat"], expected, rtol=1e-4, atol=1e-5)
    assert expected[0, 0] == 0 < expected[2, 3]  # outside of the field, and in its middle


def test_shares_are_areas(make_network, image):
    probe = Probe(patch=8, stride=8, at=(0, 0), threshold=1.0)

    (seen,) = probe_image(make_network(), image, probe, ["fc7"])

    # The cell (0, 0) of fc7 sees the first 35 rows and columns; one position changes it most.
    assert seen["theoretical_box"] == [0, 35, 0, 35]
    assert seen["theoretical_share"] == pytest.approx(35 * 35 / (40 * 56))
    assert seen["empirical_share"] == pytest.approx(1 / 35)
    mean = {"feature": "fc7", "theoretical_size": 62, "images": 2}
    mean |= {key: seen[key] for key in ("theoretical_share", "empirical_share")}
    assert mean_shares({"a": [seen], "b": [seen]}) == [mean]


def test_heat_can_be_repeated_and_every_noise_gives_another(make_network, image):
    network = make_network()

    def heat(noise):
        return probe_image(network, image, Probe(stride=28, noise=noise))[0]["heat"]

    assert np.array_equal(heat("uniform"), heat("uniform"))
    assert len({heat(noise).tobytes() for noise in ("uniform", "gaussian", "grey")}) == 3
    with torch.no_grad():
        network.trunk.fc7.weight.zero_()  # a network that sees nothing
    (seen,) = probe_image(network, image, Probe(stride=28))
    assert seen["empirical_share"] == 0


def test_images_and_numbers_are_written(make_network, image, tmp_path):
    network, probe = make_network(), Probe(stride=14)
    seen = probe_image(network, image, probe, ["conv3", "conv4", "fc7"])
    with torch.no_grad():
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
        greatest = float(network.trunk(network.preprocess(pixels))["fc7"].max())

    draw_fields(tmp_path / "one.png", image, seen, probe)
    record = json.loads(write_fields(tmp_path, "tiny", probe, {"one": seen}).read_text())

    with Image.open(tmp_path / "one.png") as drawn:
        assert len(drawn.convert("RGB").getcolors(1 << 20)) > 100
    assert record["probe"]["stride"] == 14
    assert seen[2]["activation"] == pytest.approx(greatest, rel=1e-5)
    assert [row["feature"] for row in record["mean"]] == ["conv3", "conv4", "fc7"]
    np.testing.assert_allclose(record["images"]["one"][2]["heat"], seen[2]["heat"], rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "features", "message"),
    [
        ({}, ["conv6"], "`feature` must be one of conv3, conv4, conv5, fc7, got 'conv6'."),
        ({"channel": 64}, ["fc7"], "`channel` must be in 0..63 of fc7, got 64."),
        (
            {"at": (40, 0)},
            ["fc7"],
            "`at` must be a pixel (row, column) of the image of 40 x 56, got 40, 0.",
        ),
        ({"patch": 0}, [], "`patch` and `stride` must be at least 1, got 0 and 16."),
        ({"threshold": 0.0}, [], "`threshold` must be in (0, 1], got 0.0."),
    ],
)
def test_what_cannot_be_probed_is_refused(options, features, message, make_network, image):
    with pytest.raises(ConfigError) as error:
        probe_image(make_network(), image, Probe(**options), features)

    assert str(error.value) == message
