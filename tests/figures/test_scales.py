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


def rows_of(network, images):
    scales = measure_scales(network, images)
    return {(x.row["feature"], x.row["normalized"]): x.row for x in scales}


def test_scales_are_those_of_the_maps(make_network, images):
    network = make_network(features=FIVE, head="early")
    with torch.no_grad():
        x = torch.from_numpy(images[0]).permute(2, 0, 1)[None]
        conv4 = network.trunk(network.preprocess(x))["conv4"]

    row = rows_of(network, images[:1])["conv4", False]

    norms = conv4[0].norm(dim=0)
    found = [row[key] for key in ("pixels", "mean_norm", "mean_abs", "zeros", "p50")]
    expected = [6, norms.mean(), conv4.abs().mean(), 0, norms.quantile(0.5)]
    assert found == pytest.approx([float(x) for x in expected], rel=1e-5)
    assert row["factor_mean"] is None


def test_after_l2norm_every_feature_has_the_length_of_its_factors(make_network, images):
    network = make_network(features=FIVE, head="late", norm_scale=10.0)
    with torch.no_grad():
        network.head.prepare.norm["conv3"].scale.mul_(2)

    rows = rows_of(network, images)

    assert rows["conv4", True]["mean_norm"] == pytest.approx(10, rel=1e-4)
    assert rows["conv3", True]["mean_norm"] == pytest.approx(20, rel=1e-4)
    assert [rows["conv3", True][f"factor_{end}"] for end in ("min", "mean", "max")] == [20] * 3
    assert rows["pool6", True]["pixels"] == 2


def test_rescaled_feature_map_is_that_much_larger(make_network, images):
    network = make_network(features=FIVE, head="early")
    before = rows_of(network, images)

    rescale_features(network.trunk, {"conv3": 100.0})

    after = rows_of(network, images)
    ratio = {key: after[key]["mean_norm"] / before[key]["mean_norm"] for key in before}
    assert ratio == pytest.approx(dict.fromkeys(before, 1.0) | {("conv3", False): 100.0}, rel=1e-4)


@pytest.mark.parametrize("options", [{"normalize": False}, {"features": FIVE}])
def test_files_hold_every_feature_and_what_was_run(options, make_network, images, tmp_path):
    scales = measure_scales(make_network(**options), images)

    png, table, data = write_scales(scales, "tiny", tmp_path, {"split": "val"})

    record = json.loads(data.read_text())
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert record["split"] == "val"
    assert [row["feature"] for row in rows] == [entry["feature"] for entry in record["features"]]
    assert {row["feature"] for row in rows if row["normalized"] == "False"} == set(FIVE)
    assert any(row["normalized"] == "True" for row in rows) == options.get("normalize", True)
    with Image.open(png) as image:
        assert image.width > image.height
