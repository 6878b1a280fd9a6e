"""With and without context: counted, sorted, drawn, and taken up after an interruption."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from parsenet.config import NetworkConfig
from parsenet.data.shapes import Shapes
from parsenet.errors import ConfigError
from parsenet.figures.context import gains_of, score_side, write_context
from parsenet.inference.predictor import Predictor
from parsenet.metrics.counting import ImageCounts
from parsenet.models.build import build_model
from parsenet.models.checkpoint import save_network
from parsenet.taxonomy import CAMVID, SHAPES


@pytest.fixture
def data():
    return Shapes("val", size=(88, 88), count=3)


def save(path, features, taxonomy=SHAPES, seed=0):
    torch.manual_seed(seed)
    config = NetworkConfig(trunk="tiny", features=features)
    save_network(path, build_model(config, taxonomy.num_classes), config, taxonomy)
    return path


@pytest.fixture
def pair(tmp_path):
    with_context = save(tmp_path / "with.safetensors", ("pool6", "fc7"))
    return with_context, save(tmp_path / "without.safetensors", ("fc7",), seed=1)


def test_counts_are_those_of_the_predictor(data, pair, tmp_path):
    side = score_side(pair[0], data, range(3), tmp_path / "out", "cpu")

    label = Predictor.load(pair[0], "cpu")(data.read(1).image)
    truth = data.read(1).label
    expected = np.zeros((5, 5), np.int64)
    np.add.at(expected, (truth.ravel(), label.ravel()), 1)
    assert (
        side.images.subset([side.images.ids.index(data.ids[1])]).total().tolist()
        == expected.tolist()
    )


def test_label_maps_of_an_interrupted_call_are_taken_up(data, pair, tmp_path):
    first = score_side(pair[0], data, [0], tmp_path, "cpu")
    (path,) = first.labels.iterdir()
    Image.fromarray(np.full((88, 88), 2, np.uint8)).save(path)  # shows whether it is made anew

    side = score_side(pair[0], data, range(3), tmp_path, "cpu")
    other = score_side(pair[1], data, range(3), tmp_path, "cpu")

    assert side.images.subset([0]).total()[:, 2].sum() == 88 * 88
    assert len(list(side.labels.iterdir())) == 3
    assert other.labels != side.labels


def test_label_maps_of_other_images_with_the_same_names_are_not_taken_up(pair, tmp_path):
    val, other = Shapes("val", size=(88, 88), count=1), Shapes("train", size=(88, 88), count=1)
    other.ids = val.ids
    score_side(pair[0], val, [0], tmp_path, "cpu")

    side = score_side(pair[0], other, [0], tmp_path, "cpu")

    fresh = score_side(pair[0], other, [0], tmp_path / "fresh", "cpu")
    assert side.images.subset([0]).total().tolist() == fresh.images.subset([0]).total().tolist()


def test_images_are_sorted_by_what_context_gained(data):
    def counts(*right):
        each = [[[n, 100 - n], [0, 0]] for n in right]
        return ImageCounts.of(data.ids, np.array(each), 2)

    gains = gains_of(counts(90, 50, 70), counts(80, 90, 70))

    assert [gain.id for gain in gains] == [data.ids[0], data.ids[2], data.ids[1]]
    assert [gain.gain for gain in gains] == pytest.approx([0.1, 0, -0.4])


def test_scores_classes_and_sheets_are_written(data, pair, tmp_path):
    sides = tuple(score_side(path, data, range(3), tmp_path / "out", "cpu") for path in pair)

    written = write_context(tmp_path / "out", data, "val", sides)

    record = json.loads((tmp_path / "out" / "context.json").read_text())
    scores = json.loads((tmp_path / "out" / "with" / "metrics.json").read_text())
    assert record["scores"]["mean_iou"]["b"]["value"] == pytest.approx(scores["mean_iou"])
    gained = [entry["gain"] for entry in record["images"]]
    assert gained == sorted(gained, reverse=True)
    page = (tmp_path / "out" / "context.md").read_text()
    assert "| IoU ball" in page
    for path in written[3:]:
        assert f"]({path.name})" in page
        with Image.open(path) as sheet:
            assert sheet.width > 4 * 300
    assert {Path(path).suffix for path in written} == {".html", ".md", ".json", ".png"}


def test_page_shows_images_and_classes_by_gain_and_needs_no_other_file(data, pair, tmp_path):
    sides = tuple(score_side(path, data, range(3), tmp_path, "cpu") for path in pair)

    page = write_context(tmp_path, data, "val", sides)[0].read_text()

    assert f"with context, {tmp_path.name}/with.safetensors: shapes val" in page
    record = json.loads((tmp_path / "context.json").read_text())
    gains = [round(100 * entry["gain"], 1) for entry in record["images"]]
    best, _, worst = page.partition("Images that lost most")
    shown = [re.findall(r"with context: [\d.]+ \(([+-][\d.]+)\)</fig", x) for x in (best, worst)]
    assert [list(map(float, x)) for x in shown] == [
        [gain for gain in gains if gain > 0], [gain for gain in gains[::-1] if gain < 0],
    ]  # fmt: skip
    assert page.count('src="data:image/jpeg') == page.count("<img") == 4 * sum(map(len, shown))
    by_class = page.partition("Classes, by gain")[2].partition("</table>")[0]
    rows = re.findall(r"<tr><td>IoU (\w+)</td>.*?<td>([+-][\d.]+) \[", by_class)
    assert len(rows) > 1
    assert [float(gain) for _, gain in rows] == sorted((float(gain) for _, gain in rows))[::-1]


def test_network_of_other_classes_is_refused(data, tmp_path):
    path = save(tmp_path / "camvid.safetensors", ("fc7",), CAMVID)

    with pytest.raises(ConfigError) as error:
        score_side(path, data, range(3), tmp_path, "cpu")

    assert str(error.value) == (
        f"'{path}' must have the classes of 'shapes', got those of 'camvid'. Give data of its "
        "classes by `--data`."
    )
