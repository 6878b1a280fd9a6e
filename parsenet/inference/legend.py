"""A legend under an image: swatches and names of the classes in it, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from parsenet.taxonomy import VOID_COLOUR, Taxonomy

TEXT = (30, 32, 36)
PAPER = (255, 255, 255)
GAP = 8
LINE = 22
"""Pixels of a row at scale 1."""

_FRAME = (160, 160, 160)
_FONT_SIZE = 14


class _Entry(NamedTuple):
    left: float
    row: int
    value: int
    text: str


def draw_legend(
    entries: Mapping[int, str], taxonomy: Taxonomy, width: int, scale: float = 1.0
) -> Image.Image:
    """Draw a legend on white.

    Args:
        entries: words by class index (or void), in the order in which they are shown.
        taxonomy: gives the colours.
        width: of the legend in pixels; entries that do not fit begin a new row.
        scale: size of the letters, 1 for 14 pixels.
    """
    placed = _place(entries, width, scale)
    rows = 1 + max((entry.row for entry in placed), default=0)
    sheet = Image.new("RGB", (width, round(LINE * scale) * rows), PAPER)
    draw = ImageDraw.Draw(sheet)
    for left, row, value, text in placed:
        top = row * round(LINE * scale)
        colour = VOID_COLOUR if value == taxonomy.void else taxonomy.palette[value]
        box = (left, top + 3 * scale, left + 15 * scale, top + 18 * scale)
        draw.rectangle(box, colour, outline=_FRAME)
        draw.text((left + LINE * scale, top + 2 * scale), text, TEXT, font(scale))
    return sheet


def name_of(value: int, taxonomy: Taxonomy) -> str:
    """Name a class, or void."""
    return "void" if value == taxonomy.void else taxonomy.names[value]


def font(scale: float = 1.0) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Return the font of legends and titles."""
    return ImageFont.load_default(_FONT_SIZE * scale)


def _place(entries: Mapping[int, str], width: int, scale: float) -> list[_Entry]:
    """Break the legend into rows."""
    left, row = GAP * scale, 0
    placed = []
    for value, text in entries.items():
        needed = (LINE + 2 * GAP) * scale + font(scale).getlength(text)
        if left > GAP * scale and left + needed > width:
            left, row = GAP * scale, row + 1
        placed.append(_Entry(left, row, value, text))
        left += needed
    return placed
