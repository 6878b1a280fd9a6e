"""Checks of palette PNGs: what the colours of the indices give away."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from parsenet.doctor.examine import LabelFacts
from parsenet.doctor.findings import Case, Finding, label_case, number
from parsenet.doctor.survey import Surveyed
from parsenet.taxonomy import Colour, Taxonomy

_OWN = "each file has a palette of its own, so an index means another class in each."

_BY_COLOUR = (
    "The colours are right, the indices are not: store the masks as RGB (Pillow: "
    "`Image.open(p).convert('RGB').save(p)`) and give each class its `colour` in the taxonomy file."
)


def check_palettes(surveyed: Sequence[Surveyed], taxonomy: Taxonomy) -> Iterator[Finding]:
    """Yield what the colours of palette PNGs give away about their indices."""
    owners: defaultdict[int, Counter[Colour]] = defaultdict(Counter)
    labels = [(one, index, x) for one in surveyed for index, x in enumerate(one.labels)]
    for _, _, label in labels:
        for value, colour in label.palette.items():
            owners[value][colour] += 1
    usual = {value: colours.most_common(1)[0][0] for value, colours in owners.items()}
    mixed = [
        label_case(one, index, _palette_detail(label, usual))
        for one, index, label in labels
        if any(colour != usual[value] for value, colour in label.palette.items())
    ]
    if mixed:
        yield _mixed(mixed, owners)
    elif usual and all(one.split.reading.is_plain for one in surveyed):
        yield from _foreign(usual, taxonomy)


def _palette_detail(label: LabelFacts, usual: dict[int, Colour]) -> str:
    value, colour = next((v, c) for v, c in label.palette.items() if c != usual[v])
    return f"{value} is {colour} here, {usual[value]} elsewhere"


def _mixed(cases: list[Case], owners: dict[int, Counter[Colour]]) -> Finding:
    homes: defaultdict[Colour, set[int]] = defaultdict(set)
    for value, colours in owners.items():
        for colour in colours:
            homes[colour].add(value)
    wanders = any(len(values) > 1 for colour, values in homes.items() if any(colour))
    return Finding(
        "mixed-palettes",
        "error" if wanders else "warning",
        f"{number(len(cases), 'palette label')} with other colours than most for the same index"
        + (f": {_OWN}" if wanders else "."),
        _BY_COLOUR if wanders else "Look at some of them: the indices may still be right.",
        cases,
    )


def _foreign(usual: dict[int, Colour], taxonomy: Taxonomy) -> Iterator[Finding]:
    """Compare the labels' palette with the taxonomy's."""
    ours = {colour: index for index, colour in enumerate(taxonomy.palette)}
    # Black is also what palettes give to entries that nobody set.
    other = {
        v: c for v, c in usual.items() if v < len(ours) and any(c) and taxonomy.palette[v] != c
    }
    moved = {v: ours[c] for v, c in other.items() if c in ours}
    if len(moved) >= 2 and len(moved) >= len(other) / 2:
        value, home = next(iter(moved.items()))
        yield Finding(
            "permuted-palette",
            "error",
            f"The colours of the labels are those of '{taxonomy.name}' at other indices: {value} "
            f"is drawn as '{taxonomy.names[home]}', whose index is {home}.",
            "The colours are more likely right than the indices: look at some labels, then store "
            "them as RGB, or put the names into the order of the labels.",
        )
    elif other:
        yield Finding(
            "foreign-palette",
            "note",
            f"The labels' palette is not that of '{taxonomy.name}': "
            f"{len(other)} of {len(usual)} indices have another colour.",
            "Only the indices count; check that the order of the names is that of the labels.",
        )
