"""Label maps as files: palette PNGs that hold class indices, and overlays to look at."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from parsenet.errors import ConfigError
from parsenet.files import write_bytes_atomically
from parsenet.taxonomy import Taxonomy

_JPEG_QUALITY = 90


def write_label(path: Path, label: UInt8[np.ndarray, "h w"], taxonomy: Taxonomy) -> None:
    """Write a label map as a palette PNG: pixel values are class indices, shown in their colours.

    This is the form of PASCAL VOC's own label files; the file appears whole or not at all.

    Args:
        path: file to write, by custom ending in `.png`.
        label: class indices.
        taxonomy: gives the palette.
    """
    picture = Image.fromarray(label)
    picture.putpalette(taxonomy.pillow_palette())
    write_bytes_atomically(path, _encode(picture, "PNG"))


def write_overlay(
    path: Path,
    image: UInt8[np.ndarray, "h w 3"],
    label: UInt8[np.ndarray, "h w"],
    taxonomy: Taxonomy,
    opacity: float = 0.5,
) -> None:
    """Write a picture with its label map's colours over it, as PNG or JPEG by the file's name.

    Args:
        path: file to write, ending in `.png`, `.jpg` or `.jpeg`.
        image: RGB in [0, 255].
        label: class indices.
        taxonomy: gives the colours.
        opacity: 0 shows the picture alone, 1 the colours alone.
    """
    is_jpeg = path.suffix.lower() in {".jpg", ".jpeg"}
    picture = Image.fromarray(blend(image, label, taxonomy, opacity))
    write_bytes_atomically(path, _encode(picture, "JPEG" if is_jpeg else "PNG"))


def blend(
    image: UInt8[np.ndarray, "h w 3"],
    label: UInt8[np.ndarray, "h w"],
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


def _encode(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "JPEG":
        picture.save(buffer, kind, quality=_JPEG_QUALITY)
    else:
        picture.save(buffer, kind)
    return buffer.getvalue()
