"""Predictions as files: palette PNGs of class indices, overlays, probabilities, uncertainty."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float16, UInt8
from PIL import Image

from parsenet.data.labels import LabelMap
from parsenet.files import write_bytes_atomically
from parsenet.inference.drawing import add_legend, blend, measure_areas
from parsenet.taxonomy import Taxonomy

_JPEG_QUALITY = 90
_PNG_LEVEL = 3


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


def _encode(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "JPEG":
        image.save(buffer, kind, quality=_JPEG_QUALITY)
    else:
        image.save(buffer, kind, compress_level=_PNG_LEVEL)
    return buffer.getvalue()
