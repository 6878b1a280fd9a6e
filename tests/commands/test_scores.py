"""`parsenet score`, `compare` and `dialects`, as they are typed."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from parsenet.cli import main
from parsenet.metrics.counting import ImageCounts
from parsenet.metrics.record import Evaluation
from parsenet.taxonomy import VOC2012, Taxonomy, voc_colour_map
from tests.fakes.voc import write_voc

PETS = Taxonomy("pets", ("ground", "cat", "dog"), voc_colour_map(3))


@pytest.fixture
def folders(tmp_path):
    """Predictions and labels of three images, each shifted by another number of pixels."""
    labels = write_voc(tmp_path / "data", num_images=3)
    for folder in ("pred", "gt"):
        (tmp_path / folder).mkdir()
    for shift, name in enumerate(name for name in labels if name.startswith("2009")):
        prediction = np.roll(np.where(labels[name] == 255, 0, labels[name]), shift, axis=1)
        for folder, array in (("pred", prediction), ("gt", labels[name])):
            Image.fromarray(array.astype(np.uint8)).save(tmp_path / folder / f"{name}.png")
    return tmp_path


def score(root, *words, taxonomy="voc2012"):
    paths = ["--pred", str(root / "pred"), "--gt", str(root / "gt")]
    return main(["score", *paths, "--taxonomy", str(taxonomy), *map(str, words)])


def test_score_writes_what_it_prints_with_worst_images_and_a_report(folders, capsys):
    images, out = folders / "data" / "VOC2012" / "JPEGImages", folders / "out"
    (out / "worst").mkdir(parents=True)
    (out / "worst" / "01_old_iou_0.00.png").write_bytes(b"")

    score(folders, "--out", out, "--images", images, "--json")

    metrics = json.loads(capsys.readouterr().out)
    assert json.loads((out / "metrics.json").read_text()) == metrics
    assert ImageCounts.load(out / "counts.npz").total().tolist() == metrics["confusion"]
    worst = sorted(path.name for path in (out / "worst").iterdir())
    assert len(worst) == 3, "that of an earlier scoring is gone"
    assert worst[0].startswith("01_2009_000002_iou_")
    assert "Worst images" in (out / "report.html").read_text(encoding="utf-8")


def test_score_takes_a_taxonomy_file(folders, capsys):
    names = "".join(f"  - {name}\n" for name in VOC2012.names)
    (folders / "mine.yaml").write_text(f"names:\n{names}")

    score(folders, "--json")
    known = json.loads(capsys.readouterr().out)
    score(folders, "--json", taxonomy=folders / "mine.yaml")
    mine = json.loads(capsys.readouterr().out)

    assert mine["card"]["dataset"] == "mine"
    assert mine["confusion"] == known["confusion"]


def test_tables_are_printed_and_contours_kept(folders, capsys):
    score(folders, "--boundary", "--out", folders / "out")

    out = capsys.readouterr().out
    assert out.startswith("voc2012 gt, 3 images, native size; void pixels left out of all")
    for row in ("| background", "| tvmonitor", "| boundary mean IoU | trimap 1 px |"):
        assert f"\n{row}" in out
    record = json.loads((folders / "out" / "boundary.json").read_text())
    assert 0 < record["boundary_mean_iou"] < 1


def test_score_suggests_the_taxonomy(folders, capsys):
    assert score(folders, taxonomy="voc2021") == 2
    assert capsys.readouterr().err == (
        "error: `taxonomy` must be a known name, got 'voc2021'. Did you mean `voc2012`?\n"
    )


def evaluation(seed, share=0.7, num_images=30, split="val"):
    """Images of ground and cats, right for a share that varies; no dogs."""
    random = np.random.default_rng(seed)
    right = np.clip(random.normal(100 * share, 10, (num_images, 2)), 0, 100).astype(np.int64)
    counts = np.zeros((num_images, 3, 3), np.int64)
    counts[:, [0, 1], [0, 1]] = right
    counts[:, [0, 1], [1, 0]] = 100 - right
    names = [f"p{index:02}" for index in range(num_images)]
    return Evaluation.of(ImageCounts.of(names, counts, 3), PETS, split)


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
    number = r"\+?\d+\.\d\d \[\+?\d+\.\d\d, \+?\d+\.\d\d\]"
    pattern = rf"\| mean IoU +\| +{number} \| +{number} \| +{number} \| 0\.0050 \| +\|"
    assert re.fullmatch(pattern, re.search(r"\| mean IoU .*", out)[0])
    dog = re.search(r"\| IoU dog .*", out)[0]
    assert re.fullmatch(r"\| IoU dog +(\| +- ){4}\| +0 \|", dog), "it has no ground truth"


def test_compare_writes_json(scored, capsys):
    compare(scored, "--json", "--seed", "3")

    record = json.loads(capsys.readouterr().out)
    assert record["resampling"] == {"resamples": 200, "level": 0.95, "seed": 3}
    entry = record["scores"]["mean_iou"]
    assert entry["difference"]["value"] == pytest.approx(entry["b"]["value"] - entry["a"]["value"])
    assert record["scores"]["IoU_dog"]["p_value"] is None


def test_other_card_is_refused_unless_told_to(scored, capsys):
    evaluation(2, split="train").write(scored / "b")

    assert compare(scored) == 2
    assert capsys.readouterr().err == (
        "error: Both scores must have the same card, got `split` val and train. Score both alike, "
        "or add `--anyway`.\n"
    )
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


def test_459_classes_are_scored_compared_and_put_into_dialects(tmp_path, capsys):
    random = np.random.default_rng(0)
    for folder, void in (("gt", 511), ("pred", 0)):
        (tmp_path / folder).mkdir()
        for name in ("a", "b"):
            array = random.integers(0, 459, (20, 30)).astype(np.uint16)
            array[5:7] = 300
            array[0] = void
            Image.fromarray(array).save(tmp_path / folder / f"{name}.png")
    out = tmp_path / "out"

    codes = [
        score(tmp_path, "--boundary", "--out", out, taxonomy="pascal_context459"),
        main(["compare", str(out), str(out), "--resamples", "100"]),
        main(["dialects", str(out)]),
    ]

    assert codes == [0, 0, 0]
    assert json.loads((out / "metrics.json").read_text())["classes"][300]["iou"] > 0.9
    assert "IoU" in capsys.readouterr().out
