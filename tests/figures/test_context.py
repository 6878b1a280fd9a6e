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
    wanted = data.read(1).label
    expected = np.zeros((5, 5), np.int64)
    np.add.at(expected, (wanted.ravel(), label.ravel()), 1)
    place = side.images.ids.index(data.ids[1])
    assert side.images.subset([place]).total().tolist() == expected.tolist()


def test_label_maps_of_an_interrupted_call_are_taken_up(data, pair, tmp_path):
    first = score_side(pair[0], data, [0], tmp_path, "cpu")
    (path,) = first.labels.iterdir()
    Image.fromarray(np.full((88, 88), 2, np.uint8)).save(path)  # shows whether it is made anew

    side = score_side(pair[0], data, range(3), tmp_path, "cpu")
    # Neither another network's nor those of other images with the same names.
    other = score_side(pair[1], data, range(3), tmp_path, "cpu")
    train = Shapes("train", size=(88, 88), count=1)
    train.ids = data.ids[:1]
    renamed = score_side(pair[0], train, [0], tmp_path, "cpu")

    assert side.images.subset([0]).total()[:, 2].sum() == 88 * 88
    assert other.labels != side.labels
    assert len(list(side.labels.iterdir())) == 4
    assert renamed.images.total()[:, 2].sum() < 88 * 88


def test_images_are_sorted_by_what_context_gained(data):
    def counts(*right):
        each = [[[n, 100 - n], [0, 0]] for n in right]
        return ImageCounts.of(data.ids, np.array(each), 2)

    gains = gains_of(counts(90, 50, 70), counts(80, 90, 70))

    assert [gain["id"] for gain in gains] == [data.ids[0], data.ids[2], data.ids[1]]
    assert [gain["gain"] for gain in gains] == pytest.approx([0.1, 0, -0.4])


@pytest.fixture
def written(data, pair, tmp_path):
    """The files of both networks, and `context.json`."""
    sides = tuple(score_side(path, data, range(3), tmp_path / "out", "cpu") for path in pair)
    paths = write_context(tmp_path / "out", data, "val", sides)
    return paths, json.loads((tmp_path / "out" / "context.json").read_text())


def test_scores_classes_and_sheets_are_written(written):
    paths, record = written

    scores = json.loads((paths[0].parent / "with" / "metrics.json").read_text())
    assert record["scores"]["mean_iou"]["b"]["value"] == pytest.approx(scores["mean_iou"])
    gained = [entry["gain"] for entry in record["images"]]
    assert gained == sorted(gained, reverse=True)
    text = paths[1].read_text()
    assert "| IoU ball" in text
    for path in paths[3:]:
        assert f"]({path.name})" in text
        with Image.open(path) as sheet:
            assert sheet.width > 4 * 300
    assert {Path(path).suffix for path in paths} == {".html", ".md", ".json", ".png"}


def test_page_shows_sheets_and_classes_by_gain_and_needs_no_other_file(written):
    paths, record = written
    page = paths[0].read_text()

    assert f"With context, {paths[0].parents[1].name}/with.safetensors: shapes val" in page
    assert page.count('src="data:image/jpeg') == page.count("<img") == len(paths[3:]) > 0
    assert page.count("</td></tr>") == len(record["scores"]) + len(record["images"])
    scores = page.partition("Images that")[0]
    gains = re.findall(r"<tr><td>IoU \w+</td>.*?<td>([+-][\d.]+) \[", scores)
    assert len(gains) > 1
    assert gains == sorted(gains, key=float, reverse=True)


def test_network_of_other_classes_is_refused(data, tmp_path):
    path = save(tmp_path / "camvid.safetensors", ("fc7",), CAMVID)

    with pytest.raises(ConfigError) as error:
        score_side(path, data, range(3), tmp_path, "cpu")

    assert str(error.value) == (
        f"'{path}' must have the classes of 'shapes', got those of 'camvid'. Give data of its "
        "classes by `--data`."
    )
