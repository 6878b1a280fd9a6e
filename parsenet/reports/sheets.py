"""Contact sheets: images side by side with captions below and a legend at the foot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from parsenet.taxonomy import Colour

GAP, LINE = 8, 20
"""Pixels between images, and of a line of text."""

_INK, _FRAME = (30, 32, 36), (160, 160, 160)
_FONT_SIZE, _MOST_LINES, _MOST_ENTRIES = 14, 6, 60


def contact_sheet(
    rows: Sequence[Sequence[UInt8[np.ndarray, "_ _ *_"]]],
    captions: Sequence[Sequence[str]],
    heads: Sequence[str] = (),
    tile: int = 240,
    legend: Mapping[str, Colour] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Lay images out in rows on white, each with its caption below.

    An image is scaled until its longer side is as long as a tile; small ones keep their pixels as
    squares. Captions are broken between words; what does not fit is cut.

    Args:
        rows: images, RGB or grey in [0, 255], of any sizes; rows may differ in length.
        captions: text below each image, empty for none.
        heads: titles of the columns; empty for none.
        tile: longer side of an image on the sheet, in pixels.
        legend: colour of each name at the foot; None for none.
    """
    width = max(map(len, (*rows, heads))) * (tile + GAP) + GAP
    parts = [np.asarray(_paper(width, GAP))]
    parts += [_draw_texts(heads, tile, width)] if heads else []
    for images, texts in zip(rows, captions, strict=True):
        parts += [_draw_images(images, tile, width), _draw_texts(texts, tile, width)]
    parts += [draw_legend(legend, width)] if legend else []
    return np.concatenate(parts)


def draw_legend(
    colours: Mapping[str, Colour], width: int, scale: float = 1.0
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw swatches and names, row by row, on white; of very many the first.

    Args:
        colours: of each name, in the order in which they are shown.
        width: of the legend in pixels.
        scale: size of the letters, 1 for 14 pixels.
    """
    entries: list[tuple[str, Colour | None]] = [*colours.items()]
    if len(entries) > _MOST_ENTRIES:
        entries[_MOST_ENTRIES:] = [(f"and {len(entries) - _MOST_ENTRIES} more", None)]
    line, gap = LINE * scale, GAP * scale
    left, top, placed = gap, 0.0, []
    for name, colour in entries:
        needed = line + 2 * gap + font(scale).getlength(name)
        if left > gap and left + needed > width:
            left, top = gap, top + line
        placed.append((left, top, name, colour))
        left += needed
    sheet = _paper(width, round(top + line + gap))
    draw = ImageDraw.Draw(sheet)
    for left, top, name, colour in placed:
        if colour is not None:
            box = (left, top + 2 * scale, left + 15 * scale, top + 17 * scale)
            draw.rectangle(box, colour, outline=_FRAME)
        draw.text((left + line, top + scale), name, _INK, font(scale))
    return np.asarray(sheet)


@cache
def font(scale: float = 1.0) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Return the font of captions and legends."""
    return ImageFont.load_default(_FONT_SIZE * scale)


def _fit(image: UInt8[np.ndarray, "_ _ *_"], side: int) -> UInt8[np.ndarray, "h w 3"]:
    """Scale an RGB or grey image until its longer side has so many pixels."""
    opened = Image.fromarray(image).convert("RGB")
    factor = side / max(opened.size)
    size = max(1, round(opened.width * factor)), max(1, round(opened.height * factor))
    how = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.NEAREST
    return np.asarray(opened.resize(size, how))


def _draw_images(
    images: Sequence[UInt8[np.ndarray, "_ _ *_"]], tile: int, width: int
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw images on a common base line."""
    tiles = [_fit(image, tile) for image in images]
    sheet = np.full((max(map(len, tiles)), width, 3), 255, np.uint8)
    for index, image in enumerate(tiles):
        left = GAP + index * (tile + GAP)
        sheet[-len(image) :, left : left + image.shape[1]] = image
    return sheet


def _draw_texts(texts: Sequence[str], tile: int, width: int) -> UInt8[np.ndarray, "h w 3"]:
    """Write a text below each tile."""
    broken = [_wrap(text, tile) for text in texts]
    sheet = _paper(width, LINE * max(map(len, broken), default=0) + GAP)
    draw = ImageDraw.Draw(sheet)
    for index, lines in enumerate(broken):
        for number, line in enumerate(lines):
            draw.text((GAP + index * (tile + GAP), 2 + number * LINE), line, _INK, font())
    return np.asarray(sheet)


def _wrap(text: str, width: int) -> list[str]:
    """Break a text into lines; of very many the first."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        lines.append("")
        for word in paragraph.split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and font().getlength(longer) > width:
                lines.append(_cut(word, width))
            else:
                lines[-1] = _cut(longer, width)
    return lines if len(lines) <= _MOST_LINES else [*lines[: _MOST_LINES - 1], "…"]


def _cut(text: str, width: int) -> str:
    """Cut a text in its middle until it fits: its end tells it apart."""
    shown, kept = text, len(text)
    while kept > 2 and font().getlength(shown) > width:
        kept -= 1
        shown = f"{text[: kept // 2]}…{text[-(kept - kept // 2) :]}"
    return shown


def _paper(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), (255, 255, 255))
