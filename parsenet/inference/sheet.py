"""Contact sheets: small overlays of all images of a run, page by page."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from parsenet.data.labels import LabelMap
from parsenet.files import write_bytes_atomically
from parsenet.inference.drawing import (
    GAP,
    LINE,
    PAPER,
    TEXT,
    blend,
    draw_legend,
    font,
    name_of,
    write_image,
)
from parsenet.taxonomy import Taxonomy

THUMBNAIL = 240
"""Pixels of a thumbnail's longer side."""

_COLUMNS = 5
_ROWS = 6
_QUALITY = 88


def write_thumbnail(
    path: Path,
    image: UInt8[np.ndarray, "h w 3"],
    label: LabelMap,
    taxonomy: Taxonomy,
    opacity: float,
) -> None:
    """Write an image with its labels, small; pages are made of them at the end of a run.

    Args:
        path: JPEG to write.
        image: RGB in [0, 255].
        label: class indices.
        taxonomy: gives the colours.
        opacity: 0 shows the image alone, 1 the colours alone.
    """
    factor = min(1.0, THUMBNAIL / max(label.shape))
    size = tuple(max(1, round(side * factor)) for side in reversed(label.shape))
    small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    classes = np.asarray(Image.fromarray(label).resize(size, Image.Resampling.NEAREST))
    content = io.BytesIO()
    blended = Image.fromarray(blend(small, classes, taxonomy, opacity))
    blended.save(content, "JPEG", quality=_QUALITY)
    write_bytes_atomically(path, content.getvalue())


def write_sheets(out_dir: Path, entries: Iterable[Mapping[str, Any]], taxonomy: Taxonomy) -> None:
    """Lay thumbnails out on pages of thirty, `sheet/01.png` and so on; older pages are removed.

    Args:
        out_dir: folder of the results, with `thumbnails`.
        entries: lines of the journal, in order; those without a thumbnail are left out.
        taxonomy: gives names and colours.
    """
    thumbnails: list[tuple[str, Path]] = []
    present: set[int] = set()
    for entry in entries:
        path = out_dir / "thumbnails" / f"{entry['name']}.jpg"
        if path.exists():
            thumbnails.append((entry["name"], path))
            present |= {int(index) for index in entry["areas"]}
    for old in (out_dir / "sheet").glob("*.png"):
        old.unlink()
    page = _COLUMNS * _ROWS
    digits = max(2, len(str(-(-len(thumbnails) // page))))
    for number, first in enumerate(range(0, len(thumbnails), page), start=1):
        sheet = _draw_page(thumbnails[first : first + page], present, taxonomy)
        write_image(out_dir / "sheet" / f"{number:0{digits}d}.png", sheet)


def _draw_page(
    thumbnails: Sequence[tuple[str, Path]], present: set[int], taxonomy: Taxonomy
) -> Image.Image:
    columns = min(_COLUMNS, len(thumbnails))
    rows = [thumbnails[first : first + columns] for first in range(0, len(thumbnails), columns)]
    bands = [_draw_row(row, columns) for row in rows]
    entries = {index: name_of(index, taxonomy) for index in sorted(present)}
    bands.append(draw_legend(entries, taxonomy, bands[0].width))
    sheet = Image.new("RGB", (bands[0].width, GAP + sum(band.height for band in bands)), PAPER)
    top = GAP
    for band in bands:
        sheet.paste(band, (0, top))
        top += band.height
    return sheet


def _draw_row(thumbnails: Sequence[tuple[str, Path]], columns: int) -> Image.Image:
    """Draw thumbnails side by side, as high as the highest, with their titles below."""
    images = []
    for _, path in thumbnails:
        with Image.open(path) as stored:
            images.append(stored.convert("RGB"))
    height = max(image.height for image in images)
    row = Image.new("RGB", (columns * (THUMBNAIL + GAP) + GAP, height + LINE + GAP), PAPER)
    draw = ImageDraw.Draw(row)
    for index, (title, _) in enumerate(thumbnails):
        left, image = GAP + index * (THUMBNAIL + GAP), images[index]
        row.paste(image, (left + (THUMBNAIL - image.width) // 2, height - image.height))
        draw.text((left, height + 2), _shorten(title), TEXT, font())
    return row


def _shorten(title: str) -> str:
    """Cut a title in its middle, so that it fits under its thumbnail; its end tells it apart."""
    if font().getlength(title) <= THUMBNAIL:
        return title
    kept = len(title)
    while kept > 2 and font().getlength(_cut(title, kept)) > THUMBNAIL:
        kept -= 1
    return _cut(title, kept)


def _cut(title: str, kept: int) -> str:
    return f"{title[: kept // 2]}…{title[-(kept - kept // 2) :]}"
