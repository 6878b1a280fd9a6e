import csv
import json

import numpy as np
import pytest

from parsenet.evaluation.record import Evaluation
from parsenet.metrics.per_image import ImageCounts
from parsenet.metrics.protocol import Protocol
from parsenet.taxonomy import Taxonomy, voc_colour_map

PETS = Taxonomy("pets", ("ground", "cat", "dog"), voc_colour_map(3))
COUNTS = np.array([[[6, 2, 0], [1, 3, 0], [0, 0, 0]], [[4, 0, 4], [0, 0, 0], [0, 0, 0]]])


@pytest.fixture
def evaluation():
    return Evaluation(ImageCounts.of(["a", "b"], COUNTS, 3), PETS, "val", "best.ckpt", "abc")


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_scores_are_those_of_all_images_together(evaluation):
    assert evaluation.scores.class_iou[:2] == pytest.approx((10 / 17, 3 / 6))


def test_card_tells_what_the_means_go_over(evaluation):
    assert evaluation.card == Protocol(
        "pets", "val", 2, ("ground", "cat"), ("dog",), checkpoint="abc"
    )


def test_metrics_file_holds_card_scores_and_classes(evaluation, tmp_path):
    evaluation.write(tmp_path)

    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))

    assert metrics["card"] == evaluation.card.to_dict()
    assert metrics["protocol"] == str(evaluation.card)
    assert metrics["mean_iou"] == evaluation.scores.mean_iou
    assert metrics["confusion"] == COUNTS.sum(axis=0).tolist()
    assert metrics["classes"][1] == {
        "name": "cat", "iou": 0.5, "accuracy": 0.75, "precision": 0.6, "recall": 0.75,
        "dice": pytest.approx(6 / 9), "pixels": 4,
    }  # fmt: skip


def test_score_that_does_not_exist_is_null(evaluation):
    dog = evaluation.to_dict()["classes"][2]

    assert [dog[key] for key in ("iou", "accuracy", "precision", "dice")] == [None] * 4


def test_counts_per_image_lie_beside_the_scores(evaluation, tmp_path):
    evaluation.write(tmp_path)

    images = ImageCounts.load(tmp_path / "counts.npz")

    assert [images.dense(index).tolist() for index in (0, 1)] == COUNTS.tolist()


def test_table_of_classes_has_a_row_each(evaluation, tmp_path):
    evaluation.write(tmp_path)

    rows = table(tmp_path / "per_class.csv")

    assert list(rows[0]) == ["name", "iou", "accuracy", "precision", "recall", "dice", "pixels"]
    assert [row["pixels"] for row in rows] == ["16", "4", "0"]


def test_table_of_images_has_a_row_each(evaluation, tmp_path):
    evaluation.write(tmp_path)

    assert table(tmp_path / "per_image.csv") == [
        {"id": "a", "pixels": "12", "pixel_accuracy": "0.75", "mean_iou": str((6 / 9 + 3 / 6) / 2)},
        {"id": "b", "pixels": "8", "pixel_accuracy": "0.5", "mean_iou": "0.5"},
    ]


def test_table_of_confusions_names_rows_and_columns(evaluation, tmp_path):
    evaluation.write(tmp_path)

    rows = table(tmp_path / "confusion.csv")

    assert rows[0] == {"truth": "ground", "ground": "10", "cat": "2", "dog": "4"}


def test_worst_images_come_first(evaluation):
    assert evaluation.worst() == [("b", 0.5), ("a", pytest.approx((6 / 9 + 3 / 6) / 2))]


def test_worst_images_are_cut_at_the_count(evaluation):
    assert [name for name, _ in evaluation.worst(count=1)] == ["b"]


def test_image_that_is_all_void_is_not_the_worst():
    counts = np.array([np.eye(3), np.zeros((3, 3))], np.int64)

    evaluation = Evaluation(ImageCounts.of(["a", "void"], counts, 3), PETS, "val")

    assert evaluation.worst() == [("a", 1.0)]
