"""Test-time augmentation: an image in several sizes and mirrored, its probabilities averaged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from parsenet.config import InferenceConfig
from parsenet.inference.segmenter import Box, Segmenter


class View(NamedTuple):
    """A way to look at an image."""

    scale: float = 1.0
    """Size, 1 for the image's own."""
    flip: bool = False
    """Mirrored, left for right."""


def views_of(config: InferenceConfig) -> tuple[View, ...]:
    """List the views that a config averages."""
    flips = (False, True) if config.flip else (False,)
    return tuple(View(scale, flip) for scale in config.scales for flip in flips)


def look(images: UInt8[Tensor, "n 3 h w"], view: View) -> UInt8[Tensor, "n 3 H W"]:
    """Scale (bilinear, with a wider kernel to shrink) and mirror images.

    Args:
        images: RGB in [0, 255].
        view: how to look at them.
    """
    if view.scale != 1:
        size = [max(1, round(view.scale * length)) for length in images.shape[2:]]
        larger = F.interpolate(images.float(), size, mode="bilinear", antialias=True)
        images = larger.round().clamp(0, 255).byte()
    return images.flip(3) if view.flip else images


def look_at_part(
    rows: tuple[float, float], columns: tuple[float, float], size: tuple[int, int], view: View
) -> Box:
    """Find where a part of an image is in a view of it.

    Args:
        rows: its upper and lower edge in the image, in pixels; may be infinite.
        columns: its left and right edge.
        size: (height, width) of the image.
        view: how it is looked at.
    """
    height, width = (max(1, round(view.scale * length)) for length in size)
    top, bottom = (edge * height / size[0] for edge in rows)
    left, right = (edge * width / size[1] for edge in columns)
    return (
        Box(top, bottom, width - right, width - left)
        if view.flip
        else Box(top, bottom, left, right)
    )


def average(
    segmenter: Segmenter,
    images: UInt8[Tensor, "n 3 h w"],
    contexts: Mapping[View, Float[Tensor, "n c 1 1"] | None],
) -> Iterator[Float[Tensor, "n k _ w"]]:
    """Average the probabilities of some views, each brought back to the images' own pixels.

    Args:
        segmenter: what scores the views.
        images: RGB in [0, 255].
        contexts: the views, each with the global context to use or None for the view's own.

    Returns:
        bands from top to bottom; several for a single view at its own size, else one.
    """
    if list(contexts) == [View()]:
        for band in segmenter.bands(images, contexts[View()]):
            yield band.softmax(1)
        return
    total: Tensor | None = None
    for view, pool6 in contexts.items():
        bands = [band.softmax(1) for band in segmenter.bands(look(images, view), pool6)]
        seen = torch.cat(bands, 2)
        del bands
        if seen.shape[2:] != images.shape[2:]:
            seen = F.interpolate(seen, images.shape[2:], mode="bilinear", align_corners=False)
        seen = seen.flip(3) if view.flip else seen
        total = seen if total is None else total.add_(seen)
    assert total is not None
    yield total.div_(len(contexts))
