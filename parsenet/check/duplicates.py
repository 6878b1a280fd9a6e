"""Checks for images that are there twice: within a split, and across splits, which leaks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32, Int64

from parsenet.check.findings import Case, Finding, find
from parsenet.check.survey import NUM_BITS, Survey

MAX_DISTANCE = 14
"""Bits of 100 in which the perceptual hashes of two similar images may differ. Scaled and saved
anew they differ in up to 6, different images of VOC in 24 and more (docs/doctor.md)."""

_BLOCK = 1024


def check_duplicates(splits: Sequence[Survey]) -> Iterator[Finding]:
    """Yield images that are in two splits, then those that are in one split twice."""
    for position, split in enumerate(splits):
        for other in splits[:position]:
            yield from _check_leak(split, other)
    for split in splits:
        yield from _check_within(split)


def _check_leak(split: Survey, other: Survey) -> Iterator[Finding]:
    ours, theirs = _places(split), _places(other)
    same = {index: theirs[x][0] for x in ours if x in theirs for index in ours[x]}
    for code, found in (
        ("leak", {index: (first, "") for index, first in sorted(same.items())}),
        ("similar-leak", _similar(split, other, same)),
    ):
        if found:
            cases = [_case(split, index, other, *like) for index, like in found.items()]
            yield find(code, cases, split=split.name, other=other.name)


def _check_within(split: Survey) -> Iterator[Finding]:
    copies = {index: group[0] for group in _places(split).values() for index in group[1:]}
    digests = [label.digest for label in split.labels]
    conflicts = [index for index, first in copies.items() if digests[index] != digests[first]]
    for code, found in (
        ("duplicate", {index: (first, "") for index, first in sorted(copies.items())}),
        ("conflicting-labels", {n: (copies[n], "their labels differ") for n in sorted(conflicts)}),
        ("similar", _similar(split, split, copies)),
    ):
        if found:
            cases = [_case(split, index, split, *like) for index, like in found.items()]
            yield find(code, cases, split=split.name)


def _places(split: Survey) -> dict[bytes, list[int]]:
    """Group the positions of images by the hash of their file."""
    places: defaultdict[bytes, list[int]] = defaultdict(list)
    for index, image in enumerate(split.images):
        if image.digest:
            places[image.digest].append(index)
    return places


def _similar(split: Survey, other: Survey, known: dict[int, int]) -> dict[int, tuple[int, str]]:
    """Find for the images of a split the most similar one of another split, or of those before it.

    Returns:
        by position in `split`, the position in `other` and how they are alike.
    """
    ours = [n for n, image in enumerate(split.images) if image.look and n not in known]
    theirs = [n for n, image in enumerate(other.images) if image.look]
    found: dict[int, tuple[int, str]] = {}
    for mirrored, how in ((0, ""), (1, "mirrored")):
        hashes, others = _hashes(split, ours, mirrored), _hashes(other, theirs, 0)
        limits = np.searchsorted(theirs, ours) if split is other else None
        for place, nearest in nearest_pairs(hashes, others, limits):
            found.setdefault(ours[place], (theirs[nearest], how))
    return dict(sorted(found.items()))


def _hashes(split: Survey, indices: Sequence[int], mirrored: int) -> Float32[np.ndarray, "n bits"]:
    """Return hashes as rows of -1 and 1: a product of two then counts the bits that agree."""
    looks = [look[mirrored] for index in indices if (look := split.images[index].look)]
    packed = np.frombuffer(b"".join(looks), np.uint8).reshape(len(looks), -(-NUM_BITS // 8))
    signs: Float32[np.ndarray, "n bits"] = (
        np.unpackbits(packed, axis=1, count=NUM_BITS) * np.float32(2) - 1
    )
    return signs


def nearest_pairs(
    hashes: Float32[np.ndarray, "n bits"],
    others: Float32[np.ndarray, "m bits"],
    limits: Int64[np.ndarray, " n"] | None = None,
) -> Iterator[tuple[int, int]]:
    """Yield the position of each hash that is similar to another, and that of the nearest one.

    Args:
        hashes: rows of -1 and 1.
        others: those to compare them with.
        limits: how many of the others each hash is compared with; None for all.
    """
    for start in range(0, len(hashes) if len(others) else 0, _BLOCK):
        block = slice(start, start + _BLOCK)
        distance = (hashes.shape[1] - hashes[block] @ others.T) / 2
        if limits is not None:
            distance[np.arange(len(others)) >= limits[block, None]] = np.inf
        for row in np.flatnonzero(distance.min(axis=1) <= MAX_DISTANCE).tolist():
            yield start + row, int(distance[row].argmin())


def _case(split: Survey, index: int, other: Survey, first: int, how: str) -> Case:
    case, like = split.image_case(index), other.image_case(first)
    detail = f"like '{like.file}'" + (f", {how}" if how else "")
    return Case(case.file, detail, case.samples + like.samples)
