"""Pictures that show what a network does: picture, truth and prediction side by side."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from parsenet.files import write_bytes_atomically
from parsenet.inference.writers import blend
from parsenet.taxonomy import VOID_COLOUR, Taxonomy

_GAP = 8
_LINE = 22
_FONT_SIZE = 14
_MIN_PANEL = 160
_MAX_PANEL = 480
_TEXT = (30, 32, 36)
_PAPER = (255, 255, 255)


Triple: TypeAlias = tuple[
    UInt8[np.ndarray, "h w 3"] | None, UInt8[np.ndarray, "h w"], UInt8[np.ndarray, "h w"]
]
"""Picture where there is one, truth and prediction."""


def draw_sample(
    image: UInt8[np.ndarray, "h w 3"] | None,
    truth: UInt8[np.ndarray, "h w"],
    prediction: UInt8[np.ndarray, "h w"],
    taxonomy: Taxonomy,
) -> Image.Image:
    """Draw picture, truth and prediction side by side over a legend of the classes in them.

    Pixels that are void in the truth are drawn so in the prediction too: they do not count.

    Args:
        image: RGB in [0, 255]; None draws the labels alone.
        truth: class indices, or void.
        prediction: class indices.
        taxonomy: gives names and colours.
    """
    shown = np.where(truth == taxonomy.void, truth, prediction)
    labels = {"truth": truth, "prediction": shown}
    if image is None:
        panels = {title: taxonomy.colourise(label) for title, label in labels.items()}
    else:
        panels = {"picture": image}
        panels |= {title: blend(image, x, taxonomy, 0.75) for title, x in labels.items()}
    size = _panel_size((truth.shape[0], truth.shape[1]))
    present = [int(value) for value in np.union1d(truth, shown)]
    width = len(panels) * (size[0] + _GAP) + _GAP
    legend = _place_legend(present, taxonomy, width)
    height = _LINE + size[1] + _GAP + _LINE * (1 + max(row for _, row, _ in legend)) + _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, (title, pixels) in enumerate(panels.items()):
        left = _GAP + index * (size[0] + _GAP)
        draw.text((left, 4), title, _TEXT, _font())
        sheet.paste(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS), (left, _LINE))
    for left, row, value in legend:
        _draw_entry(draw, (left, _LINE + size[1] + _GAP + row * _LINE), value, taxonomy)
    return sheet


def write_worst(
    out_dir: Path,
    worst: Sequence[tuple[str, float]],
    read: Callable[[str], Triple],
    taxonomy: Taxonomy,
) -> None:
    """Draw the pictures that scored worst; pictures of an earlier scoring are removed.

    Args:
        out_dir: folder; files are named after rank, id and mean IoU in per cent.
        worst: ids and mean IoU, worst first.
        read: gives picture, truth and prediction of an id.
        taxonomy: gives names and colours.
    """
    for old in out_dir.glob("*.png"):
        old.unlink()
    for rank, (name, iou) in enumerate(worst, start=1):
        path = out_dir / f"{rank:02d}_{name.replace('/', '_')}_iou_{100 * iou:.2f}.png"
        write_picture(path, draw_sample(*read(name), taxonomy))


def write_picture(path: Path, picture: Image.Image) -> None:
    """Write a picture as PNG, whole or not at all."""
    content = io.BytesIO()
    picture.save(content, "PNG")
    write_bytes_atomically(path, content.getvalue())


def _panel_size(shape: tuple[int, int]) -> tuple[int, int]:
    """Choose (width, height) of a panel: native where the longer side is of a handy length."""
    longer = max(shape)
    factor = min(max(longer, _MIN_PANEL), _MAX_PANEL) / longer
    return max(1, round(shape[1] * factor)), max(1, round(shape[0] * factor))


def _place_legend(values: list[int], taxonomy: Taxonomy, width: int) -> list[tuple[int, int, int]]:
    """Break the legend into rows: (left, row, class index) of every entry."""
    left, row = _GAP, 0
    entries = []
    for value in values:
        needed = _LINE + round(_font().getlength(_name(value, taxonomy))) + 2 * _GAP
        if left > _GAP and left + needed > width:
            left, row = _GAP, row + 1
        entries.append((left, row, value))
        left += needed
    return entries


def _draw_entry(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], value: int, taxonomy: Taxonomy
) -> None:
    left, top = at
    colour = VOID_COLOUR if value == taxonomy.void else taxonomy.palette[value]
    draw.rectangle((left, top + 3, left + 15, top + 18), colour, outline=(160, 160, 160))
    draw.text((left + _LINE, top + 2), _name(value, taxonomy), _TEXT, _font())


def _name(value: int, taxonomy: Taxonomy) -> str:
    return "void" if value == taxonomy.void else taxonomy.names[value]


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(_FONT_SIZE)
