"""Images beyond the memory budget: their windows, and the context that these share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from jaxtyping import Float, UInt8
from torch import Tensor

from parsenet.config import InferenceConfig
from parsenet.inference.segmenter import Segmenter
from parsenet.inference.tta import View, look, look_at_part, views_of
from parsenet.inference.windows import Span, split

_WINDOW_SHARE = 0.125
"""Part of the budget that a window takes. Larger ones are hardly faster, and where windows are
needed the image and its label want memory too."""

ReadWindow = Callable[[Span, Span], UInt8[Tensor, "1 3 h w"]]
"""Gives the pixels of a window, RGB in [0, 255]."""


def count_pixels(segmenter: Segmenter, config: InferenceConfig) -> int:
    """Count the pixels, one at least, that the memory budget lets through at once.

    Averaged views cost more: the largest one's activations, and in float32 the probabilities of
    all classes twice in its size and twice in the image's.
    """
    area = max(config.scales) ** 2
    cost = segmenter.bytes_per_pixel * max(1.0, area)
    if views_of(config) != (View(),):
        cost += 8 * segmenter.taxonomy.num_classes * (1 + area)
    return max(1, int(config.memory * 2**30 / cost))


def covered_pixels(segmenter: Segmenter, size: tuple[int, int]) -> int:
    """Count the pixels of an image's cells: a row of one pixel costs as much as a row of cells."""
    height, width = (-(-length // segmenter.stride) * segmenter.stride for length in size)
    return height * width


def place_windows(
    segmenter: Segmenter, config: InferenceConfig, size: tuple[int, int]
) -> tuple[list[Span], list[Span]]:
    """Cut an image into windows: one, when it fits into the memory budget.

    Args:
        segmenter: what will score them.
        config: gives the budget, or the windows' side.
        size: (height, width) of the image in pixels.

    Returns:
        windows from top to bottom, and from left to right.
    """
    num_pixels = count_pixels(segmenter, config)
    side = config.window
    if side is None:
        fits = covered_pixels(segmenter, size) <= num_pixels
        side = max(size) if fits else max(1, math.isqrt(int(num_pixels * _WINDOW_SHARE)))
    rows, columns = (split(length, side, config.overlap, segmenter.stride) for length in size)
    return rows, columns


def share_context(
    segmenter: Segmenter,
    read: ReadWindow,
    windows: tuple[Sequence[Span], Sequence[Span]],
    view: View,
    tick: Callable[[], None],
) -> Float[Tensor, "1 c 1 1"]:
    """Pool the whole image, window by window: every cell once, from where it lies deepest.

    Args:
        segmenter: what pools.
        read: gives the pixels of a window.
        windows: windows from top to bottom, and from left to right.
        view: how the image is looked at.
        tick: called after each window.
    """
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
