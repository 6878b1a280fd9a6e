"""Huge images without copies: Pillow holds four bytes a pixel, and hands out six more."""

from __future__ import annotations

import os
import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageFile

HUGE = 2**25
"""Pixels above which the memory of copies matters more than anything else."""

_BAND = 2**22
"""Pixels copied at once."""

_TAIL = 1024
"""Bytes at the end of a JPEG in which its end is looked for; cameras write some after it."""


def decode_huge(image: ImageFile.ImageFile, path: Path) -> UInt8[np.ndarray, "h w 3"] | None:
    """Decode a plain RGB file of JPEG or PNG into the array alone, where OpenCV is installed.

    The pixels are those that Pillow gives: both use libjpeg-turbo and libpng.

    Args:
        image: the file as Pillow opened it, not loaded.
        path: the file.

    Returns:
        RGB values, or None where the image is of any other kind, has an EXIF orientation, or
        is damaged (OpenCV would fill up what is missing): Pillow then reads it, or says how.
    """
    if image.mode != "RGB" or "transparency" in image.info or find_spec("cv2") is None:
        return None
    is_plain = {"JPEG": _is_plain_jpeg, "PNG": _is_plain_png}.get(image.format or "")
    if is_plain is None or not is_plain(image, path):
        return None
    import cv2

    pixels: UInt8[np.ndarray, "h w 3"] | None = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None or pixels.shape != (image.height, image.width, 3):
        return None
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        band = pixels[top : top + rows]
        band[:] = band[..., ::-1].copy()  # OpenCV's order is BGR
    return pixels


def copy_pixels(image: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """Copy an RGB image to an array in bands, without the whole as `bytes` in between.

    Args:
        image: of mode RGB.
    """
    if image.width * image.height <= HUGE:
        return np.array(image)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        band = image.crop((0, top, image.width, bottom))
        pixels[top:bottom] = np.asarray(band)
    return pixels


def _is_plain_jpeg(image: ImageFile.ImageFile, path: Path) -> bool:
    """Tell whether nothing has to be turned, and the file has its end."""
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        return False
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL), os.SEEK_SET)
        return b"\xff\xd9" in file.read()


def _is_plain_png(image: ImageFile.ImageFile, path: Path) -> bool:
    """Tell whether it is 8-bit RGB, has its end, and nothing has to be turned."""
    # Pillow calls PNGs of 16 bits per channel RGB as well, and would decode before giving EXIF.
    chunks = _list_chunks(path)
    return image.tile[0][3] == "RGB" and b"IEND" in chunks and b"eXIf" not in chunks


def _list_chunks(path: Path) -> set[bytes]:
    """List the kinds of the chunks in a PNG."""
    kinds = set()
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            kinds.add(kind)
            file.seek(length + 4, os.SEEK_CUR)
    return kinds
