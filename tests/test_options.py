"""Options of commands: from words to dataclasses, and what is wrong with them in one sentence."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from parsenet.config import DataConfig, InferenceConfig
from parsenet.errors import ConfigError
from parsenet.options import overrides_of, parse_options, parse_sections, positional


@dataclass(frozen=True)
class Looks:
    """How results look."""

    opacity: float | None = None
    """Of the colours, 50 % by default."""


@dataclass(frozen=True)
class Drawing:
    """Draw images.

    More is told in the docs.
    """

    inputs: tuple[str, ...] = positional("+")
    """Files."""
    out: Path = Path("drawn")
    """Folder."""
    form: Literal["png", "jpeg"] = "png"
    """Kind of file."""
    at: tuple[int, int] | None = None
    """Pixel, ROW,COLUMN."""
    only_first: bool = False
    """Stop after one."""
    looks: Looks = Looks()
    inference: InferenceConfig = InferenceConfig()
    data: tuple[str, ...] = overrides_of("data")


def test_words_become_fields_at_any_depth():
    words = ["a", "b", "--only-first", "--opacity", "0.5", "--scales=0.5,1", "--at", "3,4"]

    found = parse_options(Drawing, words, "draw")

    assert found == Drawing(
        ("a", "b"), at=(3, 4), only_first=True, looks=Looks(0.5),
        inference=InferenceConfig(scales=(0.5, 1.0)),
    )  # fmt: skip


def test_options_of_a_section_are_kept_as_they_were_typed():
    words = ["a", "--data.root", "r", "--out", "b", "--data.flip=false"]

    found = parse_options(Drawing, words, "draw")

    assert found.data == ("--data.root", "r", "--data.flip=false")
    assert found.out == Path("b")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "`draw` needs `inputs`, got nothing. `parsenet draw --help` tells more."),
        (["a", "--form", "gif"], "`form` must be one of png, jpeg, got 'gif'."),
        (["a", "--opacity", "x"], "`opacity` must be a number, got 'x'."),
        (["a", "--at", "1,x"], "`--at` must be whole numbers with commas between them, got '1,x'."),
        (["a", "--opacit", "1"], "`draw` has no option `--opacit`. Did you mean `--opacity`?"),
        (["a", "--scales", "9"], "`scales` must be in [0.1, 8], got 9.0. Native size is 1."),
    ],
)
def test_wrong_words_are_one_sentence(words, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        parse_options(Drawing, words, "draw")


def test_help_tells_every_field_and_its_default(capsys):
    with pytest.raises(SystemExit):
        parse_options(Drawing, ["--help"], "draw", "Example: parsenet draw a.png")

    text = " ".join(capsys.readouterr().out.split())
    assert "Draw images. positional arguments: INPUTS Files." in text
    assert "--out OUT Folder. (default: drawn)" in text
    assert "--opacity OPACITY Of the colours, 50 % by default." in text
    assert "Example: parsenet draw a.png" in text


def test_sections_become_their_dataclasses_and_overrides_win():
    section = {"data": {"dataset": "shapes", "crop": [32, 48], "batch_size": 2}}

    found = parse_sections({"data": DataConfig}, section, "'a.yaml'", ["--data.batch_size", "4"])

    assert found.data == DataConfig(dataset="shapes", crop=(32, 48), batch_size=4)


def test_unknown_option_of_a_section_is_refused():
    with pytest.raises(ConfigError, match=r"^The options of 'a.yaml' must be right, got: .*datset"):
        parse_sections({"data": DataConfig}, {"data": {"datset": "shapes"}}, "'a.yaml'")
