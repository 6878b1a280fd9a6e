"""Checks of files and labels: missing, broken, of wrong size; values, void and classes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from parsenet.check.findings import Case, Finding, find, number
from parsenet.check.survey import LabelFacts, Survey
from parsenet.data.folder import FolderDataset
from parsenet.taxonomy import Taxonomy

HIGH_VOID, MOSTLY_VOID, FEW_IMAGES = 0.5, 0.9, 10
"""Share of void in a split and in a label that deserves a look; training images of a rare class."""

_SMEARED = 40
"""Unknown values in one label from which on they come from blending, not from classes."""

_SHOWN_VALUES = 6


def check_files(split: Survey) -> Iterator[Finding]:
    """Yield what is wrong with the files of a split."""
    cases: dict[str, list[Case]] = {}
    if split.dataset is None:
        cases["split-refused"] = [Case(split.name, split.refusal)]
    if isinstance(split.dataset, FolderDataset):  # others refuse a split with files alone
        cases["image-without-label"] = [
            Case(str(pair.image), f"expected '{pair.label}'") for pair in split.dataset.lone_images
        ]
        cases["label-without-image"] = [Case(str(path)) for path in split.dataset.lone_labels]
    images = list(enumerate(split.images))
    cases["unreadable-image"] = [
        split.case(n, x.error, of_image=True) for n, x in images if x.error
    ]
    cases["unreadable-label"] = split.label_cases(lambda label: label.code == "unreadable-label")
    cases["refused-label"] = split.label_cases(lambda label: label.code == "refused-label")
    cases["size-mismatch"] = [
        split.case(index, _compare_sizes(image.size, label.size))
        for index, (image, label) in enumerate(zip(split.images, split.labels, strict=True))
        if image.size and label.size and image.size != label.size
    ]
    for code, found in cases.items():
        if found:
            yield find(code, found, split=split.name)


def _compare_sizes(image: tuple[int, int], label: tuple[int, int]) -> str:
    """Tell how two sizes differ."""
    (height, width), (rows, columns) = image, label
    sizes = f"image {height} x {width}, label {rows} x {columns} (height x width)"
    if image == (columns, rows):
        return f"{sizes}: one of them lies on its side"
    if rows * width == columns * height:
        return f"{sizes}: the same shape at {rows / height:.3g} of the scale"
    return sizes


def check_labels(splits: Sequence[Survey]) -> Iterator[Finding]:
    """Yield what is wrong with the labels of all splits; the first split is for training."""
    whole = list(_check_whole(splits, splits[0].taxonomy))
    yield from whole
    hint = f" See also `{whole[0].code}`." if whole else ""
    for split in splits:
        yield from _check_range(split, hint)
        yield from _check_void(split)
    yield from _check_classes(splits)


def _check_whole(splits: Sequence[Survey], taxonomy: Taxonomy) -> Iterator[Finding]:
    """Look at all values of all splits: how they lie tells how labels were made."""
    values = sum((split.values for split in splits), Counter[int]())
    shares = {value: 100 * count / values.total() for value, count in values.items()}
    found, top = sorted(set(values) - {taxonomy.void}), taxonomy.num_classes
    if set(values) == {0, 255} and taxonomy.void == 255:
        second = taxonomy.names[1] if top > 1 else "object"
        yield find("binary-255", share=shares[255], second=second)
    elif found and found[-1] == top:
        low, zeros = found[0], ""
        fix = "Classes are counted from 1: set `reduce_zero_label: true` in the taxonomy file."
        if low == 0:
            zeros = f", {shares[0]:.1f} % are 0"
            fix = (
                "If 0 is background that shall not count, set `reduce_zero_label: true` in the "
                "taxonomy file (0 becomes void, the others move down by one); if it shall be a "
                f"class, put `background` before the other names; if {top} is void, set "
                f"`ignore: [{top}]`."
            )
        share, last = shares[top], top - 1
        yield find("shifted-labels", low=low, top=top, last=last, share=share, zeros=zeros, fix=fix)


def _check_range(split: Survey, hint: str) -> Iterator[Finding]:
    wrong = {n: label for n, label in enumerate(split.labels) if label.wrong}
    if not wrong:
        return
    files = Counter(value for label in wrong.values() for value in label.wrong)
    listed = [f"{x} ({number(count, 'file')})" for x, count in files.most_common(_SHOWN_VALUES)]
    more = f" and {len(files) - _SHOWN_VALUES} more" if len(files) > _SHOWN_VALUES else ""
    worst_first = sorted(wrong, key=lambda n: -sum(wrong[n].counts[x] for x in wrong[n].wrong))
    yield find(
        "value-out-of-range",
        [split.case(index, _places(wrong[index])) for index in worst_first],
        split=split.name,
        void=split.taxonomy.void,
        listed=", ".join(listed) + more,
        fix=_range_fix(split, files) + hint,
    )


def _range_fix(split: Survey, files: Counter[int]) -> str:
    if any(len(label.wrong) > _SMEARED for label in split.labels):
        return (
            "So many values come from blending: masks that were resized with interpolation, drawn "
            "with soft edges or saved as JPEG, or images in the place of labels. Export them "
            "again from the annotations."
        )
    names, values = split.taxonomy.names, sorted(split.values)
    step = math.gcd(*values)
    if step > 1 and values[-1] < step * len(names):
        listed = ", ".join(f"{{name: {names[x // step]}, from: {x}}}" for x in values)
        return (
            f"All values are multiples of {step}, as if stretched for viewing: say so in the "
            f"taxonomy file, `classes: [{listed}]`."
        )
    first = files.most_common(1)[0][0]
    return (
        f"Correct the files, or say in the taxonomy file what the values stand for: a class "
        f"(`{{name: NAME, from: {first}}}` in `classes`) or void (`ignore: [{first}]`)."
    )


def _places(label: LabelFacts) -> str:
    """Name the wrong values of a label, each with its first pixel."""
    parts = [
        f"{value} at row {row}, column {column} ({number(label.counts[value], 'pixel')})"
        for value, (row, column) in label.wrong.items()
    ]
    more = len(parts) - _SHOWN_VALUES
    shown = ", ".join(parts[:_SHOWN_VALUES])
    return shown + (f" and {number(more, 'other value')}" if more > 0 else "")


def _check_void(split: Survey) -> Iterator[Finding]:
    """Look for labels that are void or show nothing but the first class."""
    void = split.taxonomy.void
    empty = split.label_cases(lambda label: set(label.counts) == {void})
    mostly = split.label_cases(
        lambda x: MOSTLY_VOID < x.counts.get(void, 0) / max(1, sum(x.counts.values())) < 1
    )
    zero = split.label_cases(lambda label: set(label.counts) - {void} == {0})
    if len(zero) < len(split.labels) - len(empty):
        zero = []
    for code, found in (("all-void", empty), ("mostly-void", mostly), ("only-class-0", zero)):
        if found:
            yield find(code, found, split=split.name, first=split.taxonomy.names[0])
    if split.void_share > HIGH_VOID:
        yield find("high-void", share=100 * split.void_share, split=split.name, void=void)


def _check_classes(splits: Sequence[Survey]) -> Iterator[Finding]:
    """Compare the classes of training with those of the other splits."""
    names = splits[0].taxonomy.names
    shown = [(split.pixels > 0).sum(axis=0).tolist() for split in splits]
    train, counts = splits[0], shown[0]
    few = min(FEW_IMAGES, len(train.pixels) / 2)
    never = [name for index, name in enumerate(names) if not any(x[index] for x in shown)]
    rare = [f"{name} ({n})" for name, n in zip(names, counts, strict=True) if 0 < n < few]
    if 0 < len(never) < len(names):
        yield find("absent-class", count=len(never), names=", ".join(never))
    if rare:
        yield find("rare-class", count=len(rare), train=train.name, names=", ".join(rare))
    for split, others in zip(splits[1:], shown[1:], strict=True):
        if not any(counts) or not any(others):
            continue
        pairs = list(zip(names, counts, others, strict=True))
        unseen = [f"{name} ({number(n, 'image')})" for name, ours, n in pairs if n and not ours]
        missing = [name for name, ours, n in pairs if ours and not n]
        for code, found in (("unseen-class", unseen), ("unscored-class", missing)):
            if found:
                told = ", ".join(found)
                yield find(code, count=len(found), split=split.name, train=train.name, names=told)
