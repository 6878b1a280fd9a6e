"""Checks for images that are there twice: within a split, and across splits, which leaks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from parsenet.doctor.findings import Case, Finding, Place, number
from parsenet.doctor.looks import Look, similar_pairs
from parsenet.doctor.survey import Surveyed


def check_duplicates(surveyed: Sequence[Surveyed]) -> Iterator[Finding]:
    """Yield images that are in two splits, then those that are in one split twice."""
    for position, other in enumerate(surveyed):
        for one in surveyed[:position]:
            yield from _check_leak(one, other)
    for one in surveyed:
        yield from _check_within(one)


def _check_leak(one: Surveyed, other: Surveyed) -> Iterator[Finding]:
    same = [
        (places[0], index)
        for index, facts in enumerate(other.images)
        if facts.digest and (places := _places(one).get(facts.digest))
    ]
    if same:
        yield Finding(
            "leak",
            "error",
            f"{number(len(same), 'image')} of `{other.name}` in `{one.name}` too, byte for byte.",
            f"Scores on `{other.name}` count what was learnt by heart: take the images out of "
            f"`{one.name}`.",
            [_case(other, index, one, first) for first, index in same],
        )
    known = {index for _, index in same}
    alike = [(a, b, how) for a, b, how in _similar(one, other) if b not in known]
    if alike:
        yield Finding(
            "similar-leak",
            "warning",
            f"{number(len({b for _, b, _ in alike}), 'image')} of `{other.name}` very similar "
            f"to one of `{one.name}`.",
            "Look at the pairs: copies that were saved anew or scaled belong into one split, and so"
            " do frames of one video.",
            [_case(other, b, one, a, how) for a, b, how in _first_each(alike)],
        )


def _check_within(one: Surveyed) -> Iterator[Finding]:
    groups = [indices for indices in _places(one).values() if len(indices) > 1]
    if groups:
        cases = [_case(one, index, one, group[0]) for group in groups for index in group[1:]]
        conflicts = [
            _case(one, index, one, group[0], "their labels differ")
            for group in groups
            for index in group[1:]
            if one.labels[index].digest != one.labels[group[0]].digest
        ]
        yield Finding(
            "duplicate",
            "warning",
            f"{number(len(cases), 'copy')} of images of `{one.name}`, byte for byte.",
            "Keep one of each: a copy counts twice in training and in scores.",
            cases,
        )
        if conflicts:
            yield Finding(
                "conflicting-labels",
                "warning",
                f"{number(len(conflicts), 'copy')} of images of `{one.name}` with another label "
                "than the first.",
                "Decide which of the labels is right, and drop the other pair.",
                conflicts,
            )
    copies = {index for group in groups for index in group[1:]}
    alike = [(a, b, how) for a, b, how in _similar(one, one) if a < b and not {a, b} & copies]
    if alike:
        yield Finding(
            "similar",
            "note",
            f"{number(len({b for _, b, _ in alike}), 'image')} of `{one.name}` very similar to "
            "another one there.",
            "Nothing to do, if they were meant to be there: videos and bursts have such frames.",
            [_case(one, b, one, a, how) for a, b, how in _first_each(alike)],
        )


def _places(one: Surveyed) -> dict[bytes, list[int]]:
    places: defaultdict[bytes, list[int]] = defaultdict(list)
    for index, facts in enumerate(one.images):
        if facts.digest and facts.size:  # broken files are told of elsewhere
            places[facts.digest].append(index)
    return places


def _similar(one: Surveyed, other: Surveyed) -> list[tuple[int, int, str]]:
    """Return positions of similar images, as they are or mirrored."""
    first, second = _looks(one), _looks(other)
    if not first or not second:
        return []
    thumbs, others = _thumbs(first.values()), _thumbs(second.values())
    hashes = _hashes(look.hash for look in first.values())
    places, other_places = list(first), list(second)
    found: dict[tuple[int, int], str] = {}
    for hashed, shown, how in (
        (_hashes(look.hash for look in second.values()), others, ""),
        (
            _hashes(look.mirrored for look in second.values()),
            others.reshape(-1, 16, 16)[:, :, ::-1].reshape(-1, 256),
            "mirrored",
        ),
    ):
        for a, b in similar_pairs(hashes, hashed, thumbs, shown).tolist():
            found.setdefault((places[a], other_places[b]), how)
    return [(a, b, how) for (a, b), how in sorted(found.items())]


def _looks(one: Surveyed) -> dict[int, Look]:
    return {
        index: facts.look
        for index, facts in enumerate(one.images)
        if facts.look is not None and not facts.look.is_constant
    }


def _hashes(values: Iterable[int]) -> np.ndarray:
    return np.fromiter(values, np.uint64)


def _thumbs(looks: Iterable[Look]) -> np.ndarray:
    return np.frombuffer(b"".join(look.thumb for look in looks), np.uint8).reshape(-1, 256)


def _first_each(alike: Sequence[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Keep one pair for each image on the right."""
    kept: dict[int, tuple[int, int, str]] = {}
    for pair in alike:
        kept.setdefault(pair[1], pair)
    return list(kept.values())


def _case(one: Surveyed, index: int, other: Surveyed, first: int, how: str = "") -> Case:
    pairs = one.split.pairs[index], other.split.pairs[first]
    names = [pair.id if pair.image is None else str(pair.image) for pair in pairs]
    detail = f"like '{names[1]}'" + (f", {how}" if how else "")
    return Case(names[0], detail, (Place(one.name, index), Place(other.name, first)))
