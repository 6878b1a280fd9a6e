import csv
import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from parsenet.errors import ConfigError, DataNotFoundError
from parsenet.metrics.counting import ImageCounts
from parsenet.metrics.record import Evaluation, ProtocolCard, compare_scored
from parsenet.metrics.statistics import Resampling
from parsenet.taxonomy import Taxonomy, voc_colour_map

PETS = Taxonomy("pets", ("ground", "cat", "dog"), voc_colour_map(3))
COUNTS = np.array([[[6, 2, 0], [1, 3, 0], [0, 0, 0]], [[4, 0, 4], [0, 0, 0], [0, 0, 0]]])
CARD = ProtocolCard(
    "voc2012", "val", 1449, ("cat", "dog"), classes_absent=("cow",), checkpoint="0123456789abcdef"
)


@pytest.fixture
def evaluation(tmp_path):
    (tmp_path / "best.ckpt").write_bytes(b"weights")
    images = ImageCounts.of(["a", "b"], COUNTS, 3)
    return Evaluation.of(images, PETS, "val", tmp_path / "best.ckpt")


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_card_is_one_line_that_says_everything():
    assert str(CARD) == (
        "voc2012 val, 1,449 images, native size; void pixels left out of all counts; classes "
        "without ground truth left out of the means; means over 2 of 3 classes (without cow); "
        "test-time augmentation none; checkpoint sha256 0123456789ab"
    )


def test_metrics_file_holds_card_scores_and_classes(evaluation, tmp_path):
    evaluation.write(tmp_path)

    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))

    assert metrics == evaluation.to_dict()
    assert evaluation.card.classes_absent == ("dog",)
    assert evaluation.card.checkpoint == hashlib.sha256(b"weights").hexdigest()
    assert (metrics["protocol"], metrics["checkpoint"]) == (str(evaluation.card), "best.ckpt")
    assert metrics["mean_iou"] == evaluation.scores.mean_iou
    assert metrics["confusion"] == COUNTS.sum(axis=0).tolist()
    assert metrics["classes"][1] == {
        "name": "cat", "iou": 0.5, "accuracy": 0.75, "precision": 0.6, "recall": 0.75,
        "dice": pytest.approx(6 / 9), "pixels": 4,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["", "metrics.json"])
def test_what_was_written_is_read_back(evaluation, tmp_path, name):
    evaluation.write(tmp_path / "out")

    loaded = Evaluation.load(tmp_path / "out" / name)

    assert loaded.to_dict() == evaluation.to_dict()
    assert loaded.card == evaluation.card
    assert loaded.images.entries.tolist() == evaluation.images.entries.tolist()


def test_tables_have_a_row_for_each_class_and_image(evaluation, tmp_path):
    evaluation.write(tmp_path)

    rows = table(tmp_path / "per_class.csv")
    assert list(rows[0]) == ["name", "iou", "accuracy", "precision", "recall", "dice", "pixels"]
    assert [row["pixels"] for row in rows] == ["16", "4", "0"]
    assert [row["iou"] for row in rows] == [str(10 / 17), "0.5", ""]
    assert table(tmp_path / "per_image.csv") == [
        {"id": "a", "pixels": "12", "pixel_accuracy": "0.75", "mean_iou": str((6 / 9 + 3 / 6) / 2)},
        {"id": "b", "pixels": "8", "pixel_accuracy": "0.5", "mean_iou": "0.5"},
    ]
    assert table(tmp_path / "confusion.csv")[:2] == [
        {"truth": "ground", "ground": "10", "cat": "2", "dog": "4"},
        {"truth": "cat", "ground": "1", "cat": "3", "dog": "0"},
    ]


def test_worst_images_come_first_and_those_of_void_alone_do_not():
    counts = np.concatenate([COUNTS, np.zeros((1, 3, 3), np.int64)])
    evaluation = Evaluation.of(ImageCounts.of(["a", "b", "void"], counts, 3), PETS, "val")

    assert evaluation.worst() == [("b", 0.5), ("a", pytest.approx((6 / 9 + 3 / 6) / 2))]
    assert [name for name, _ in evaluation.worst(count=1)] == ["b"]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, DataNotFoundError, "`{}` must be a file, got none. Make it by `parsenet score --out DIR`."),  # noqa: E501
        (
            '{"classes": []}',
            ConfigError,
            "'{}' must hold scores with their card, got KeyError for 'card'. Score again with "
            "this version.",
        ),
        (
            '{"classes": [], "card": {"speed": 3}}',
            ConfigError,
            "'{}' must hold scores with their card, got TypeError for X. Score again with this "
            "version.",
        ),
    ],
)  # fmt: skip
def test_score_without_a_card_is_refused(tmp_path, content, error, message):
    path = tmp_path / "metrics.json"
    if content is not None:
        path.write_text(content)

    pattern = re.escape(message.format(path)).replace("X", ".*")  # in Python's words
    with pytest.raises(error, match=f"^{pattern}$"):
        Evaluation.load(path)


WORDS = ("dataset", "split", "void_rule", "absent_rule", "augmentation")
OTHER = dict.fromkeys(WORDS, "another") | {"num_images": 238, "resolution": "resized"}


@pytest.mark.parametrize("field", OTHER)
def test_every_field_of_the_card_must_be_the_same(evaluation, field):
    other = replace(evaluation, card=replace(evaluation.card, **{field: OTHER[field]}))
    message = (
        f"Both scores must have the same card, got `{field}` {getattr(evaluation.card, field)} and "
        f"{OTHER[field]}. Score both alike, or add `--anyway`."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        compare_scored(evaluation, other, Resampling(100))
    assert compare_scored(evaluation, other, Resampling(100), anyway=True).difference.value[0] == 0


def test_other_classes_are_named_not_listed(evaluation):
    card = replace(evaluation.card, classes_counted=("ground",), classes_absent=("cat", "dog"))
    message = (
        "Both scores must have the same card, got `classes_counted` 2 classes (cat among them) "
        "and 1 classes; `classes_absent` 1 classes and 2 classes (cat among them). Score both "
        "alike, or add `--anyway`."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        compare_scored(evaluation, replace(evaluation, card=card), Resampling(100))
