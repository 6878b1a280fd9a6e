"""Checks of what the labels show: void, empty labels, classes that one split lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from parsenet.doctor.check_values import BACKGROUND_NAMES
from parsenet.doctor.examine import LabelFacts
from parsenet.doctor.findings import Case, Finding, label_case, number
from parsenet.doctor.survey import Surveyed
from parsenet.doctor.totals import Totals
from parsenet.taxonomy import Taxonomy

HIGH_VOID = 0.5
"""Share of void in all pixels that deserves a look."""

MOSTLY_VOID = 0.9
"""Share of void in one label."""

FEW_IMAGES = 10
"""Training images of a class below which it is hardly learnt."""


def check_void(surveyed: Surveyed, totals: Totals) -> Iterator[Finding]:
    """Yield what is wrong with void and empty labels of a split."""
    taxonomy = surveyed.split.reading.taxonomy
    empty = _cases(surveyed, lambda label: not label.classes and label.void > 0)
    if empty:
        yield Finding(
            "all-void",
            "warning",
            f"{number(len(empty), 'label')} of `{surveyed.name}` void all over.",
            "Nothing is learnt from them: take them out, or finish the annotation.",
            empty,
        )
    mostly = _cases(surveyed, lambda label: bool(label.classes) and _void(label) > MOSTLY_VOID)
    if mostly:
        yield Finding(
            "mostly-void",
            "note",
            f"{number(len(mostly), 'label')} of `{surveyed.name}` more than "
            f"{100 * MOSTLY_VOID:.0f} % void.",
            "Little is learnt from them. Was their annotation finished?",
            mostly,
        )
    if totals.void_share > HIGH_VOID:
        yield Finding(
            "high-void",
            "warning",
            f"{100 * totals.void_share:.1f} % of the pixels of `{surveyed.name}` are void.",
            f"Check that {taxonomy.void} was meant as void, and is not a class.",
        )
    yield from _check_background(surveyed, taxonomy)


def _check_background(surveyed: Surveyed, taxonomy: Taxonomy) -> Iterator[Finding]:
    readable = sum(bool(label.classes) for label in surveyed.labels)
    zero = _cases(surveyed, lambda label: set(label.classes) == {0})
    if not zero:
        return
    title = f"{number(len(zero), 'label')} of `{surveyed.name}` show '{taxonomy.names[0]}' only"
    if len(zero) == readable:
        yield Finding(
            "only-class-0",
            "error",
            f"All {title}: there is nothing to learn.",
            "The export most likely failed: look at the masks, whose objects should not be 0.",
            zero,
        )
    elif taxonomy.names[0].lower() in BACKGROUND_NAMES or len(zero) > readable / 2:
        yield Finding(
            "class-0-only",
            "note",
            f"{title}.",
            "Right for images without objects; otherwise their annotation is missing.",
            zero,
        )


def check_classes(
    surveyed: Sequence[Surveyed], totals: Sequence[Totals], has_split: bool
) -> Iterator[Finding]:
    """Yield what the classes of training and validation say; the first split is for training.

    Args:
        surveyed: the splits.
        totals: their totals.
        has_split: whether there is a split besides training.
    """
    names = surveyed[0].split.reading.taxonomy.names
    train = totals[0]
    shown = np.sum([one.images for one in totals], axis=0)
    never = [name for index, name in enumerate(names) if not shown[index]]
    if never and len(never) < len(names):
        yield Finding(
            "absent-class",
            "note",
            f"{number(len(never), 'class')} in no label: {', '.join(never)}.",
            "Scores leave classes without ground truth out. Are the names in the right order?",
        )
    few = [
        f"{name} ({train.images[index]})"
        for index, name in enumerate(names)
        if 0 < train.images[index] < min(FEW_IMAGES, train.labels / 2)
    ]
    if few:
        yield Finding(
            "rare-class",
            "note",
            f"{number(len(few), 'class')} in fewer than {FEW_IMAGES} images of "
            f"`{train.name}`: {', '.join(few)}.",
            "Show such images more often (`data.balance: 0.1`), weigh the loss, or merge them.",
        )
    if has_split and train.labels:
        yield from _check_unseen(names, totals)


def _check_unseen(names: Sequence[str], totals: Sequence[Totals]) -> Iterator[Finding]:
    train = totals[0]
    for other in totals[1:]:
        unseen = [
            f"{name} ({number(int(other.images[index]), 'image')})"
            for index, name in enumerate(names)
            if other.images[index] and not train.images[index]
        ]
        if unseen:
            yield Finding(
                "unseen-class",
                "warning",
                f"{number(len(unseen), 'class')} of `{other.name}` never seen in "
                f"`{train.name}`: {', '.join(unseen)}.",
                "Their IoU will be 0, which lowers the mean. Move images with them to training, "
                "or split anew.",
            )
        missing = [
            name
            for index, name in enumerate(names)
            if train.images[index] and not other.images[index]
        ]
        if missing and other.labels:
            yield Finding(
                "unscored-class",
                "note",
                f"{number(len(missing), 'class')} of `{train.name}` in no label of "
                f"`{other.name}`: {', '.join(missing)}.",
                "They get no IoU there and are left out of its mean.",
            )


def _cases(surveyed: Surveyed, is_meant: Callable[[LabelFacts], bool]) -> list[Case]:
    return [
        label_case(surveyed, index)
        for index, label in enumerate(surveyed.labels)
        if not label.trouble and is_meant(label)
    ]


def _void(label: LabelFacts) -> float:
    return label.void / max(1, label.void + sum(label.classes.values()))
