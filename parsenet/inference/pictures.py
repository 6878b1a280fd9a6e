"""Pictures that show what a network does: picture, truth and prediction side by side."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from parsenet.inference.writers import blend
from parsenet.taxonomy import VOID_COLOUR, Taxonomy

_GAP = 8
_LINE = 22
_FONT_SIZE = 14
_MIN_PANEL = 160
_MAX_PANEL = 480
_TEXT = (30, 32, 36)
_PAPER = (255, 255, 255)


def draw_sample(
    image: UInt8[np.ndarray, "h w 3"],
    truth: UInt8[np.ndarray, "h w"],
    prediction: UInt8[np.ndarray, "h w"],
    taxonomy: Taxonomy,
) -> Image.Image:
    """Draw picture, truth and prediction side by side over a legend of the classes in them.

    Pixels that are void in the truth are drawn so in the prediction too: they do not count.

    Args:
        image: RGB in [0, 255].
        truth: class indices, or void.
        prediction: class indices.
        taxonomy: gives names and colours.
    """
    shown = np.where(truth == taxonomy.void, truth, prediction)
    panels = {
        "picture": image,
        "truth": blend(image, truth, taxonomy, 0.75),
        "prediction": blend(image, shown, taxonomy, 0.75),
    }
    size = _panel_size(image.shape[:2])
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
