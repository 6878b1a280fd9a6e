import json
import re
from dataclasses import replace

import numpy as np
import pytest

from parsenet.cli import main
from parsenet.errors import ConfigError, DataNotFoundError
from parsenet.evaluation.comparison import Scored
from parsenet.evaluation.record import Evaluation
from parsenet.metrics.per_image import ImageCounts
from parsenet.taxonomy import Taxonomy, voc_colour_map

PETS = Taxonomy("pets", ("ground", "cat", "dog"), voc_colour_map(3))


def evaluation(seed, share=0.7, num_images=30):
    """Images of ground and cats, right for a share that varies; no dogs."""
    random = np.random.default_rng(seed)
    right = np.clip(random.normal(100 * share, 10, (num_images, 2)), 0, 100).astype(np.int64)
    counts = np.zeros((num_images, 3, 3), np.int64)
    counts[:, [0, 1], [0, 1]] = right
    counts[:, [0, 1], [1, 0]] = 100 - right
    names = [f"p{index:02}" for index in range(num_images)]
    return Evaluation(ImageCounts.of(names, counts, 3), PETS, "val", f"{seed}.ckpt", str(seed) * 64)


@pytest.fixture
def scored(tmp_path):
    for name, seed, share in (("a", 1, 0.6), ("b", 2, 0.8)):
        evaluation(seed, share).write(tmp_path / name)
    return tmp_path


def compare(folder, *words):
    files = [str(folder / name / "metrics.json") for name in ("a", "b")]
    return main(["compare", *files, "--resamples", "200", *words])


def test_compare_prints_both_cards_and_a_difference(scored, capsys):
    assert compare(scored) == 0

    out = capsys.readouterr().out
    cards = [line for line in out.splitlines() if "pets val, 30 images, native size" in line]
    assert [card[:2] for card in cards] == ["A:", "B:"]
    row = re.search(r"\| mean IoU .*", out)[0]
    number = r"\+?\d+\.\d\d \[\+?\d+\.\d\d, \+?\d+\.\d\d\]"
    assert re.fullmatch(
        rf"\| mean IoU +\| +{number} \| +{number} \| +{number} \| 0\.0050 \| +\|", row
    )


def test_compare_leaves_a_class_without_ground_truth_empty(scored, capsys):
    compare(scored)

    row = re.search(r"\| IoU dog .*", capsys.readouterr().out)[0]
    assert re.fullmatch(r"\| IoU dog +(\| +- ){4}\| +0 \|", row)


def test_compare_writes_json(scored, capsys):
    compare(scored, "--json", "--seed", "3")

    record = json.loads(capsys.readouterr().out)
    assert record["resampling"] == {"resamples": 200, "level": 0.95, "seed": 3}
    entry = record["scores"]["mean_iou"]
    assert entry["difference"]["value"] == pytest.approx(entry["b"]["value"] - entry["a"]["value"])
    assert record["scores"]["IoU_dog"]["p_value"] is None


def test_other_card_is_refused_with_the_difference_named(scored, capsys):
    replace(evaluation(2), split="train").write(scored / "b")

    code = compare(scored)

    assert code == 2
    assert capsys.readouterr().err == (
        "error: Both scores must have the same card, got `split` val and train. Score both alike, "
        "or add `--anyway`.\n"
    )


def test_other_card_is_compared_when_told_to(scored, capsys):
    replace(evaluation(2), split="train").write(scored / "b")

    assert compare(scored, "--anyway") == 0
    assert "| mean IoU" in capsys.readouterr().out


def test_dialects_prints_every_codebase_with_its_reason(scored, capsys):
    assert main(["dialects", str(scored / "a")]) == 0

    out = capsys.readouterr().out
    rows = re.findall(r"^\| (\S.*?\S) +\|", out, re.MULTILINE)[2:]  # after head and rule
    reasons = re.findall(r"^- (.+?): [A-Z].*\.$", out, re.MULTILINE)
    assert len(rows) == 13
    assert rows == reasons


def test_dialects_writes_json(scored, capsys):
    main(["dialects", str(scored / "a" / "metrics.json"), "--json"])

    record = json.loads(capsys.readouterr().out)
    expected = evaluation(1, 0.6).scores.mean_iou
    assert record["ParseNet authors' Matlab (ours)"]["mean_iou"] == pytest.approx(expected)
    assert record["VOC devkit VOCevalseg.m"]["mean_iou"] is None  # no dog anywhere: 0/0
    assert record["smp iou_score, micro"]["pixel_accuracy"] is None


def test_missing_score_is_named(tmp_path):
    path = tmp_path / "metrics.json"
    message = f"`{path}` must be a file, got none. Make it by `parsenet score --out DIR`."

    with pytest.raises(DataNotFoundError, match=f"^{re.escape(message)}$"):
        Scored.load(path)


def test_score_without_a_card_is_refused(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text('{"mean_iou": 0.5}')
    message = (
        f"'{path}' must hold scores with their card, got KeyError for 'card'. Score again with "
        "this version."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Scored.load(path)


def test_other_classes_are_named_not_listed(scored, capsys):
    images = evaluation(2).images
    only_ground = ImageCounts(
        images.ids,
        *(part[images.truth == 0] for part in (images.images, images.truth)),
        *(part[images.truth == 0] for part in (images.prediction, images.pixels)),
        3,
    )
    replace(evaluation(2), images=only_ground).write(scored / "b")

    compare(scored)

    assert capsys.readouterr().err == (
        "error: Both scores must have the same card, got `classes_counted` 2 classes (cat among "
        "them) and 1 classes; `classes_absent` 1 classes and 2 classes (cat among them). Score "
        "both alike, or add `--anyway`.\n"
    )
