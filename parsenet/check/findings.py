"""What a check says: how bad, what, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From the worst on. An error stops training or spoils it; a warning deserves a look."""


@dataclass(frozen=True)
class Case:
    """One file that a finding is about."""

    file: str
    """Its path, or the name of the sample."""
    detail: str = ""
    """What is wrong with this one."""
    samples: tuple[tuple[str, int], ...] = ()
    """What to draw for it: split and position of the sample, or of two that are compared."""

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


def find(
    code: str, cases: Sequence[Case] = (), count: int | None = None, **words: object
) -> Finding:
    """Fill in the sentences of a line of `TEXTS`; `count` is that of the cases if it is None."""
    severity, noun, title, fix = TEXTS[code]
    words["count"] = number(len(cases) if count is None else count, noun)
    return Finding(code, severity, title.format(**words), fix.format(**words), cases)


def number(count: int, noun: str) -> str:
    """Write a count with its noun: `1 label`, `2 labels`, `3 copies`, `4 classes`."""
    if count != 1:
        ends = {"y": "ies", "s": "ses"}
        noun = noun[:-1] + ends[noun[-1]] if noun[-1] in ends else f"{noun}s"
    return f"{count:,} {noun}"


TEXTS: dict[str, tuple[Severity, str, str, str]] = {
    "split-refused": ("error", "split", "`{split}` cannot be loaded as it is.",
        "Do what the loader says."),
    "image-without-label": ("error", "image", "{count} of `{split}` without a label.",
        "Add the labels, take the images away, or correct the template of the labels."),
    "label-without-image": ("warning", "label", "{count} of `{split}` without an image.",
        "They are never used. Add the images, if they were forgotten."),
    "unreadable-image": ("error", "image", "{count} of `{split}` cannot be read.",
        "Copy or export them again, or take them out together with their labels."),
    "unreadable-label": ("error", "label", "{count} of `{split}` cannot be read.",
        "Copy or export them again, or take them out together with their images."),
    "refused-label": ("error", "label", "{count} of `{split}` refused by the loader.",
        "Do what the loader says."),
    "size-mismatch": ("error", "label", "{count} of `{split}` of another size than the image.",
        "Export them at the size of the image, or resize them with nearest neighbour (any other "
        "way invents classes). Check that image and label belong together; an EXIF orientation "
        "turns the image but not the label."),
    "value-out-of-range": ("error", "label",
        "{count} of `{split}` with values that are neither a class nor void ({void}): {listed}.",
        "{fix}"),
    "shifted-labels": ("error", "label", "Labels hold {low}..{top} for {top} names, whose indices "
        "are 0..{last}; {share:.1f} % of the pixels are {top}{zeros}.",
        "{fix}"),
    "binary-255": ("error", "label", "All labels hold 0 and 255 alone ({share:.1f} % of the pixels "
        "are 255), and 255 means void: the object is never learnt.",
        "Say in the taxonomy file what the values stand for: "
        "`classes: [{{name: background, from: 0}}, {{name: {second}, from: 255}}]`."),
    "all-void": ("warning", "label", "{count} of `{split}` void all over.",
        "Nothing is learnt from them: take them out, or finish the annotation."),
    "mostly-void": ("note", "label", "{count} of `{split}` more than 90 % void.",
        "Little is learnt from them. Was their annotation finished?"),
    "high-void": ("warning", "label", "{share:.1f} % of the pixels of `{split}` are void.",
        "Check that {void} was meant as void, and is not a class."),
    "only-class-0": ("error", "label",
        "All {count} of `{split}` show '{first}' only: there is nothing to learn.",
        "The export most likely failed: look at the masks, whose objects should not be 0."),
    "absent-class": ("note", "class", "{count} in no label: {names}.",
        "Scores leave classes without ground truth out. Are the names in the right order?"),
    "rare-class": ("note", "class", "{count} in fewer than 10 images of `{train}`: {names}.",
        "Show such images more often (`data.balance: 0.1`), weigh the loss, or merge them."),
    "unseen-class": ("warning", "class", "{count} of `{split}` never seen in `{train}`: {names}.",
        "Their IoU will be 0, which lowers the mean. Move images with them to training, or split "
        "anew."),
    "unscored-class": ("note", "class", "{count} of `{train}` in no label of `{split}`: {names}.",
        "They get no IoU there and are left out of its mean."),
    "leak": ("error", "image", "{count} of `{split}` in `{other}` too, byte for byte.",
        "Scores on `{split}` count what was learnt by heart: take the images out of `{other}`."),
    "similar-leak": ("warning", "image", "{count} of `{split}` very similar to one of `{other}`.",
        "Look at the pairs: copies that were saved anew or scaled belong into one split, and so do "
        "frames of one video."),
    "duplicate": ("warning", "copy", "{count} of images of `{split}`, byte for byte.",
        "Keep one of each: a copy counts twice in training and in scores."),
    "conflicting-labels": ("warning", "copy",
        "{count} of images of `{split}` with another label than the first.",
        "Decide which of the labels is right, and drop the other pair."),
    "similar": ("note", "image", "{count} of `{split}` very similar to another one there.",
        "Nothing to do, if they were meant to be there: videos and bursts have such frames."),
    "same-split": ("warning", "split", "Training and validation both use `{split}`.",
        "Scores will tell what was learnt by heart: set `data.val_split` to other images."),
}  # fmt: skip
"""By code: severity, what `{count}` counts, what is wrong, and what to do."""
