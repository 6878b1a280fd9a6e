"""What a check says: how bad, what, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from parsenet.doctor.survey import Surveyed

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From the worst on. An error stops training or spoils it; a warning deserves a look."""


@dataclass(frozen=True)
class Place:
    """A sample, to draw it."""

    split: str
    index: int


@dataclass(frozen=True)
class Case:
    """One file that a finding is about."""

    file: str
    """Its path, or the name of the sample."""
    detail: str = ""
    """What is wrong with this one."""
    places: tuple[Place, ...] = ()
    """What to draw for it: the sample, or two that are compared."""

    def __str__(self) -> str:
        if not self.detail or self.file in self.detail:  # a loader's sentence names the file
            return self.detail or self.file
        return f"{self.file}: {self.detail}"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a data set, or worth knowing."""

    code: str
    """Its name, which stays the same from version to version."""
    severity: Severity
    title: str
    """What is wrong, in a sentence."""
    fix: str
    """What to do, in a sentence or two."""
    cases: Sequence[Case] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "code": self.code,
            "severity": self.severity,
            "title": self.title,
            "fix": self.fix,
            "count": len(self.cases),
            "cases": [{"file": case.file, "detail": case.detail} for case in self.cases],
        }


def label_case(surveyed: Surveyed, index: int, detail: str = "") -> Case:
    """Name the label of a sample."""
    pair = surveyed.split.pairs[index]
    name = pair.id if pair.label is None else str(pair.label)
    return Case(name, detail, (Place(surveyed.name, index),))


def image_case(surveyed: Surveyed, index: int, detail: str = "") -> Case:
    """Name the image of a sample."""
    pair = surveyed.split.pairs[index]
    name = pair.id if pair.image is None else str(pair.image)
    return Case(name, detail, (Place(surveyed.name, index),))


def number(count: int, noun: str) -> str:
    """Write a count with its noun: `1 label`, `2 labels`, `3 copies`, `4 classes`."""
    if count != 1:
        ends = {"y": "ies", "s": "ses"}
        noun = noun[:-1] + ends[noun[-1]] if noun[-1] in ends else f"{noun}s"
    return f"{count:,} {noun}"
