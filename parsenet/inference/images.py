"""Images that show what a network does: image, truth and prediction side by side."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from parsenet.data.labels import LabelMap
from parsenet.files import write_bytes_atomically
from parsenet.inference.legend import GAP, LINE, PAPER, TEXT, draw_legend, font, name_of
from parsenet.inference.writers import blend
from parsenet.taxonomy import Taxonomy

_MIN_PANEL = 160
_MAX_PANEL = 480

Triple: TypeAlias = tuple[UInt8[np.ndarray, "h w 3"] | None, LabelMap, LabelMap]
"""Image where there is one, truth and prediction."""


def draw_sample(
    image: UInt8[np.ndarray, "h w 3"] | None,
    truth: LabelMap,
    prediction: LabelMap,
    taxonomy: Taxonomy,
) -> Image.Image:
    """Draw image, truth and prediction side by side over a legend of the classes in them.

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
        panels = {"image": image}
        panels |= {title: blend(image, x, taxonomy, 0.75) for title, x in labels.items()}
    size = _panel_size((truth.shape[0], truth.shape[1]))
    present = [int(value) for value in np.union1d(truth, shown)]
    width = len(panels) * (size[0] + GAP) + GAP
    legend = draw_legend({value: name_of(value, taxonomy) for value in present}, taxonomy, width)
    bottom = LINE + size[1] + GAP
    sheet = Image.new("RGB", (width, bottom + legend.height + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, (title, pixels) in enumerate(panels.items()):
        left = GAP + index * (size[0] + GAP)
        draw.text((left, 4), title, TEXT, font())
        sheet.paste(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS), (left, LINE))
    sheet.paste(legend, (0, bottom))
    return sheet


def write_worst(
    out_dir: Path,
    worst: Sequence[tuple[str, float]],
    read: Callable[[str], Triple],
    taxonomy: Taxonomy,
) -> None:
    """Draw the images that scored worst; images of an earlier scoring are removed.

    Args:
        out_dir: folder; files are named after rank, id and mean IoU in per cent.
        worst: ids and mean IoU, worst first.
        read: gives image, truth and prediction of an id.
        taxonomy: gives names and colours.
    """
    for old in out_dir.glob("*.png"):
        old.unlink()
    for rank, (name, iou) in enumerate(worst, start=1):
        path = out_dir / f"{rank:02d}_{name.replace('/', '_')}_iou_{100 * iou:.2f}.png"
        write_image(path, draw_sample(*read(name), taxonomy))


def write_image(path: Path, image: Image.Image) -> None:
    """Write an image as PNG, whole or not at all."""
    content = io.BytesIO()
    image.save(content, "PNG")
    write_bytes_atomically(path, content.getvalue())


def _panel_size(shape: tuple[int, int]) -> tuple[int, int]:
    """Choose (width, height) of a panel: native where the longer side is of a handy length."""
    longer = max(shape)
    factor = min(max(longer, _MIN_PANEL), _MAX_PANEL) / longer
    return max(1, round(shape[1] * factor)), max(1, round(shape[0] * factor))
