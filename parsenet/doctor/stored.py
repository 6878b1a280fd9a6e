"""What a label file stores, before anything is made of it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Integer
from PIL import Image

from parsenet.data.reading import GREY_STEPS, raw_mode
from parsenet.taxonomy import Colour

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
"""What Pillow raises on damaged files; which of them depends on the format."""

_COLOURED = frozenset({"RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "LA", "PA"})


class Header(NamedTuple):
    """What an image file says about itself."""

    format: str
    mode: str
    size: tuple[int, int]
    """(height, width) as stored."""
    orientation: int
    """EXIF's number, 1 for upright."""
    palette: tuple[Colour, ...]
    """Colours of mode P, empty for others and for ramps of grey, which mean nothing."""

    @property
    def is_coloured(self) -> bool:
        """Whether a pixel is a colour, not a number."""
        return self.mode in _COLOURED


def read_header(path: Path) -> Header | None:
    """Read the header of an image file; None where Pillow cannot."""
    try:
        with Image.open(path) as image:
            # Pillow decodes a whole PNG to look for EXIF behind its pixels.
            has_exif = image.format != "PNG" or "exif" in image.info
            orientation = int(image.getexif().get(0x0112, 1)) if has_exif else 1
            return Header(
                image.format or "",
                image.mode,
                (image.height, image.width),
                orientation if 1 <= orientation <= 8 else 1,
                _palette(image),
            )
    except _BROKEN:
        return None


def read_stored(path: Path) -> Integer[np.ndarray, "h w"] | None:
    """Read the numbers of a label file; colours as 65536 r + 256 g + b. None where it is broken."""
    try:
        with Image.open(path) as image:
            step = GREY_STEPS.get(raw_mode(image), 1)
            if image.mode in _COLOURED:
                colours = np.asarray(image.convert("RGB")).astype(np.int64)
                return (colours[..., 0] << 16) + (colours[..., 1] << 8) + colours[..., 2]
            values = np.array(image)
    except _BROKEN:
        return None
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    return values // step if np.issubdtype(values.dtype, np.integer) else None


def colour_of(code: int) -> Colour:
    """Take apart what `read_stored` made of a colour."""
    return (code >> 16, code >> 8 & 255, code & 255)


def _palette(image: Image.Image) -> tuple[Colour, ...]:
    flat = image.getpalette() if image.mode == "P" else None
    if not flat:
        return ()
    colours = [(r, g, b) for r, g, b in zip(flat[::3], flat[1::3], flat[2::3], strict=True)]
    if all(r == g == b for r, g, b in colours):
        return ()
    return tuple(colours)
