"""How images look, in a few bytes each: to find one again that was scaled or saved anew."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64, UInt8, UInt64
from PIL import Image

MAX_DISTANCE = 4
"""Bits of 64 in which the hashes of two similar images may differ."""

MAX_DIFFERENCE = 0.25
"""Mean difference of their thumbnails, as a share of the contrast of the weaker one."""

_THUMB = 16
_BLOCK = 256
_PARTNERS = 8


class Look(NamedTuple):
    """What is kept of an image."""

    hash: int
    """dHash, 64 bits: whether each of 8 x 8 pixels is darker than its right neighbour."""
    mirrored: int
    """The same of the mirrored image."""
    thumb: bytes
    """16 x 16 grey levels."""
    is_constant: bool
    """Whether all pixels have one colour."""


def look_at(image: UInt8[np.ndarray, "h w 3"]) -> Look:
    """Boil an image down.

    Source: difference hash, Neal Krawetz, "Kind of like that" (hackerfactor.com, 2013).
    """
    grey = Image.fromarray(image).convert("L")
    small = np.asarray(grey.resize((9, 8), Image.Resampling.BOX)).astype(np.int16)
    thumb = grey.resize((_THUMB, _THUMB), Image.Resampling.BOX)
    is_constant = bool((image == image[0, 0]).all())
    return Look(_hash(small), _hash(small[:, ::-1]), thumb.tobytes(), is_constant)


def _hash(small: np.ndarray) -> int:
    bits = np.packbits((small[:, :-1] < small[:, 1:]).ravel())
    return int.from_bytes(bits.tobytes(), "big")


def similar_pairs(
    hashes: UInt64[np.ndarray, " n"],
    others: UInt64[np.ndarray, " m"],
    thumbs: UInt8[np.ndarray, "n 256"],
    other_thumbs: UInt8[np.ndarray, "m 256"],
) -> Int64[np.ndarray, "pairs 2"]:
    """Find the pairs of similar images, in much less time than it takes to compare all.

    Hashes that differ in at most four bits agree in one of five bands of bits at least. Only
    images that share a band are compared.

    Args:
        hashes: of the images.
        others: of the images to compare them with.
        thumbs: the images' grey levels.
        other_thumbs: those of the others.

    Returns:
        positions of one and other, sorted, each pair once; of many images that are similar to
        one other, some of the nearest.
    """
    found = [np.empty((0, 2), np.int64)]
    kept = _few_of_each(hashes)
    edges = np.linspace(0, 64, MAX_DISTANCE + 2).round().astype(int)
    for low, high in pairwise(edges.tolist()):
        mask = np.uint64((1 << (high - low)) - 1)
        keys = hashes[kept] >> np.uint64(low) & mask
        other_keys = others >> np.uint64(low) & mask
        for place, other in _meetings(keys, other_keys):
            one = kept[place]
            one, other = _nearest(one, other, _distance(hashes[one], others[other]))
            alike = _difference(thumbs[one], other_thumbs[other]) <= MAX_DIFFERENCE
            found.append(np.stack([one[alike], other[alike]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _meetings(
    keys: UInt64[np.ndarray, " n"], other_keys: UInt64[np.ndarray, " m"]
) -> Iterator[tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]]:
    """Yield positions whose keys are equal, those of one `other` key all at once."""
    order = np.argsort(keys, kind="stable")
    first = np.searchsorted(keys[order], other_keys, side="left")
    past = np.searchsorted(keys[order], other_keys, side="right")
    for start in range(0, len(other_keys), _BLOCK):
        counts = past[start : start + _BLOCK] - first[start : start + _BLOCK]
        other = np.repeat(np.arange(start, start + len(counts)), counts)
        offsets = np.arange(len(other)) - np.repeat(np.cumsum(counts) - counts, counts)
        yield order[np.repeat(first[start : start + _BLOCK], counts) + offsets], other


def _few_of_each(hashes: UInt64[np.ndarray, " n"]) -> Int64[np.ndarray, " kept"]:
    """Return positions of the first images with each hash: a still video has thousands."""
    order = np.argsort(hashes, kind="stable")
    starts = np.searchsorted(hashes[order], hashes[order], side="left")
    return np.sort(order[np.arange(len(order)) - starts < _PARTNERS])


def _nearest(
    one: Int64[np.ndarray, " pairs"],
    other: Int64[np.ndarray, " pairs"],
    distance: UInt64[np.ndarray, " pairs"],
) -> tuple[Int64[np.ndarray, " kept"], Int64[np.ndarray, " kept"]]:
    """Keep the nearest partners of each other."""
    near = np.flatnonzero(distance <= MAX_DISTANCE)
    near = near[np.lexsort((one[near], distance[near], other[near]))]
    # Positions within the runs of one other.
    starts = np.searchsorted(other[near], other[near], side="left")
    near = near[np.arange(len(near)) - starts < _PARTNERS]
    return one[near], other[near]


def _distance(
    one: UInt64[np.ndarray, " n"], other: UInt64[np.ndarray, " n"]
) -> UInt64[np.ndarray, " n"]:
    """Count the bits that differ; numpy has a function for it from version 2 on only."""
    bits = one ^ other
    bits -= bits >> np.uint64(1) & np.uint64(0x5555555555555555)
    pairs = np.uint64(0x3333333333333333)
    bits = (bits & pairs) + (bits >> np.uint64(2) & pairs)
    bits = bits + (bits >> np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    counts: UInt64[np.ndarray, " n"] = bits * np.uint64(0x0101010101010101) >> np.uint64(56)
    return counts


def _difference(
    one: UInt8[np.ndarray, "n 256"], other: UInt8[np.ndarray, "n 256"]
) -> Float32[np.ndarray, " n"]:
    """Return the mean difference of grey levels as a share of the weaker image's contrast."""
    parts = [np.empty(0, np.float32)]
    for start in range(0, len(one), 1 << 16):
        block = slice(start, start + (1 << 16))
        first, second = _level(one[block]), _level(other[block])
        contrast = np.minimum(np.abs(first).mean(axis=1), np.abs(second).mean(axis=1))
        parts.append(np.abs(first - second).mean(axis=1) / np.maximum(contrast, 1.0))
    return np.concatenate(parts)


def _level(thumbs: UInt8[np.ndarray, "n 256"]) -> Float32[np.ndarray, "n 256"]:
    """Bring thumbnails to one brightness."""
    values = thumbs.astype(np.float32)
    level: Float32[np.ndarray, "n 256"] = values - values.mean(axis=1, keepdims=True)
    return level
