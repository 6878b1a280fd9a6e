"""What the labels of a split come to: values, classes, void."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from parsenet.doctor.examine import LabelFacts
from parsenet.doctor.survey import Surveyed
from parsenet.taxonomy import Taxonomy


@dataclass(frozen=True)
class Totals:
    """Counts over the labels of a split that can be read."""

    name: str
    labels: int
    pixels: Int64[np.ndarray, " c"]
    """Pixels of each class."""
    around: Int64[np.ndarray, " c"]
    """Pixels, void left out, of the images that show each class."""
    present: Bool[np.ndarray, "n c"]
    """Which classes each image shows."""
    void: int
    values: dict[int, int]
    """Pixels by stored number, or by colour code where no label stores numbers."""
    files: dict[int, int]
    """Labels by stored value."""
    is_coloured: bool
    """Whether the values are colours."""

    @property
    def images(self) -> Int64[np.ndarray, " c"]:
        """Images that show each class."""
        images: Int64[np.ndarray, " c"] = self.present.sum(axis=0)
        return images

    @property
    def void_share(self) -> float:
        """Share of void in all pixels."""
        total = int(self.pixels.sum()) + self.void
        return self.void / total if total else 0.0


def total(surveyed: Surveyed) -> Totals:
    """Add up a split."""
    num_classes = surveyed.split.reading.taxonomy.num_classes
    pixels, around = np.zeros(num_classes, np.int64), np.zeros(num_classes, np.int64)
    present, void = [], 0
    for label in surveyed.labels:
        if not label.classes and not label.void:
            continue
        shown = np.array(list(label.classes), np.int64)
        counts = np.array(list(label.classes.values()), np.int64)
        pixels[shown] += counts
        around[shown] += counts.sum()
        void += label.void
        row = np.zeros(num_classes, np.bool_)
        row[shown] = True
        present.append(row)
    values, files, is_coloured = _values(surveyed.labels)
    return Totals(
        surveyed.name,
        len(present),
        pixels,
        around,
        np.stack(present) if present else np.zeros((0, num_classes), np.bool_),
        void,
        values,
        files,
        is_coloured,
    )


def _values(labels: Sequence[LabelFacts]) -> tuple[dict[int, int], dict[int, int], bool]:
    """Count pixels and labels by stored number, or by colour where no label stores numbers."""
    kept = [x for x in labels if x.values and x.trouble in ("", "range")]
    numbers = [x for x in kept if x.header is None or not x.header.is_coloured]
    values: Counter[int] = Counter()
    files: Counter[int] = Counter()
    for label in numbers or kept:
        values.update(label.values)
        files.update(label.values.keys())
    return dict(sorted(values.items())), dict(files), bool(kept) and not numbers


def trim(taxonomy: Taxonomy, totals: Sequence[Totals]) -> int:
    """Tell how many classes are worth a line where nobody told their number."""
    highest = [int(np.flatnonzero(one.pixels).max(initial=-1)) for one in totals]
    return min(taxonomy.num_classes, max([*highest, 0]) + 1)


def describe(one: Totals, names: Sequence[str]) -> dict[str, Any]:
    """Write totals as plain values for JSON; `names` may be fewer than the classes."""
    return {
        "labels": one.labels,
        "pixels": int(one.pixels.sum()) + one.void,
        "void": one.void,
        "void_share": one.void_share,
        "values": {_value_name(value, one): n for value, n in one.values.items()},
        "files": {_value_name(value, one): one.files[value] for value in one.values},
        "class_pixels": {name: int(one.pixels[i]) for i, name in enumerate(names)},
        "class_images": {name: int(one.images[i]) for i, name in enumerate(names)},
    }


def _value_name(value: int, one: Totals) -> str:
    return f"#{value:06x}" if one.is_coloured else str(value)
