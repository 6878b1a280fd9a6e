"""Image files to arrays: read right, or refused with a sentence naming the file.

Pillow reads everything. For training OpenCV decodes plain JPEGs in less time, also at a half,
quarter or eighth of the sides; its pixels are Pillow's, for both use libjpeg-turbo.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from parsenet.errors import ImageError

_PLAIN_MODES = frozenset({"1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "HSV"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
DEEP_MODES = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})
"""Pillow's modes of more than 8 bits."""

MAX_PIXELS = 178_956_970
"""Pixels above which an image is taken for a decompression bomb: where Pillow itself refuses."""
_BAND = 1024
"""Rows copied at once."""
IMAGE_SUFFIXES = (
    ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
"""Endings, in lower case, of files that are taken for images."""


def is_image(path: Path) -> bool:
    """Tell by its name whether a file is an image; hidden ones (macOS's `._a.jpg`) are none."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def read_image(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read an image as RGB in [0, 255], turned the way its EXIF orientation says.

    Grey, palette and CMYK images become RGB, transparent ones are laid over white, 16-bit grey
    is scaled to 8 bits. Of an animation the first frame is read.

    Raises:
        ImageError: the file is missing, empty, truncated, no image, or of an unknown kind.
    """
    return next(read_frames(path))


def read_reduced(path: Path, reduction: int) -> UInt8[np.ndarray, "h w 3"]:
    """Read an image as `read_image` does, its sides divided and rounded up; it needs OpenCV.

    Pixel i of the result covers the pixels from i * reduction on.

    Args:
        path: the file.
        reduction: 1, 2, 4 or 8. A JPEG is decoded at that size, without the pixels between.

    Raises:
        ImageError: the file cannot be read.
    """
    image = _decode_jpeg(path, reduction)
    return shrink(read_image(path), reduction) if image is None else image


def shrink(image: UInt8[np.ndarray, "h w 3"], reduction: int) -> UInt8[np.ndarray, "a b 3"]:
    """Average squares of `reduction` pixels a side; those over the edge repeat the last pixels."""
    if reduction == 1:
        return image
    cv2 = opencv()
    height, width = (-(-side // reduction) for side in image.shape[:2])
    over = height * reduction - image.shape[0], width * reduction - image.shape[1]
    whole = cv2.copyMakeBorder(image, 0, over[0], 0, over[1], cv2.BORDER_REPLICATE)
    small: UInt8[np.ndarray, "a b 3"] = cv2.resize(
        whole, (width, height), interpolation=cv2.INTER_AREA
    )
    return small


def read_frames(
    path: Path | str, stream: io.BytesIO | None = None, max_pixels: int = MAX_PIXELS
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Read one frame of an animation (or page of a TIFF) after another, each as `read_image` does.

    Pillow's own limit, `Image.MAX_IMAGE_PIXELS`, holds as well; `lift_pillow_limit` lifts it.

    Args:
        path: file to read; with a stream only what messages call it.
        stream: encoded image that is in memory already.
        max_pixels: larger images are refused before they are decoded.

    Raises:
        ImageError: as `read_image`, or the image is too large.
    """
    with opened(path, stream) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise ImageError(
                f"'{path}' must have at most {max_pixels} pixels, got {width} x {height}. If it is "
                f"no decompression bomb, allow it: `--max-pixels {width * height}`."
            )
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            yield _to_array(image, path)


def _to_array(image: Image.Image, path: Path | str) -> UInt8[np.ndarray, "h w 3"]:
    """Turn an opened image upright, and make it RGB."""
    image.load()  # some formats tell the orientation behind the pixels
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:  # else it would copy all the same
        image = ImageOps.exif_transpose(image)
    image = _to_rgb(image, path)
    if image.height <= _BAND:
        return np.array(image)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _BAND):  # without the whole as `bytes` in between
        bottom = min(top + _BAND, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels


def read_size(path: Path | str, stream: io.BytesIO | None = None) -> tuple[int, int]:
    """Return (height, width) of an image as `read_frames` gives it, without decoding it.

    Raises:
        ImageError: the file is missing, empty, no image, or of an unknown kind.
    """
    with opened(path, stream) as image:
        width, height = image.size
        # A PNG's own `getexif` decodes it, for the orientation may stand behind the pixels.
        is_turned = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1) >= 5
        return (width, height) if is_turned else (height, width)


@contextmanager
def lift_pillow_limit() -> Iterator[None]:
    """Let only `max_pixels` decide what is too large; Pillow's limit holds for all threads."""
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


@contextmanager
def opened(path: Path | str, stream: io.BytesIO | None = None) -> Iterator[ImageFile.ImageFile]:
    """Open an image and turn every way Pillow can fail on it into one `ImageError`."""
    try:
        if stream is None and Path(path).stat().st_size == 0:
            raise ImageError(f"'{path}' must be an image, got an empty file. Copy it again.")
        with Image.open(stream or path) as image:
            yield image
    except FileNotFoundError:
        raise ImageError(f"The image '{path}' must exist. Check the path.") from None
    except UnidentifiedImageError:
        raise ImageError(
            f"'{path}' must be an image, got a file that Pillow does not know. Convert it to PNG "
            "or JPEG."
        ) from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"'{path}' must be smaller. {error}") from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        # Truncated and damaged files end here; which of these is raised depends on the format.
        raise ImageError(
            f"'{path}' must be a whole image, got '{error}'. Copy or export it again."
        ) from None


def _to_rgb(image: Image.Image, path: Path | str) -> Image.Image:
    if image.mode in DEEP_MODES:
        values = np.array(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ImageError(
                f"'{path}' must hold 16-bit values, got {values.min()} to {values.max()}. Scale it "
                "to 0..65535 or to 8 bits."
            )
        # 257 maps 65535 on 255 exactly; the 128 rounds.
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(white, coloured).convert("RGB")
    if image.mode in _PLAIN_MODES:
        return image if image.mode == "RGB" else image.convert("RGB")
    raise ImageError(
        f"'{path}' must be grey, RGB, RGBA, CMYK, palette or 16-bit grey, got Pillow mode "
        f"'{image.mode}'. Convert it to an 8-bit PNG."
    )


@cache
def opencv() -> Any:  # noqa: ANN401 - it has no types
    """Import OpenCV, and keep it to one thread in loader processes, which share the cores already.

    A forked process has OpenCV's pool but none of its threads, and now and then waits for them for
    ever, also where it has asked for one thread. Zero leaves the pool out.
    """
    import cv2

    if multiprocessing.parent_process() is not None:
        cv2.setNumThreads(0)
    if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
        os.register_at_fork(after_in_child=lambda: cv2.setNumThreads(0))
    return cv2


def _decode_jpeg(path: Path, reduction: int) -> UInt8[np.ndarray, "h w 3"] | None:
    """Decode a plain JPEG; None where only `read_image` knows what to do or to say."""
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            is_plain = image.format == "JPEG" and image.mode in {"L", "RGB"}
            if not is_plain or image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
                return None
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError):
        return None
    cv2 = opencv()
    flag = getattr(cv2, f"IMREAD_REDUCED_COLOR_{reduction}", cv2.IMREAD_COLOR_RGB)
    pixels: UInt8[np.ndarray, "h w 3"] | None
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is not None and reduction > 1:  # for these OpenCV has no flag that asks for RGB
        cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
    return pixels  # None for a truncated file
