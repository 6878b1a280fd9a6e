"""How an image is looked at: in several sizes and mirrored, and in windows with one context."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from parsenet.config import InferenceConfig
from parsenet.inference.segmenter import Box, Segmenter

_WINDOW_SHARE = 0.125
"""Part of the budget that a window takes. Larger ones are hardly faster, and where windows are
needed the image and its label want memory too."""


class View(NamedTuple):
    """A way to look at an image."""

    scale: float = 1.0
    """Size, 1 for the image's own."""
    flip: bool = False
    """Mirrored, left for right."""


def look(images: UInt8[Tensor, "n 3 h w"], view: View) -> UInt8[Tensor, "n 3 H W"]:
    """Scale (bilinear, with a wider kernel to shrink) and mirror images in [0, 255]."""
    if view.scale != 1:
        size = [max(1, round(view.scale * length)) for length in images.shape[2:]]
        larger = F.interpolate(images.float(), size, mode="bilinear", antialias=True)
        images = larger.round().clamp(0, 255).byte()
    return images.flip(3) if view.flip else images


def look_at_part(
    rows: tuple[float, float], columns: tuple[float, float], size: tuple[int, int], view: View
) -> Box:
    """Find where a part of an image of (height, width) is in a view; edges may be infinite."""
    height, width = (max(1, round(view.scale * length)) for length in size)
    top, bottom = (edge * height / size[0] for edge in rows)
    left, right = (edge * width / size[1] for edge in columns)
    if view.flip:
        left, right = width - right, width - left
    return Box(top, bottom, left, right)


def average(
    segmenter: Segmenter,
    images: UInt8[Tensor, "n 3 h w"],
    contexts: Mapping[View, Float[Tensor, "n c 1 1"] | None],
) -> Float[Tensor, "n k h w"]:
    """Average the probabilities of some views, each brought back to the images' own pixels.

    Each view comes with the global context to use, or None for its own.
    """
    total: Tensor | None = None
    for view, pool6 in contexts.items():
        bands = [band.softmax(1) for band in segmenter.bands(look(images, view), pool6)]
        seen = torch.cat(bands, 2) if len(bands) > 1 else bands[0]
        del bands
        if seen.shape[2:] != images.shape[2:]:
            seen = F.interpolate(seen, images.shape[2:], mode="bilinear", align_corners=False)
        seen = seen.flip(3) if view.flip else seen
        total = seen if total is None else total.add_(seen)
    assert total is not None
    return total.div_(len(contexts))


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


ReadWindow = Callable[[Span, Span], UInt8[Tensor, "1 3 h w"]]
"""Gives the pixels of a window, RGB in [0, 255]."""

Patch = tuple[int, int, Float[Tensor, "1 k rows columns"]]
"""A part of the finished map: its first row and column, and its probabilities."""


