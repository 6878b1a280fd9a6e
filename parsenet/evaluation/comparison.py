"""Read stored scores; compare them where their cards allow it, or put them in other dialects."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parsenet.errors import ConfigError, DataNotFoundError
from parsenet.metrics.dialects import in_all_dialects
from parsenet.metrics.per_image import FILE_NAME, ImageCounts
from parsenet.metrics.protocol import Protocol, differences
from parsenet.metrics.statistics import SCORES, Comparison, Intervals, Resampling, compare


@dataclass(frozen=True, eq=False)
class Scored:
    """A stored score: its card, its classes and the counts behind it."""

    path: Path
    """The `metrics.json`."""
    card: Protocol
    """What was scored and how."""
    names: tuple[str, ...]
    """Names of the classes."""
    images: ImageCounts
    """Counts per image."""

    @classmethod
    def load(cls, path: Path) -> Scored:
        """Read `metrics.json` and the counts beside it.

        Args:
            path: the file, or its folder.

        Raises:
            DataNotFoundError: one of the files is missing.
            ConfigError: the score has no card.
        """
        path = path / "metrics.json" if path.is_dir() else path
        if not path.is_file():
            raise DataNotFoundError(
                f"`{path}` must be a file, got none. Make it by `parsenet score --out DIR`."
            )
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            card, names = record["card"], tuple(entry["name"] for entry in record["classes"])
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"'{path}' must hold scores with their card, got {type(error).__name__} for "
                f"{error}. Score again with this version."
            ) from error
        images = ImageCounts.load(path.with_name(FILE_NAME))
        return cls(path, Protocol.from_dict(card), names, images)


def compare_scored(one: Scored, other: Scored, how: Resampling, anyway: bool = False) -> Comparison:
    """Compare two checkpoints scored by the same protocol.

    Args:
        one: the first.
        other: the second.
        how: number of resamples, level and seed.
        anyway: compare although the cards differ; the images must be the same all the same.

    Raises:
        ConfigError: the cards differ.
        LabelError: the images or their ground truth differ.
    """
    unlike = differences(one.card, other.card)
    if unlike and not anyway:
        named = "; ".join(
            f"`{name}` {_shown(first, last)} and {_shown(last, first)}"
            for name, (first, last) in unlike.items()
        )
        raise ConfigError(
            f"Both scores must have the same card, got {named}. Score both alike, or add "
            "`--anyway`."
        )
    return compare(one.images, other.images, how)


def comparison_record(
    result: Comparison, names: tuple[str, ...], how: Resampling
) -> dict[str, Any]:
    """Return a comparison as plain numbers in [0, 1]; what does not exist is None."""
    labels = [*SCORES, *(f"IoU_{name}" for name in names)]
    num_images = [None] * len(SCORES) + result.num_images.tolist()
    p_values = np.concatenate([result.p_value[: len(SCORES)], result.p_value_of_classes])
    record = {
        label: {
            "a": _plain(result.one, row),
            "b": _plain(result.other, row),
            "difference": _plain(result.difference, row),
            "p_value": known(p_values[row]),
            "num_images": num_images[row],
        }
        for row, label in enumerate(labels)
    }
    drawn = {"resamples": how.resamples, "level": how.level, "seed": how.seed}
    return {"resampling": drawn, "scores": record}


def dialect_record(images: ImageCounts) -> dict[str, Any]:
    """Return what every codebase would report as plain numbers in [0, 1], with the reason."""
    return {
        dialect.name: {
            **{name: known(value) for name, value in reading._asdict().items()},
            "reason": dialect.reason,
        }
        for dialect, reading in in_all_dialects(images)
    }


def _shown(value: object, other: object) -> str:
    """Write a field of a card; of lists of classes, how many and which the other lacks."""
    if not isinstance(value, tuple) or not isinstance(other, tuple):
        return str(value)
    more = [name for name in value if name not in other]
    return f"{len(value)} classes" + (f" ({', '.join(more)} among them)" if more else "")


def _plain(bounds: Intervals, row: int) -> dict[str, float | None]:
    return {name: known(getattr(bounds, name)[row]) for name in ("value", "low", "high")}


def known(value: float | None) -> float | None:
    """Turn nan into None, as JSON wants it."""
    return None if value is None or not np.isfinite(value) else float(value)
