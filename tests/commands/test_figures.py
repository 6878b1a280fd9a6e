"""`parsenet figures` as it is typed."""

import json

import numpy as np
import pytest
from PIL import Image

from parsenet.cli import main


def run(*words):
    return main(["figures", *map(str, words)])


def test_scales_of_a_checkpoint_on_its_data(made, tmp_path, capsys):
    words = ["scales", made / "run" / "model.safetensors", "--data", made / "voc.yaml"]

    assert run(*words, "--count", "2", "--out", tmp_path, "--device", "cpu") == 0

    record = json.loads((tmp_path / "scales.json").read_text())
    assert (record["data"], record["split"], record["images"]) == ("voc2012", "val", 2)
    assert capsys.readouterr().out.split() == [
        str(tmp_path / f"scales.{end}") for end in ("png", "csv", "json")
    ]


def test_receptive_field_of_a_trunk_needs_no_image_and_no_weights(capsys):
    assert run("receptive-field", "vgg16_largefov") == 0

    assert "| fc7         |             412 |      8 |" in capsys.readouterr().out


def test_receptive_field_on_images(tmp_path, capsys):
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        pixels = random.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    words = ["receptive-field", "tiny", tmp_path / "a.png", tmp_path / "b.png", "--feature", "fc7"]

    assert run(*words, "--out", tmp_path, "--at", "12,16", "--stride", 8) == 0

    record = json.loads((tmp_path / "receptive_field.json").read_text())
    assert list(record["images"]) == ["a", "b"]
    assert record["probe"]["at"] == [12, 16]
    assert (tmp_path / "a_field.png").is_file()
    assert "| fc7         |               62 |" in capsys.readouterr().out


def test_context_of_two_checkpoints(made, tmp_path, capsys):
    model = made / "run" / "model.safetensors"

    assert run("context", model, model, "--data", made / "voc.yaml", "--out", tmp_path) == 0

    # A network beside itself: nothing gained, nothing to show.
    assert capsys.readouterr().out.split() == [
        str(tmp_path / f"context.{end}") for end in ("html", "md", "json")
    ]
    assert "0 are better with context and 0 worse" in (tmp_path / "context.md").read_text()
    assert "No image is better with context." in (tmp_path / "context.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["receptive-field", "tiny", "a.png"],
            "`--out` must be given with images. Add `--out DIR`.",
        ),
        (
            ["receptive-field", "tiny", "a.png", "b/a.png", "--out", "x"],
            "`IMAGES` must be files of different names, got one twice.",
        ),
        (
            ["receptive-field", "tiny", "--count", "3"],
            "`figures receptive-field` has no option `--count`. Did you mean `--out`?",
        ),
        (["receptive-field", "tiny", "--at", "3"], "`at` must be ROW,COLUMN, got 1 numbers."),
        (
            ["scales", "tiny", "--data", "c.yaml", "--out", "x", "--count", "0"],
            "`--count` must be at least 1, got 0.",
        ),
        (
            ["context", "a", "b", "--data", "c.yaml", "--out", "x", "--shown", "0"],
            "`--shown` must be at least 1, got 0.",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(words, message, capsys):
    assert run(*words) == 2

    assert capsys.readouterr().err == f"error: {message}\n"
