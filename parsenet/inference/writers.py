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
"""Pixels of an image's longer side for which the letters of its legend have 14."""


def write_label(path: Path, label: LabelMap, taxonomy: Taxonomy) -> None:
    """Write a label map as a palette PNG: pixel values are class indices, shown in their colours.

    This is the form of PASCAL VOC's own label files; the file appears whole or not at all. With
    more than 255 classes it is a grey PNG of 16 bits.

    Args:
        path: file to write, by custom ending in `.png`.
        label: class indices.
        taxonomy: gives the palette.
    """
    image = Image.fromarray(label.astype(taxonomy.label_type, copy=False))
    if taxonomy.label_type == "uint8":  # a palette has no more than 256 colours
        image.putpalette(taxonomy.pillow_palette())
    content = io.BytesIO()
    # Labels are runs of equal values: looking only for runs takes less than half of the time of
    # zlib's default, and files are a fifth larger.
    image.save(content, "PNG", compress_type=zlib.Z_RLE)
    write_bytes_atomically(path, content.getvalue())


def write_overlay(
    path: Path,
    image: UInt8[np.ndarray, "h w 3"],
    label: LabelMap,
    taxonomy: Taxonomy,
    opacity: float = 0.5,
    legend: bool = False,
) -> None:
    """Write an image with its label map's colours over it, as PNG or JPEG by the file's name.

    Args:
        path: file to write, ending in `.png`, `.jpg` or `.jpeg`.
        image: RGB in [0, 255].
        label: class indices.
        taxonomy: gives the colours.
        opacity: 0 shows the image alone, 1 the colours alone.
        legend: add the names of the classes in the image and their areas below it.
    """
    is_jpeg = path.suffix.lower() in {".jpg", ".jpeg"}
    blended = Image.fromarray(blend(image, label, taxonomy, opacity))
    if legend:
        blended = add_legend(blended, measure_areas(label), taxonomy)
    write_bytes_atomically(path, _encode(blended, "JPEG" if is_jpeg else "PNG"))


def add_legend(image: Image.Image, areas: Mapping[int, int], taxonomy: Taxonomy) -> Image.Image:
    """Add a legend below an image; narrow images get a white margin at their right.

    Args:
        image: RGB image.
        areas: pixels by class index, in the order in which they are shown.
        taxonomy: gives names and colours.
    """
    total = max(1, sum(areas.values()))
    entries = {
        index: f"{name_of(index, taxonomy)} {_per_cent(pixels / total)}"
        for index, pixels in areas.items()
    }
    width = max(image.width, _MIN_LEGEND)
    # As large on a screen that shows the whole image, however many pixels that has.
    below = draw_legend(entries, taxonomy, width, scale=max(1.0, max(image.size) / _LEGEND_SCALE))
    sheet = Image.new("RGB", (width, image.height + below.height), PAPER)
    sheet.paste(image)
    sheet.paste(below, (0, image.height))
    return sheet


def write_probabilities(
    path: Path, probabilities: Float16[np.ndarray, "k h w"], taxonomy: Taxonomy
) -> None:
    """Write probabilities as `.npz`: `probabilities` (float16), and `classes`, the names.

    Stored as it is: packing takes a second for a VOC image and saves little.

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
    """Lay the colours of a label map over an image; a class drawn black leaves it as it is.

    Black is what VOC gives to background, which would only darken the image.

    Args:
        image: RGB in [0, 255].
        label: class indices.
        taxonomy: gives the colours.
        opacity: 0 shows the image alone, 1 the colours alone.

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


def _encode(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "JPEG":
        image.save(buffer, kind, quality=_JPEG_QUALITY)
    else:
        image.save(buffer, kind, compress_level=_PNG_LEVEL)
    return buffer.getvalue()
