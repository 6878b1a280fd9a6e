"""The noise patch: where it goes, what moves, and what is written."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from parsenet.errors import ConfigError
from parsenet.figures import Probe
from parsenet.figures.receptive import draw_fields, mean_shares, probe_image, write_fields


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)


def test_heat_is_the_change_of_the_activation_under_the_patch(make_subject, image):
    subject, probe = make_subject(), Probe(patch=8, stride=8, noise="grey", at=(20, 28), channel=3)

    (seen,) = probe_image(subject, image, probe, ["conv4"])

    def activation(pixels):
        x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
        with torch.no_grad():
            return float(subject.network.trunk(subject.network.preprocess(x))["conv4"][0, 3, 2, 3])

    expected = np.zeros((5, 7), np.float32)
    for row, column in np.ndindex(5, 7):
        changed = image.copy()
        changed[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 128
        expected[row, column] = abs(activation(changed) - activation(image))
    assert seen.unit == (3, 2, 3)
    assert seen.activation == pytest.approx(activation(image))
    np.testing.assert_allclose(seen.heat, expected, rtol=1e-4, atol=1e-5)
    assert expected[0, 0] == 0 < expected[2, 3]  # outside of the field, and in its middle


def test_greatest_activation_is_watched_and_all_taps_in_one_pass(make_subject, image):
    subject = make_subject()
    with torch.no_grad():
        x = torch.from_numpy(image).permute(2, 0, 1)[None]
        maps = subject.network.trunk(subject.network.preprocess(x))

    seen = probe_image(subject, image, Probe(stride=16), ["conv3", "fc7"])

    assert [one.feature for one in seen] == ["conv3", "fc7"]
    for one in seen:
        assert float(maps[one.feature][0][one.unit]) == float(maps[one.feature].max())
        assert one.activation == pytest.approx(float(maps[one.feature].max()), rel=1e-5)


def test_shares_are_areas(make_subject, image):
    probe = Probe(patch=8, stride=8, at=(0, 0), threshold=1.0)

    (seen,) = probe_image(make_subject(), image, probe, ["fc7"])

    # The cell (0, 0) of fc7 sees the first 35 rows and columns; one position changes it most.
    assert seen.box == (0, 35, 0, 35)
    assert seen.theoretical_share == pytest.approx(35 * 35 / (40 * 56))
    assert seen.empirical_share == pytest.approx(1 / 35)
    assert mean_shares({"a": [seen], "b": [seen]}) == [
        {
            "feature": "fc7",
            "theoretical_size": 62,
            "theoretical_share": seen.theoretical_share,
            "empirical_share": seen.empirical_share,
            "images": 2,
        }
    ]


def test_same_seed_gives_the_same_heat_and_every_noise_another(make_subject, image):
    subject = make_subject()

    def heat(**options):
        return probe_image(subject, image, Probe(stride=28, at=(20, 28), **options))[0].heat

    assert np.array_equal(heat(), heat())
    drawn = [heat(), heat(seed=1), heat(noise="gaussian"), heat(noise="grey")]
    assert len({one.tobytes() for one in drawn}) == 4
    with torch.no_grad():
        subject.network.trunk.fc7.weight.zero_()  # a network that sees nothing
    (seen,) = probe_image(subject, image, Probe(stride=28))
    assert seen.empirical_share == 0


def test_images_and_numbers_are_written(make_subject, image, tmp_path):
    subject, probe = make_subject(), Probe(stride=14)
    seen = probe_image(subject, image, probe, ["conv3", "conv4", "fc7"])

    draw_fields(tmp_path / "one.png", image, seen)
    record = json.loads(write_fields(tmp_path, subject, probe, {"one": seen}).read_text())

    with Image.open(tmp_path / "one.png") as drawn:
        assert len(drawn.convert("RGB").getcolors(1 << 20)) > 100
    assert record["probe"]["stride"] == 14
    assert [row["feature"] for row in record["mean"]] == ["conv3", "conv4", "fc7"]
    heat = record["images"]["one"][2]["heat"]
    np.testing.assert_allclose(heat, seen[2].heat, rtol=1e-3)


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
        ({"patch": 0}, [], "`patch`, `stride` and `batch` must be at least 1, got 0, 16 and 8."),
        ({"threshold": 0.0}, [], "`threshold` must be in (0, 1], got 0.0."),
    ],
)
def test_what_cannot_be_probed_is_refused(options, features, message, make_subject, image):
    with pytest.raises(ConfigError) as error:
        probe_image(make_subject(), image, Probe(**options), features)

    assert str(error.value) == message
