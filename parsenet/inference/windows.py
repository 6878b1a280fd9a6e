"""Overlapping windows: where they lie, and how their probabilities become one map."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Span(NamedTuple):
    """A window along one axis, in pixels."""

    start: int
    """First pixel."""
    stop: int
    """First pixel behind it."""
    head: int
    """Pixels shared with the window before; 0 where the image begins."""
    tail: int
    """Pixels shared with the next window; 0 where the image ends."""

    @property
    def length(self) -> int:
        """Pixels from end to end."""
        return self.stop - self.start

    @property
    def own(self) -> tuple[float, float]:
        """Part, from `start`, that lies deeper in this window than in any other.

        It is endless where the image ends: a map's last cell may have its centre outside.
        """
        first = self.head / 2 if self.head else -math.inf
        return first, self.length - self.tail / 2 if self.tail else math.inf


class Patch(NamedTuple):
    """A part of the finished map."""

    top: int
    left: int
    probabilities: Float[Tensor, "1 k rows columns"]


def split(length: int, window: int, overlap: int, stride: int) -> list[Span]:
    """Cut an axis into the fewest windows, as equal in length as the stride allows.

    Neighbours share exactly the overlap, and no pixel lies in three windows. All cuts are at
    multiples of the stride, so that a window's cells are cells of the whole image.

    Args:
        length: pixels of the axis.
        window: most pixels of a window, rounded down to the stride, but twice the overlap at least.
        overlap: pixels that neighbours share, rounded up to the stride.
        stride: pixels per cell of the coarsest map.
    """
    if length <= window:
        return [Span(0, length, 0, 0)]
    overlap = -(-overlap // stride) * stride
    longest = max(window // stride * stride, 2 * overlap, stride)
    number = max(1, -(-(length - overlap) // (longest - overlap)))
    even = -(-(length + (number - 1) * overlap) // number)
    side = min(longest, max(-(-even // stride) * stride, 2 * overlap))
    step = side - overlap
    return [
        Span(
            start=i * step,
            stop=min(i * step + side, length),
            head=overlap if i else 0,
            tail=overlap if i < number - 1 else 0,
        )
        for i in range(number)
    ]


def fade(span: Span) -> Float[Tensor, " length"]:
    """Return the weight of each pixel of a window; those of neighbours add up to 1.

    In an overlap the weight changes linearly over the middle half. The outer quarter counts for
    nothing: what a network says at a cut knows least about the other side.
    """
    weights = torch.ones(span.length)
    if span.head:
        weights[: span.head] = _rise(span.head)
    if span.tail:
        weights[span.length - span.tail :] = 1 - _rise(span.tail)
    return weights


def merge(
    score: Callable[[Span, Span], Iterator[Float[Tensor, "1 k _ w"]]],
    rows: Sequence[Span],
    columns: Sequence[Span],
) -> Iterator[Patch]:
    """Fade the windows of an image into one another, and give every pixel out once.

    Windows are scored in reading order. What is kept of them is what later ones still change: the
    overlap to the right, and the overlap below over the whole width.

    Args:
        score: gives the probabilities of the window (rows, columns) in bands from top to bottom.
        rows: windows from top to bottom.
        columns: windows from left to right.
    """
    below: Tensor | None = None
    for row in rows:
        beside: Tensor | None = None
        for column in columns:
            top = 0
            for scored in score(row, column):
                shape, place = scored.shape[:2], slice(top, top + scored.shape[2])
                band = scored * fade(column).to(scored.device)
                if beside is None and column.tail:
                    beside = band.new_empty((*shape, row.length, column.tail))
                band = _join(band, column, beside, place)
                band *= fade(row)[place, None].to(band.device)
                if below is None and row.tail:
                    below = band.new_empty((*shape, row.tail, columns[-1].stop))
                if done := _settle(band, row, column, below, top):
                    yield done
                top += scored.shape[2]


def _rise(length: int) -> Float[Tensor, " length"]:
    """Return 0 over a quarter, a straight line up, 1 over a quarter; a mirror image of 1 - it."""
    return ((torch.arange(length) + 0.5) * (2 / length) - 0.5).clamp(0, 1)


def _join(band: Tensor, column: Span, beside: Tensor | None, place: slice) -> Tensor:
    """Add what the window to the left left, keep what the one to the right changes."""
    if column.head and beside is not None:
        band[..., : column.head] += beside[:, :, place]
    if column.tail and beside is not None:
        own = band.shape[3] - column.tail
        beside[:, :, place] = band[..., own:]
        band = band[..., :own]
    return band


def _settle(band: Tensor, row: Span, column: Span, below: Tensor | None, top: int) -> Patch | None:
    """Add what the windows above left, keep what those below change, return what is finished."""
    across = slice(column.start, column.start + band.shape[3])
    shared = min(max(row.head - top, 0), band.shape[2])
    if shared and below is not None:
        band[:, :, :shared] += below[:, :, top : top + shared, across]
    finished = min(max(row.length - row.tail - top, 0), band.shape[2])
    if row.tail and below is not None:
        first = top + finished - (row.length - row.tail)
        kept = band.shape[2] - finished
        if kept:
            below[:, :, first : first + kept, across] = band[:, :, finished:]
    if not finished:
        return None
    return Patch(row.start + top, column.start, band[:, :, :finished])
