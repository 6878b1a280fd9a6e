"""What people look at: pages of HTML from templates, and contact sheets of images.

A page is one file that needs no other and no network. Its template lies in `templates/` beside this
file and extends `base.html.j2`, which has the only lines of style; `parts.html.j2` has the macros
`table` and `legend`.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from textwrap import wrap

import numpy as np
from jaxtyping import UInt8
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image, ImageDraw, ImageFont

from parsenet.taxonomy import Colour

GAP, LINE = 8, 20
"""Pixels between the images of a sheet, and of a line of text."""

_INK, _FRAME, _LETTER = (30, 32, 36), (160, 160, 160), 7
_MOST_LINES, _MOST_ENTRIES = 6, 60


def render_page(template: str, **values: object) -> str:
    """Fill in a template such as `run.html.j2`; on a page all but `svg_element` is escaped.

    Args:
        template: name of its file.
        **values: `title`, and what else its names stand for; one without a value is an error.
    """
    environment = Environment(
        loader=PackageLoader("parsenet.reports"),
        autoescape=lambda name: not (name or "").endswith(".md.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)


def image_uri(image: Path | UInt8[np.ndarray, "_ _ *_"]) -> str:
    """Inline a file, or RGB or grey in [0, 255], as JPEG, which has a tenth of the PNG's bytes."""
    content = io.BytesIO()
    with Image.open(image) if isinstance(image, Path) else Image.fromarray(image) as opened:
        opened.convert("RGB").save(content, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()


def contact_sheet(
    rows: Sequence[Sequence[UInt8[np.ndarray, "_ _ *_"]]],
    captions: Sequence[Sequence[str]],
    heads: Sequence[str] = (),
    tile: int = 240,
    legend: Mapping[str, Colour] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Lay images out in rows on white, each with its caption below.

    An image is scaled until its longer side is as long as a tile; small ones keep their pixels as
    squares. Captions are broken into lines; what does not fit is cut.

    Args:
        rows: images, RGB or grey in [0, 255], of any sizes; rows may differ in length.
        captions: text below each image, empty for none.
        heads: titles of the columns; empty for none.
        tile: longer side of an image on the sheet, in pixels.
        legend: colour of each name at the foot; None for none.
    """
    width = max(map(len, (*rows, heads))) * (tile + GAP) + GAP
    bands = [_draw_texts(heads, tile)] if heads else []
    for images, texts in zip(rows, captions, strict=True):
        bands += [[_fit(image, tile) for image in images], _draw_texts(texts, tile)]
    parts = [np.asarray(_paper(width, GAP))]
    for band in bands:
        sheet = _paper(width, max(part.height for part in band))
        for column, part in enumerate(band):  # on a common base line
            sheet.paste(part, (GAP + column * (tile + GAP), sheet.height - part.height))
        parts.append(np.asarray(sheet))
    return np.concatenate([*parts, draw_legend(legend, width)] if legend else parts)


def draw_legend(
    colours: Mapping[str, Colour], width: int, scale: float = 1.0
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw swatches and names, row by row, on white; of very many the first.

    Args:
        colours: of each name, in the order in which they are shown.
        width: of the legend in pixels.
        scale: size of the letters, 1 for 14 pixels.
    """
    entries = [*colours.items()]
    if len(entries) > _MOST_ENTRIES:
        entries[_MOST_ENTRIES:] = [(f"and {len(entries) - _MOST_ENTRIES} more", (255, 255, 255))]
    line, gap, font = LINE * scale, GAP * scale, _font(scale)
    places, left, top = [], gap, 0.0
    for name, _ in entries:
        needed = line + 2 * gap + font.getlength(name)
        if left > gap and left + needed > width:
            left, top = gap, top + line
        places.append((left, top))
        left += needed
    sheet = _paper(width, round(top + line + gap))
    draw = ImageDraw.Draw(sheet)
    for (left, top), (name, colour) in zip(places, entries, strict=True):
        box = (left, top + 2 * scale, left + 15 * scale, top + 17 * scale)
        draw.rectangle(box, colour, outline=_FRAME)
        draw.text((left + line, top + scale), name, _INK, font)
    return np.asarray(sheet)


@cache
def _font(scale: float = 1.0) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(14 * scale)


def _fit(image: UInt8[np.ndarray, "_ _ *_"], side: int) -> Image.Image:
    """Scale an RGB or grey image until its longer side has so many pixels."""
    opened = Image.fromarray(image).convert("RGB")
    factor = side / max(opened.size)
    size = max(1, round(opened.width * factor)), max(1, round(opened.height * factor))
    how = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.NEAREST
    return opened.resize(size, how)


def _draw_texts(texts: Sequence[str], tile: int) -> list[Image.Image]:
    """Draw texts as wide as a tile and as high as the longest of them."""
    broken = [
        [part for line in text.splitlines() for part in wrap(line, tile // _LETTER)][:_MOST_LINES]
        for text in texts
    ]
    height = LINE * max(map(len, broken), default=0) + GAP
    papers = [_paper(tile, height) for _ in texts]
    for paper, lines in zip(papers, broken, strict=True):
        for number, line in enumerate(lines):
            ImageDraw.Draw(paper).text((0, 2 + number * LINE), line, _INK, _font())
    return papers


def _paper(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), (255, 255, 255))
