"""Predictions as files: palette PNGs of class indices, overlays, probabilities, uncertainty."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float16, UInt8
from PIL import Image

from parsenet.data.labels import LabelMap
from parsenet.errors import ConfigError
from parsenet.files import write_bytes_atomically
from parsenet.inference.areas import measure_areas
from parsenet.inference.legend import PAPER, draw_legend, name_of
from parsenet.taxonomy import Taxonomy

_JPEG_QUALITY = 90
_PNG_LEVEL = 3
_MIN_LEGEND = 160
_LEGEND_SCALE = 900
"""Pixels of a picture's longer side for which the letters of its legend have 14."""


def write_label(path: Path, label: LabelMap, taxonomy: Taxonomy) -> None:
    """Write a label map as a palette PNG: pixel values are class indices, shown in their colours.

    This is the form of PASCAL VOC's own label files; the file appears whole or not at all. With
    more than 255 classes it is a grey PNG of 16 bits.

    Args:
        path: file to write, by custom ending in `.png`.
        label: class indices.
        taxonomy: gives the palette.
    """
    picture = Image.fromarray(label.astype(taxonomy.label_type, copy=False))
    if taxonomy.label_type == "uint8":  # a palette has no more than 256 colours
        picture.putpalette(taxonomy.pillow_palette())
    content = io.BytesIO()
    # Labels are runs of equal values: looking only for runs takes less than half of the time of
    # zlib's default, and files are a fifth larger.
    picture.save(content, "PNG", compress_type=zlib.Z_RLE)
    write_bytes_atomically(path, content.getvalue())


def write_overlay(
    path: Path,
    image: UInt8[np.ndarray, "h w 3"],
    label: LabelMap,
    taxonomy: Taxonomy,
    opacity: float = 0.5,
    legend: bool = False,
) -> None:
    """Write a picture with its label map's colours over it, as PNG or JPEG by the file's name.

    Args:
        path: file to write, ending in `.png`, `.jpg` or `.jpeg`.
        image: RGB in [0, 255].
        label: class indices.
        taxonomy: gives the colours.
        opacity: 0 shows the picture alone, 1 the colours alone.
        legend: add the names of the classes in the picture and their areas below it.
    """
    is_jpeg = path.suffix.lower() in {".jpg", ".jpeg"}
    picture = Image.fromarray(blend(image, label, taxonomy, opacity))
    if legend:
        picture = add_legend(picture, measure_areas(label), taxonomy)
    write_bytes_atomically(path, _encode(picture, "JPEG" if is_jpeg else "PNG"))


def add_legend(picture: Image.Image, areas: Mapping[int, int], taxonomy: Taxonomy) -> Image.Image:
    """Add a legend below a picture; narrow pictures get a white margin at their right.

    Args:
        picture: RGB picture.
        areas: pixels by class index, in the order in which they are shown.
        taxonomy: gives names and colours.
    """
    total = max(1, sum(areas.values()))
    entries = {
        index: f"{name_of(index, taxonomy)} {_per_cent(pixels / total)}"
        for index, pixels in areas.items()
    }
    width = max(picture.width, _MIN_LEGEND)
    # As large on a screen that shows the whole picture, however many pixels that has.
    below = draw_legend(entries, taxonomy, width, scale=max(1.0, max(picture.size) / _LEGEND_SCALE))
    sheet = Image.new("RGB", (width, picture.height + below.height), PAPER)
    sheet.paste(picture)
    sheet.paste(below, (0, picture.height))
    return sheet


def write_probabilities(
    path: Path, probabilities: Float16[np.ndarray, "k h w"], taxonomy: Taxonomy
) -> None:
    """Write probabilities as `.npz`: `probabilities` (float16), and `classes`, the names.

    Stored as it is: packing takes a second for a VOC picture and saves little.

    Args:
        path: file to write, ending in `.npz`.
        probabilities: of every class.
        taxonomy: gives the names.
    """
    content = io.BytesIO()
    np.savez(content, probabilities=probabilities, classes=np.array(taxonomy.names))
    write_bytes_atomically(path, content.getvalue())


def write_share(path: Path, values: Float[np.ndarray, "h w"]) -> None:
    """Write numbers in [0, 1], a probability or an uncertainty, as a grey PNG; 255 is 1.

    Args:
        path: file to write, ending in `.png`.
        values: numbers in [0, 1].
    """
    # Float16 cannot tell all of 0..255 apart once a half is added.
    grey = (values.astype(np.float32) * 255 + 0.5).clip(0, 255).astype(np.uint8)
    write_bytes_atomically(path, _encode(Image.fromarray(grey), "PNG"))


def blend(
    image: UInt8[np.ndarray, "h w 3"],
    label: LabelMap,
    taxonomy: Taxonomy,
    opacity: float = 0.5,
) -> UInt8[np.ndarray, "h w 3"]:
    """Lay the colours of a label map over a picture; a class drawn black leaves it as it is.

    Black is what VOC gives to background, which would only darken the picture.

    Args:
        image: RGB in [0, 255].
        label: class indices.
        taxonomy: gives the colours.
        opacity: 0 shows the picture alone, 1 the colours alone.

    Raises:
        ConfigError: the opacity is not in [0, 1].
    """
    if not 0 <= opacity <= 1:
        raise ConfigError(f"`opacity` must be in [0, 1], got {opacity}. Half and half is 0.5.")
    colours = taxonomy.colourise(label)
    mixed = Image.blend(Image.fromarray(image), Image.fromarray(colours), opacity)
    is_drawn = colours.any(axis=-1, keepdims=True)
    return np.where(is_drawn, np.asarray(mixed), image)


def _per_cent(share: float) -> str:
    return "< 0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f} %"


def _encode(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "JPEG":
        picture.save(buffer, kind, quality=_JPEG_QUALITY)
    else:
        picture.save(buffer, kind, compress_level=_PNG_LEVEL)
    return buffer.getvalue()
