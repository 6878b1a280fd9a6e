"""The script that puts a network and its card into the package, and what is there now."""

import json

import pytest

from data_tools.bundle import FREQUENT, MAX_BYTES, write_card, write_model
from parsenet.config import NetworkConfig
from parsenet.models.build import build_model
from parsenet.models.checkpoint import load_network, save_network
from parsenet.pretrained import CARD_NAME, bundled_path
from parsenet.taxonomy import VOC2012

CONFIG = NetworkConfig(trunk="tiny", upsample="bilinear")


@pytest.fixture
def run_dir(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    save_network(run / "model.safetensors", build_model(CONFIG, 21), CONFIG, VOC2012)
    record = {
        "num_parameters": 1234, "git_commit": "0123456789", "finished": "2026-11-21T10:00:00",
        "device": "cpu", "versions": {"torch": "2.15.0"}, "seed": 3, "seconds": 120.0,
    }  # fmt: skip
    (run / "record.json").write_text(json.dumps(record), encoding="utf-8")
    (run / "metrics.csv").write_text("epoch,step\n0,10\n1,20\n", encoding="utf-8")
    classes = [
        {"name": name, "iou": 0.6 if name in FREQUENT else 0.1, "accuracy": 0.7, "pixels": 1000}
        for name in VOC2012.names
    ]
    metrics = {"protocol": "voc2012 val", "pixel_accuracy": 0.915, "classes": classes}
    (run / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    return run


def test_model_is_written_in_half_precision(run_dir, tmp_path):
    size = write_model(run_dir, tmp_path / "box")

    assert size < 0.6 * (run_dir / "model.safetensors").stat().st_size
    assert load_network(tmp_path / "box" / "model.safetensors").config.trunk == "tiny"


def test_card_says_what_was_reached_and_what_is_missing(run_dir, tmp_path):
    write_model(run_dir, tmp_path / "box")

    reached = write_card(run_dir, run_dir, tmp_path / "box")

    card = (tmp_path / "box" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert reached == {"pixel accuracy": 0.915, "IoU, mean of the eight": pytest.approx(0.6)}
    assert "| pixel accuracy | 91.50 | 90.5 | +1.00 |" in card
    assert "| IoU, mean of the eight | 60.00 | 67.9 | -7.90 |" in card
    assert "aeroplane, bicycle, boat" in card
    assert "20 iterations" in card


def test_model_of_the_package_is_small_and_knows_its_classes():
    loaded = load_network(bundled_path())

    assert bundled_path().stat().st_size <= MAX_BYTES
    assert loaded.taxonomy == VOC2012
    assert f"{sum(x.numel() for x in loaded.network.parameters()):,} parameters" in (
        bundled_path().with_name(CARD_NAME).read_text(encoding="utf-8")
    )
