"""The same figure, to the last bit, whoever counts: `fit`, `validate`, `score`, many processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from parsenet.config import NetworkConfig
from parsenet.evaluation import find_pairs, score_pairs
from parsenet.inference.predictor import Predictor
from parsenet.inference.writers import write_label
from parsenet.metrics.counting import ImageCounts
from parsenet.metrics.record import Evaluation, hash_file
from parsenet.models.build import build_model
from parsenet.models.checkpoint import save_network
from parsenet.taxonomy import VOC2012
from tests.engine.conftest import OPTIONS, make_toy
from tests.fakes.voc import write_voc

REPOSITORY = Path(__file__).parents[2]
SCORES = ("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou", "confusion")


def metrics_of(run_dir):
    return json.loads((run_dir / "metrics.json").read_text(encoding="utf-8"))


def equal_counts(one, other):
    return one.ids == other.ids and np.array_equal(one.entries, other.entries)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A run of one epoch: its last validation is that of the best checkpoint."""
    toy = make_toy(tmp_path_factory.mktemp("fitted"))
    toy("fit", "--trainer.max_epochs", "1")
    return toy


def test_fit_leaves_card_and_counts_beside_its_scores(fitted):
    run_dir = fitted.root / "run"
    metrics = metrics_of(run_dir)
    checkpoint = run_dir / "checkpoints" / metrics["checkpoint"]

    card = Evaluation.load(run_dir).card

    assert (card.dataset, card.split, card.num_images) == ("voc2012", "val", 2)
    assert card.checkpoint == hash_file(checkpoint)
    images = ImageCounts.load(run_dir / "counts.npz")
    assert images.total().tolist() == metrics["confusion"]
    assert {path.parent.name for path in run_dir.rglob("*.png")} == {"samples", "worst"}


def test_fit_validate_and_score_agree_to_the_last_bit(fitted):
    run_dir = fitted.root / "run"
    checkpoint = run_dir / "checkpoints" / metrics_of(run_dir)["checkpoint"]
    fitted("validate", "--ckpt_path", str(checkpoint), name="validated")
    predictor = Predictor.load(checkpoint, "cpu", "32-true")
    base = fitted.root / "data" / "VOC2012"
    split = base / "ImageSets" / "Segmentation" / "val.txt"
    for name in split.read_text().split():
        label = predictor(base / "JPEGImages" / f"{name}.jpg")
        write_label(fitted.root / "labels" / f"{name}.png", label, predictor.taxonomy)

    labels = fitted.root / "labels"
    pairs = find_pairs(labels, base / "SegmentationClass", split)
    scored = score_pairs(pairs, VOC2012, "val")

    trained, validated = metrics_of(run_dir), metrics_of(fitted.root / "validated")
    for name in SCORES:
        assert trained[name] == validated[name] == scored.to_dict()[name], name
    assert float(fitted.rows()[-1]["val/mIoU"]) == trained["mean_iou"]
    assert equal_counts(scored.images, ImageCounts.load(run_dir / "counts.npz"))


@pytest.mark.slow
def test_two_and_three_processes_score_five_images_as_one_does(tmp_path):
    write_voc(tmp_path / "data", num_images=5, size=(40, 52))
    config = NetworkConfig(trunk="squeezenet")
    torch.manual_seed(0)
    network = build_model(config, 21)
    # Scores of a network at random favour one class; noise makes it err in many ways.
    torch.nn.init.normal_(network.upsample.deconv.weight, std=1.0)
    save_network(tmp_path / "model.safetensors", network, config, VOC2012)
    (tmp_path / "config.yaml").write_text(
        yaml.safe_dump({"data": OPTIONS["data"], "trainer": OPTIONS["trainer"]})
    )

    runs = [score_with(num, tmp_path) for num in (1, 2, 3)]

    metrics = [(run_dir / "metrics.json").read_bytes() for run_dir in runs]
    counts = [ImageCounts.load(run_dir / "counts.npz") for run_dir in runs]
    assert metrics[0] == metrics[1] == metrics[2]
    assert equal_counts(counts[0], counts[1])
    assert equal_counts(counts[0], counts[2])
    assert len(counts[0]) == 5
    assert np.count_nonzero(counts[0].total()) > 10
    processes = [json.loads((x / "record.json").read_text())["num_processes"] for x in runs]
    assert processes == [1, 2, 3]


def score_with(num_processes, root):
    """Run `parsenet validate` on so many gloo processes; Lightning starts the others itself."""
    run_dir = root / f"with_{num_processes}"
    words = ["--config", str(root / "config.yaml"), "--data.root", str(root / "data")]
    words += ["--ckpt_path", str(root / "model.safetensors"), "--run_dir", str(run_dir)]
    words += ["--trainer.devices", str(num_processes)]
    if num_processes > 1:
        words += ["--trainer.strategy", "ddp"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "localhost"}
    environment["PYTHONPATH"] = str(REPOSITORY)
    answer = subprocess.run(
        [sys.executable, "-m", "parsenet", "validate", *words],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stderr
    return run_dir
