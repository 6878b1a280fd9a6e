"""How large features are: by hand, and as written."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from parsenet.figures.scales import measure_scales, write_scales
from parsenet.models.trunk import rescale_features

FIVE = ("pool6", "fc7", "conv5", "conv4", "conv3")


@pytest.fixture
def images():
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (16, side, 3), dtype=np.uint8) for side in (24, 40)]


def by_key(scales):
    return {(scale.feature, scale.normalized): scale for scale in scales}


def test_scales_are_those_of_the_maps(make_subject, images):
    subject = make_subject(features=FIVE, head="early")
    with torch.no_grad():
        x = torch.from_numpy(images[0]).permute(2, 0, 1)[None]
        conv4 = subject.network.trunk(subject.network.preprocess(x))["conv4"]

    scale = by_key(measure_scales(subject, images[:1]))["conv4", False]

    norms = conv4[0].norm(dim=0)
    assert scale.pixels == 6
    assert scale.mean_norm == pytest.approx(float(norms.mean()), rel=1e-5)
    assert scale.mean_abs == pytest.approx(float(conv4.abs().mean()), rel=1e-5)
    assert scale.percentiles[3] == pytest.approx(float(norms.quantile(0.5)), rel=1e-5)
    assert scale.learned is None


def test_after_l2norm_every_feature_has_the_length_of_its_factors(make_subject, images):
    subject = make_subject(features=FIVE, head="late", norm_scale=10.0)
    with torch.no_grad():
        subject.network.head.prepare.norm["conv3"].scale.mul_(2)

    scales = by_key(measure_scales(subject, images))

    assert scales["conv4", True].mean_norm == pytest.approx(10, rel=1e-4)
    assert scales["conv3", True].mean_norm == pytest.approx(20, rel=1e-4)
    assert scales["conv3", True].learned == (20, 20, 20)
    assert scales["pool6", True].pixels == 2


def test_rescaled_feature_map_is_that_much_larger(make_subject, images):
    subject = make_subject(features=FIVE, head="early")
    before = by_key(measure_scales(subject, images))

    rescale_features(subject.network.trunk, {"conv3": 100.0})

    after = by_key(measure_scales(subject, images))
    ratio = {key: after[key].mean_norm / before[key].mean_norm for key in before}
    assert ratio == pytest.approx(dict.fromkeys(before, 1.0) | {("conv3", False): 100.0}, rel=1e-4)


@pytest.mark.parametrize("options", [{"normalize": False}, {"features": FIVE}])
def test_files_hold_every_feature_and_what_was_run(options, make_subject, images, tmp_path):
    subject = make_subject(**options)
    scales = measure_scales(subject, images)

    png, table, data = write_scales(scales, subject, tmp_path, {"split": "val"})

    record = json.loads(data.read_text())
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert record["split"] == "val"
    assert [row["feature"] for row in rows] == [entry["feature"] for entry in record["features"]]
    expected = {"conv3", "conv4", "conv5", "fc7", "pool6"}
    assert {row["feature"] for row in rows if row["normalized"] == "False"} == expected
    assert any(row["normalized"] == "True" for row in rows) == options.get("normalize", True)
    with Image.open(png) as image:
        assert image.width > image.height
