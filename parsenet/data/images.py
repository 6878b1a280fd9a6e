"""Images for training: the pixels of `read_image`, sooner, and at a fraction of their size.

Plain 8-bit JPEGs are decoded by OpenCV, whose pixels equal Pillow's (both use libjpeg-turbo) in
half the time or less. A half, quarter or eighth of the sides is taken out of the file directly,
without the pixels between. Whatever is not plain goes through `read_image`.
"""

from __future__ import annotations

import io
import multiprocessing
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final, NamedTuple, final

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image

from parsenet.data.reading import read_image

_FLAGS: Final = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def _stay_in_one_thread() -> None:
    """Let this process's OpenCV work without its pool of threads.

    A forked process has the pool but none of its threads, and now and then waits for them for ever,
    also where it has asked for one thread. Zero leaves the pool out.
    """
    cv2.setNumThreads(0)


if multiprocessing.parent_process() is not None:  # a loader has its share of the cores already
    _stay_in_one_thread()
if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_stay_in_one_thread)


class Images(ABC):
    """Where the images of training come from."""

    @abstractmethod
    def read(self, path: Path, reduction: int) -> UInt8[np.ndarray, "h w 3"]:
        """Read an image as RGB, upright, its sides divided by `reduction` and rounded up.

        Pixel i of the result covers the pixels from i * reduction on. It may be read-only.

        Args:
            path: the file.
            reduction: 1, 2, 4 or 8.

        Raises:
            ImageError: the file cannot be read.
        """


@final
class FileImages(Images):
    """Images decoded from their files, every time."""

    def read(self, path: Path, reduction: int) -> UInt8[np.ndarray, "h w 3"]:
        """Decode a plain JPEG at the size asked for, anything else whole."""
        image = _decode_jpeg(path, reduction)
        return shrink(read_image(path), reduction) if image is None else image


def shrink(image: UInt8[np.ndarray, "h w 3"], reduction: int) -> UInt8[np.ndarray, "a b 3"]:
    """Average squares of `reduction` pixels a side; those over the edge repeat the last pixels."""
    if reduction == 1:
        return image
    height, width = (-(-side // reduction) for side in image.shape[:2])
    over = height * reduction - image.shape[0], width * reduction - image.shape[1]
    whole = cv2.copyMakeBorder(image, 0, over[0], 0, over[1], cv2.BORDER_REPLICATE)
    small: UInt8[np.ndarray, "a b 3"] = cv2.resize(
        whole, (width, height), interpolation=cv2.INTER_AREA
    )
    return small


class _Frame(NamedTuple):
    """What the header of a JPEG says."""

    size: tuple[int, int]
    """(height, width) as stored."""
    may_be_turned: bool
    """It has EXIF or XMP data, where an orientation may stand."""


def _decode_jpeg(path: Path, reduction: int) -> UInt8[np.ndarray, "h w 3"] | None:
    """Decode a plain JPEG; None where only `read_image` knows what to do or to say."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    frame = _read_header(data)
    if frame is None:
        return None
    orientation = _orientation(data) if frame.may_be_turned else 1
    if orientation != 1 and any(side % reduction for side in frame.size):
        return None  # the squares would begin at the other end
    flags = _FLAGS[reduction] | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        return None  # truncated
    if reduction > 1:  # for these OpenCV has no flag that asks for RGB
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
    return np.ascontiguousarray(_turn_upright(image, orientation))


def _read_header(data: bytes) -> _Frame | None:
    """Walk over a JPEG's segments to its frame; None unless it is grey or three colours, 8 bits."""
    at, may_be_turned = 2, False
    while data[:2] == b"\xff\xd8" and at + 10 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in (0xC0, 0xC1, 0xC2):  # baseline, extended, progressive
            height, width = (int.from_bytes(data[start : start + 2]) for start in (at + 5, at + 7))
            precision, num_colours = data[at + 4], data[at + 9]
            is_plain = precision == 8 and num_colours in (1, 3) and height > 0
            # Larger ones are warned of or refused by Pillow.
            if not is_plain or height * width > (Image.MAX_IMAGE_PIXELS or 0):
                return None
            return _Frame((height, width), may_be_turned)
        if not (0xE0 <= marker <= 0xEF or marker in (0xDB, 0xC4, 0xDD, 0xFE)):
            return None
        may_be_turned |= marker == 0xE1
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def _orientation(data: bytes) -> int:
    with Image.open(io.BytesIO(data)) as image:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))


def _turn_upright(
    stored: UInt8[np.ndarray, "h w 3"], orientation: int
) -> UInt8[np.ndarray, "a b 3"]:
    """Undo an EXIF orientation; numbers without a meaning change nothing, as in Pillow."""
    if orientation in (5, 6, 7, 8):
        stored = stored.transpose(1, 0, 2)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return stored[::rows, ::columns]
