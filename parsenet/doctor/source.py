"""From what was typed to a data set's options: a config, a run folder, or a folder of data."""

from __future__ import annotations

import json
import warnings
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parsenet.config import DataConfig
from parsenet.doctor.guess import Hints, guess_layout
from parsenet.errors import ConfigError, DataNotFoundError
from parsenet.files import read_yaml


@dataclass(frozen=True)
class Source:
    """Which data, and how that was found out."""

    config: DataConfig
    told: str
    """A sentence on where the options come from."""
    is_guessed: bool = False
    has_split: bool = True
    """Whether training and validation images are told apart."""
    seed: int = 0
    """`seed_everything` of the config."""


def find_source(given: Path, hints: Hints, overrides: Sequence[str] = ()) -> Source:
    """Read a config's `data:` section, or guess the layout of a folder.

    Args:
        given: a YAML file, a run folder with its `config.yaml`, or a folder of data.
        hints: what is known of a folder's layout.
        overrides: options such as `--data.root DIR`, which win over a config.

    Raises:
        ConfigError: an option is unknown or has a wrong value, or nothing fits the folder.
        DataNotFoundError: there is nothing at that path.
    """
    refuse_unknown(overrides)
    if not given.exists():
        raise DataNotFoundError(
            f"'{given}' must be a config or a folder of data, got nothing there. Check the path."
        )
    if given.is_dir() and (given / "config.yaml").is_file():
        given /= "config.yaml"
    if given.is_dir():
        guess = guess_layout(given, hints)
        config = parse_data(guess.section, overrides, str(given))
        return Source(config, guess.told, is_guessed=True, has_split=guess.has_split)
    if hints.is_given:
        raise ConfigError(
            f"`--images`, `--labels` and `--taxonomy` must come with a folder, got '{given}'. Use "
            "`--data.folder.images` and so on to change what a config says."
        )
    record = _read_config(given)
    config = parse_data(record["data"], [*overrides, *_split_options(hints)], str(given))
    seed = record.get("seed_everything")
    return Source(config, f"Options from '{given}'.", seed=seed if isinstance(seed, int) else 0)


def hints_of(given: Namespace) -> Hints:
    """Take the hints out of a command's options."""
    return Hints(given.images, given.labels, given.taxonomy, given.train, given.val)


def root_of(given: Namespace) -> list[str]:
    """Write `--root` as the option of `data` that it stands for."""
    return [] if given.root is None else ["--data.root", given.root]


def refuse_unknown(words: Sequence[str]) -> None:
    """Refuse what is no option of `data`.

    Raises:
        ConfigError: a word that begins with a dash is another option.
    """
    for word in [*words[:1], *(word for word in words if word.startswith("-"))]:
        if not word.startswith("--data."):
            raise ConfigError(
                f"Options must be those that `--help` lists or begin with `--data.`, got '{word}'. "
                "Check its spelling."
            )


def parse_data(section: dict[str, Any], overrides: Sequence[str], name: str) -> DataConfig:
    """Turn plain values into options, as `parsenet fit` does.

    Args:
        section: fields of `DataConfig`.
        overrides: words of a command line, each option beginning with `--data.`.
        name: where the section is from, for messages.

    Raises:
        ConfigError: an option is unknown or has a wrong value.
    """
    from jsonargparse import ArgumentError, ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(DataConfig, "data")
    words = ["--data", json.dumps(section, default=str), *overrides]
    try:
        with warnings.catch_warnings():  # jsonargparse's own, about its coming versions
            warnings.simplefilter("ignore")
            config = parser.instantiate_classes(parser.parse_args(words)).data
    except ArgumentError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"The data options of '{name}' must be right, got: {reason}.") from None
    assert isinstance(config, DataConfig)
    return config


def _split_options(hints: Hints) -> list[str]:
    """Write the splits that were named as the options of `data` that they stand for."""
    named = (("train", hints.train), ("val", hints.val))
    return [word for name, split in named if split for word in (f"--data.{name}_split", split)]


def _read_config(path: Path) -> dict[str, Any]:
    """Read a config, which must have a section `data:`."""
    record = read_yaml(path, "data: {dataset: voc2012}")
    if not isinstance(record.get("data"), dict):
        raise ConfigError(
            f"'{path}' must have a section `data:`, got none. Give the config of a run, or the "
            "folder of the data."
        )
    return record
