"""Checks of the values in labels: outside the classes, shifted by one, colours for indices."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from parsenet.doctor.examine import LabelFacts
from parsenet.doctor.findings import Finding, label_case, number
from parsenet.doctor.listing import NUMBERS
from parsenet.doctor.stored import colour_of
from parsenet.doctor.survey import Surveyed
from parsenet.doctor.totals import Totals
from parsenet.taxonomy import Taxonomy

BACKGROUND_NAMES = frozenset({"background", "bg", "other", "others", "unlabeled", "unlabelled"})

_SMEARED = 40
"""Unknown values in one label from which on they come from blending, not from classes."""

_CONTEXT = 59
"""Classes of PASCAL-Context, background left out."""

_MANY_VOID = 0.05
_SHOWN_VALUES = 6


def check_values(surveyed: Sequence[Surveyed], totals: Sequence[Totals]) -> Iterator[Finding]:
    """Yield what is wrong with the values of all labels taken together, and of each split."""
    taxonomy = surveyed[0].split.reading.taxonomy
    # Where values are recoded, nothing follows from how they lie.
    is_plain = all(one.split.reading.is_plain for one in surveyed)
    whole = list(_check_whole(totals, taxonomy)) if is_plain else []
    yield from whole
    hint = f" See also `{whole[0].code}`." if whole else ""
    for one in surveyed:
        yield from _check_range(one, taxonomy, hint)
        yield from _check_colours(one, taxonomy)


def _check_whole(totals: Sequence[Totals], taxonomy: Taxonomy) -> Iterator[Finding]:
    """Look at all values of all splits: how they lie tells how labels were made."""
    if any(one.is_coloured for one in totals):
        return
    values: Counter[int] = Counter()
    for one in totals:
        values.update(one.values)
    found = sorted(value for value in values if value != taxonomy.void)
    count = taxonomy.num_classes
    if values and set(values) <= {0, 255} and values[255] and taxonomy.void == 255:
        yield _binary(values, taxonomy)
    elif found and found[-1] == count:
        yield _shifted(values, found, taxonomy)
    elif _hides_background(totals, taxonomy):
        yield Finding(
            "perhaps-background",
            "warning",
            f"0 is in most labels and stands for '{taxonomy.names[0]}': with the 59 names of "
            "PASCAL-Context it is more likely background.",
            "If so, use `pascal_context60` (background is a class, as in the paper) or "
            "`pascal_context59` (background is void); in a taxonomy file, put `background` before "
            "the other names, or set `reduce_zero_label: true`.",
        )
    elif _looks_reduced(totals, taxonomy):
        yield Finding(
            "perhaps-reduced",
            "warning",
            f"Labels hold 0..{count - 2} and void for {count} names that begin with "
            f"'{taxonomy.names[0]}': perhaps background was made void and the rest counts from 0.",
            f"If so, leave '{taxonomy.names[0]}' out of the names. If not, '{taxonomy.names[-1]}' "
            "is only missing.",
        )


def _binary(values: Counter[int], taxonomy: Taxonomy) -> Finding:
    share = 100 * values[255] / values.total()
    second = taxonomy.names[1] if 1 < taxonomy.num_classes < 255 else "object"
    return Finding(
        "binary-255",
        "error",
        f"All labels hold 0 and 255 alone ({share:.1f} % of the pixels are 255), and 255 means "
        "void: the object is never learnt.",
        "Say in the taxonomy file what the values stand for: "
        f"`classes: [{{name: background, from: 0}}, {{name: {second}, from: 255}}]`.",
    )


def _shifted(values: Counter[int], found: list[int], taxonomy: Taxonomy) -> Finding:
    count = taxonomy.num_classes
    all_pixels = values.total()
    title = (
        f"Labels hold {found[0]}..{count} for {count} names, whose indices are 0..{count - 1}; "
        f"{100 * values[count] / all_pixels:.1f} % of the pixels are {count}"
    )
    if found[0] == 0:
        title += f", {100 * values[0] / all_pixels:.1f} % are 0"
    if found[0] > 0:
        fix = "Classes are counted from 1: set `reduce_zero_label: true` in the taxonomy file."
    else:
        fix = (
            "If 0 is background that shall not count, set `reduce_zero_label: true` in the "
            "taxonomy file (0 becomes void, the others move down by one); if it shall be a class, "
            f"put `background` before the other names; if {count} is void, set `ignore: [{count}]`."
        )
    if count == _CONTEXT:
        fix += (
            " For PASCAL-Context these are the protocols `pascal_context59` (background is void) "
            "and `pascal_context60` (background is a class, as in the paper): their mean IoU "
            "differs, so name the one you use."
        )
    return Finding("shifted-labels", "error", f"{title}.", fix)


def _hides_background(totals: Sequence[Totals], taxonomy: Taxonomy) -> bool:
    """Tell whether 59 names meet labels whose 0 is background and whose last class is missing."""
    if taxonomy.num_classes != _CONTEXT or taxonomy.names[0] != "aeroplane":
        return False
    labels = sum(one.labels for one in totals)
    return sum(int(one.images[0]) for one in totals) > labels / 2


def _looks_reduced(totals: Sequence[Totals], taxonomy: Taxonomy) -> bool:
    count = taxonomy.num_classes
    if count < 3 or taxonomy.names[0].lower() not in BACKGROUND_NAMES:
        return False
    labels = sum(one.labels for one in totals)
    pixels = sum(int(one.pixels.sum()) for one in totals)
    void = sum(one.void for one in totals)
    last, before = (sum(int(one.images[k]) for one in totals) for k in (count - 1, count - 2))
    first = sum(int(one.images[0]) for one in totals)
    return (
        last == 0
        and before > 0
        and void > _MANY_VOID * (pixels + void)
        and first < labels / 2  # background is in most images wherever it is a class
    )


def _check_range(surveyed: Surveyed, taxonomy: Taxonomy, hint: str) -> Iterator[Finding]:
    cases = []
    wrong: Counter[int] = Counter()
    smeared = 0
    for index, label in _worst_first(surveyed, "range"):
        wrong.update(one.value for one in label.wrong)
        smeared += label.num_wrong > _SMEARED
        detail = _places(label) if label.wrong else label.error
        cases.append(label_case(surveyed, index, detail))
    if not cases:
        return
    listed = ", ".join(
        f"{value} ({number(files, 'file')})" for value, files in wrong.most_common(_SHOWN_VALUES)
    )
    more = f" and {len(wrong) - _SHOWN_VALUES} more" if len(wrong) > _SHOWN_VALUES else ""
    yield Finding(
        "value-out-of-range",
        "error",
        f"{number(len(cases), 'label')} of `{surveyed.name}` with values that are neither a class "
        f"nor void ({taxonomy.void}): {listed or 'see the files'}{more}.",
        _range_fix(surveyed, taxonomy, wrong, smeared) + hint,
        cases,
    )


def _range_fix(surveyed: Surveyed, taxonomy: Taxonomy, wrong: Counter[int], smeared: int) -> str:
    if smeared:
        return (
            "So many values come from blending: masks that were resized with interpolation, drawn "
            "with soft edges or saved as JPEG, or images in the place of labels. Export them "
            "again from the annotations."
        )
    values = {value for label in surveyed.labels for value in label.values}
    step = math.gcd(*values)
    if step > 1 and max(values) // step <= taxonomy.num_classes:
        return (
            f"All values are multiples of {step}, as if stretched for viewing: say so in the "
            "taxonomy file, `classes: [" + _recoded(values, step, taxonomy) + "]`."
        )
    first = wrong.most_common(1)[0][0] if wrong else taxonomy.num_classes
    return (
        f"Correct the files, or say in the taxonomy file what the values stand for: a class "
        f"(`{{name: NAME, from: {first}}}` in `classes`) or void (`ignore: [{first}]`)."
    )


def _recoded(values: set[int], step: int, taxonomy: Taxonomy) -> str:
    entries = [
        f"{{name: {taxonomy.names[value // step]}, from: {value}}}"
        for value in sorted(values)
        if value // step < taxonomy.num_classes
    ]
    return ", ".join(entries)


def _places(label: LabelFacts) -> str:
    parts = [
        f"{one.value} at row {one.row}, column {one.column} ({number(one.pixels, 'pixel')})"
        for one in label.wrong[:_SHOWN_VALUES]
    ]
    more = label.num_wrong - len(parts)
    return ", ".join(parts) + (f" and {number(more, 'other value')}" if more > 0 else "")


def _worst_first(surveyed: Surveyed, trouble: str) -> list[tuple[int, LabelFacts]]:
    """Return the labels with a trouble, those with the most wrong pixels first."""
    found = [(index, x) for index, x in enumerate(surveyed.labels) if x.trouble == trouble]
    return sorted(found, key=lambda entry: -sum(one.pixels for one in entry[1].wrong))


def _check_colours(surveyed: Surveyed, taxonomy: Taxonomy) -> Iterator[Finding]:
    """Look at RGB masks: refused where a colour is not in the palette, slow where all are."""
    cases = []
    colours: Counter[int] = Counter()
    smeared = 0
    for index, label in _worst_first(surveyed, "coloured"):
        cases.append(label_case(surveyed, index, _colour_places(label)))
        colours.update(one.value for one in label.wrong)
        smeared += label.num_wrong > _SMEARED
    right = sum(
        label.header is not None and label.header.is_coloured and not label.trouble
        for label in surveyed.labels
    )
    if cases:
        yield Finding(
            "rgb-label",
            "error",
            f"{number(len(cases), 'label')} of `{surveyed.name}` stored as colours "
            + (
                "that nobody gave a class."
                if taxonomy is NUMBERS
                else f"that are not in the palette of '{taxonomy.name}'."
            ),
            _colour_fix(colours, smeared),
            cases,
        )
    if right:
        yield Finding(
            "rgb-label-read",
            "note",
            f"{number(right, 'label')} of `{surveyed.name}` stored as RGB and read by the "
            "palette's colours.",
            "Index PNGs are read several times as fast.",
        )


def _colour_fix(colours: Counter[int], smeared: int) -> str:
    if smeared:
        return (
            "So many colours come from blending: soft edges, interpolation, an earlier JPEG, or "
            "overlays in the place of masks. Export them again from the annotations, without."
        )
    listed = ", ".join(
        f"{{name: NAME, colour: {list(colour_of(code))}}}"
        for code, _ in colours.most_common(_SHOWN_VALUES)
    )
    return (
        f"Give the colours to classes in the taxonomy file, `classes: [{listed}]`, or to void "
        "(`ignore`), or store class indices."
    )


def _colour_places(label: LabelFacts) -> str:
    parts = [
        f"{colour_of(one.value)} at row {one.row}, column {one.column} "
        f"({number(one.pixels, 'pixel')})"
        for one in label.wrong[:_SHOWN_VALUES]
    ]
    more = label.num_wrong - len(parts)
    end = f" and {number(more, 'other colour')}" if more > 0 else ""
    return (", ".join(parts) + end) or label.error
