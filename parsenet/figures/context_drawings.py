"""An image as it is, its truth, without context, with context: drawn side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from parsenet.data.base import SegmentationDataset
from parsenet.data.labels import LabelMap
from parsenet.data.reading import read_stored_label
from parsenet.figures.context import Gain, Side, label_path
from parsenet.inference.drawing import GAP, LINE, PAPER, TEXT, blend, draw_legend, font, name_of
from parsenet.taxonomy import Taxonomy

PANEL = 300
"""Longer side of an image, in pixels."""

_OPACITY = 0.75


class Panels(NamedTuple):
    """The four views of one image."""

    titles: tuple[str, ...]
    layers: tuple[Image.Image, ...]
    present: frozenset[int]
    """Classes, and void, in the truth or in what the networks say."""


def panels_of(dataset: SegmentationDataset, gain: Gain, sides: tuple[Side, Side]) -> Panels:
    """Lay truth and predictions over an image; what is void in the truth is void in all of them.

    Args:
        dataset: the images.
        gain: which one.
        sides: with context, and without.
    """
    taxonomy, sample = dataset.taxonomy, dataset.read(gain.index)
    paths = [label_path(side.labels, sample) for side in sides[::-1]]
    maps = [_void_like(read_stored_label(path), sample.label, taxonomy.void) for path in paths]
    drawn = [blend(sample.image, x, taxonomy, _OPACITY) for x in (sample.label, *maps)]
    return Panels(
        (
            gain.id,
            "truth",
            f"without context: {100 * gain.without:.1f}",
            f"with context: {100 * gain.with_context:.1f} ({100 * gain.gain:+.1f})",
        ),
        tuple(_shrink(layer) for layer in (sample.image, *drawn)),
        frozenset(int(v) for label in (sample.label, *maps) for v in np.unique(label)),
    )


def draw_sheet(panels: Sequence[Panels], taxonomy: Taxonomy) -> Image.Image:
    """Draw a row per image, and the classes that are seen below.

    Args:
        panels: the images, in order; at least one.
        taxonomy: names and colours.
    """
    rows = [_draw_row(one) for one in panels]
    present = sorted({value for one in panels for value in one.present})
    width = max(row.width for row in rows)
    legend = draw_legend({v: name_of(v, taxonomy) for v in present}, taxonomy, width)
    sheet = Image.new("RGB", (width, sum(row.height for row in rows) + legend.height + GAP), PAPER)
    top = 0
    for row in (*rows, legend):
        sheet.paste(row, (0, top))
        top += row.height
    return sheet


def _void_like(prediction: np.ndarray, truth: LabelMap, void: int) -> LabelMap:
    """Void what is void in the truth: it does not count."""
    return np.where(truth == void, truth, prediction.astype(truth.dtype))


def _draw_row(panels: Panels) -> Image.Image:
    row = Image.new("RGB", (4 * (PANEL + GAP) + GAP, LINE + panels.layers[0].height + GAP), PAPER)
    draw = ImageDraw.Draw(row)
    for index, (layer, title) in enumerate(zip(panels.layers, panels.titles, strict=True)):
        left = GAP + index * (PANEL + GAP)
        draw.text((left, 2), title, TEXT, font())
        row.paste(layer, (left, LINE))
    return row


def _shrink(pixels: np.ndarray) -> Image.Image:
    height, width = pixels.shape[:2]
    factor = PANEL / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