def place_windows(
    segmenter: Segmenter, config: InferenceConfig, size: tuple[int, int]
) -> tuple[list[Span], list[Span], int]:
    """Cut an image into windows: one, when it fits into the memory budget.

    Averaged views cost more: the largest one's activations, and in float32 the probabilities of
    all classes twice in its size and twice in the image's.

    Returns:
        windows from top to bottom, windows from left to right, and how many images of that size
        the budget lets through at once.
    """
    area = max(config.scales) ** 2
    cost = segmenter.bytes_per_pixel * max(1.0, area)
    if config.flip or max(config.scales) != 1 or len(config.scales) > 1:
        cost += 8 * segmenter.taxonomy.num_classes * (1 + area)
    num_pixels = max(1, int(config.memory * 2**30 / cost))
    # A row of one pixel costs as much as a row of cells.
    height, width = (-(-length // segmenter.stride) * segmenter.stride for length in size)
    side = config.window
    if side is None:
        fits = height * width <= num_pixels
        # A window's probabilities are held as a whole, faded and cut besides.
        window_cost = cost + 12 * segmenter.taxonomy.num_classes
        most = int(config.memory * 2**30 * _WINDOW_SHARE / window_cost)
        side = max(size) if fits else max(1, math.isqrt(most))
    rows, columns = (split(length, side, config.overlap, segmenter.stride) for length in size)
    return rows, columns, max(1, num_pixels // (height * width))


def share_context(
    segmenter: Segmenter,
    read: ReadWindow,
    windows: tuple[Sequence[Span], Sequence[Span]],
    view: View,
    tick: Callable[[], None],
) -> Float[Tensor, "1 c 1 1"]:
    """Pool the whole image, window by window: every cell once, from where it lies deepest."""
    sums, num_cells = [], 0
    for row in windows[0]:
        for column in windows[1]:
            size = (row.length, column.length)
            box = look_at_part(row.own, column.own, size, view)
            part, number = segmenter.pool6_sum(look(read(row, column), view), box)
            sums.append(part.cpu().double())
            num_cells += number
            tick()
    return (sum(sums[1:], sums[0]) / max(1, num_cells)).float().to(segmenter.device)


def split(length: int, window: int, overlap: int, stride: int) -> list[Span]:
    """Cut an axis into the fewest windows, as equal in length as the stride allows.

    Neighbours share exactly the overlap, rounded up to the stride, and no pixel lies in three
    windows. All cuts are at multiples of the stride, so that a window's cells are cells of the
    whole image. No window is longer than `window`, but twice the overlap is allowed.
    """
    if length <= window:
        return [Span(0, length, 0, 0)]
    overlap = -(-overlap // stride) * stride
    longest = max(window // stride * stride, 2 * overlap, stride)
    number = max(1, -(-(length - overlap) // (longest - overlap)))
    even = -(-(length + (number - 1) * overlap) // number)
    side = min(longest, max(-(-even // stride) * stride, 2 * overlap))
    step = side - overlap
    starts = range(0, number * step, step)
    spans = [Span(x, min(x + side, length), overlap, overlap) for x in starts]
    spans[0] = spans[0]._replace(head=0)
    spans[-1] = spans[-1]._replace(tail=0)
    return spans


def fade(span: Span) -> Float[Tensor, " length"]:
    """Return the weight of each pixel of a window; those of neighbours add up to 1.

    In an overlap the weight changes linearly over the middle half. The outer quarter counts for
    nothing: what a network says at a cut knows least about the other side.
    """
    weights = torch.ones(span.length)
    for length, part in ((span.head, slice(span.head)), (span.tail, slice(-span.tail, None))):
        if length:
            rise = ((torch.arange(length) + 0.5) * (2 / length) - 0.5).clamp(0, 1)
            weights[part] = rise if part.start is None else 1 - rise
    return weights


def merge(
    score: Callable[[Span, Span], Float[Tensor, "1 k h w"]],
    rows: Sequence[Span],
    columns: Sequence[Span],
) -> Iterator[Patch]:
    """Fade the windows of an image into one another, and give every pixel out once.

    Windows are scored in reading order. What is kept of them is what later ones still change: the
    overlap to the right, and the overlap below over the whole width.
    """
    below: Tensor | None = None
    for row in rows:
        beside: Tensor | None = None
        for column in columns:
            scored = score(row, column)
            patch = scored * fade(column).to(scored.device)
            patch *= fade(row)[:, None].to(scored.device)
            if beside is not None:
                patch[..., : column.head] += beside
            own = column.length - column.tail
            beside, patch = patch[..., own:].clone(), patch[..., :own]
            across = slice(column.start, column.start + own)
            if row.head and below is not None:
                patch[:, :, : row.head] += below[..., across]
            finished = row.length - row.tail
            if below is None:
                below = patch.new_empty((*patch.shape[:2], row.tail, columns[-1].stop))
            if row.tail:
                below[..., across] = patch[:, :, finished:]
            yield row.start, column.start, patch[:, :, :finished]
