"""Checks for images that are there twice: within a split, and across splits, which leaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32, Int64

from parsenet.check.findings import Case, Finding, find
from parsenet.check.survey import SIDE, Survey

MAX_DISTANCE = 14
"""Bits of 100 in which the perceptual hashes of two similar images may differ. Scaled and saved
anew they differ in up to 6, different images of VOC in 24 and more (docs/doctor.md)."""

_BLOCK = 1024


def check_duplicates(splits: Sequence[Survey]) -> Iterator[Finding]:
    """Yield images that are in two splits, then those that are in one split twice."""
    for position, split in enumerate(splits):
        for other in splits[:position]:
            yield from _check_pair(split, other, "leak", "similar-leak")
    for split in splits:
        yield from _check_pair(split, split, "duplicate", "similar")


def _check_pair(split: Survey, other: Survey, same: str, alike: str) -> Iterator[Finding]:
    copies = _copies(split, other)
    found = {same: copies, alike: _similar(split, other, copies)}
    if split is other:
        labels = [label.digest for label in split.labels]
        found["conflicting-labels"] = {
            n: (first, ", their labels differ")
            for n, (first, _) in copies.items()
            if labels[n] != labels[first]
        }
    for code, pairs in found.items():
        cases = []
        for index, (first, how) in pairs.items():
            case, like = split.case(index, of_image=True), other.case(first, of_image=True)
            text = f"like '{like.file}'{how}"
            cases.append(Case(case.file, text, case.samples + like.samples))
        if cases:
            yield find(code, cases, split=split.name, other=other.name)


def _copies(split: Survey, other: Survey) -> dict[int, tuple[int, str]]:
    """Find the images of a split whose bytes are those of another one, of the first of them."""
    first = {other.images[n].digest: n for n in reversed(range(len(other.images)))}
    return {
        index: (first[image.digest], "")
        for index, image in enumerate(split.images)
        if image.digest in first and image.digest
        if not (split is other and first[image.digest] == index)
    }


def _similar(
    split: Survey, other: Survey, copies: dict[int, tuple[int, str]]
) -> dict[int, tuple[int, str]]:
    """Find for the images of a split the most similar one of another split, or of those before it.

    By position in `split`, the position in `other` and how they are alike.
    """
    ours = [n for n, image in enumerate(split.images) if image.look and n not in copies]
    theirs = [n for n, image in enumerate(other.images) if image.look]
    limits = np.searchsorted(theirs, ours) if split is other else None
    found: dict[int, tuple[int, str]] = {}
    for mirrored, how in ((0, ""), (1, ", mirrored")):
        hashes, others = _hashes(split, ours, mirrored), _hashes(other, theirs, 0)
        for place, nearest in nearest_pairs(hashes, others, limits):
            found.setdefault(ours[place], (theirs[nearest], how))
    return dict(sorted(found.items()))


def _hashes(split: Survey, indices: Sequence[int], mirrored: int) -> Float32[np.ndarray, "n bits"]:
    """Return hashes as rows of -1 and 1: a product of two then counts the bits that agree."""
    looks = [look[mirrored] for index in indices if (look := split.images[index].look)]
    packed = np.frombuffer(b"".join(looks), np.uint8).reshape(len(looks), -(-(SIDE**2) // 8))
    return 2 * np.unpackbits(packed, axis=1, count=SIDE**2).astype(np.float32) - 1


def nearest_pairs(
    hashes: Float32[np.ndarray, "n bits"],
    others: Float32[np.ndarray, "m bits"],
    limits: Int64[np.ndarray, " n"] | None = None,
) -> Iterator[tuple[int, int]]:
    """Yield the position of each hash that is similar to another, and that of the nearest one.

    Hashes are rows of -1 and 1; each is compared with so many of the others, None for all.
    """
    for start in range(0, len(hashes) if len(others) else 0, _BLOCK):
        block = slice(start, start + _BLOCK)
        distance = (hashes.shape[1] - hashes[block] @ others.T) / 2
        if limits is not None:
            distance[np.arange(len(others)) >= limits[block, None]] = np.inf
        for row in np.flatnonzero(distance.min(axis=1) <= MAX_DISTANCE).tolist():
            yield start + row, int(distance[row].argmin())
