"""The parts of a data set as they lie on disk: what pairs up, and what is left over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt, UInt8

from parsenet.taxonomy import Taxonomy


class Pair(NamedTuple):
    """The files of a sample; None where the data set has no file of its own for it."""

    id: str
    image: Path | None
    label: Path | None


class Reading(NamedTuple):
    """How the samples of a split are read: as its loader reads them."""

    image: Callable[[int], UInt8[np.ndarray, "h w 3"]]
    label: Callable[[int], UInt[np.ndarray, "h w"]]
    taxonomy: Taxonomy
    known: frozenset[int] | None
    """Stored values that stand for a class or void; None where only the loader knows."""
    is_plain: bool
    """Whether stored values are class indices, so that one reading gives both."""


@dataclass(frozen=True)
class Split:
    """One part of a data set."""

    name: str
    pairs: Sequence[Pair]
    reading: Reading
    lone_images: Sequence[Path] = ()
    """Images whose label is missing."""
    lone_labels: Sequence[Path] = ()
    """Labels whose image is missing."""
    expected: Sequence[Path] = ()
    """Beside each lone image, where its label should be."""
    repeated: Sequence[tuple[Path, Path]] = ()
    """Two images that would share a label."""
    refusal: str = ""
    """Why the loader refuses the whole split, in its own words; '' where it does not."""
