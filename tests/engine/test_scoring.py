"""The same figure, to the last bit, whoever counts: `fit`, `validate`, `score`."""

import json

import numpy as np
import pytest

from parsenet.evaluation import find_pairs, score_pairs
from parsenet.inference.predictor import Predictor
from parsenet.inference.writers import write_label
from parsenet.metrics.counting import ImageCounts
from parsenet.metrics.record import Evaluation, hash_file
from parsenet.taxonomy import VOC2012
from tests.engine.conftest import make_toy

SCORES = ("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou", "confusion")


def metrics_of(run_dir):
    return json.loads((run_dir / "metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A run of one epoch: its last validation is that of the best checkpoint."""
    toy = make_toy(tmp_path_factory.mktemp("fitted"))
    toy("fit", "--trainer.max_epochs", "1")
    return toy


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
    images = ImageCounts.load(run_dir / "counts.npz")
    assert images.ids == scored.images.ids
    assert np.array_equal(images.entries, scored.images.entries)
    card = Evaluation.load(run_dir).card
    assert (card.dataset, card.split, card.num_images) == ("voc2012", "val", 2)
    assert card.checkpoint == hash_file(checkpoint)
    assert {path.parent.name for path in run_dir.rglob("*.png")} == {"samples", "worst"}
