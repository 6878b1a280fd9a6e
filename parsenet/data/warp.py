"""A drawn window cut out of an image and its label, every pixel interpolated once."""

from __future__ import annotations

from math import ceil, floor
from typing import Final, final

import cv2
import numpy as np
from jaxtyping import Float64, UInt, UInt8

from parsenet.data.draw import Draw
from parsenet.data.labels import LabelMap

PAD_COLOUR: Final = (123, 117, 104)
"""RGB beyond the image's end: ImageNet's mean colour, near zero after every preprocessing."""

_MARGIN: Final = 2
"""Pixels around the needed region that interpolation may look at."""


@final
class Warp:
    """What a draw does to an image of one size and to its label.

    Without a turn only the pixels that show the image are interpolated, and the rest is padding;
    a window of unchanged size is copied. A turned window is interpolated as a whole, with padding
    wherever it leaves the image.

    Args:
        draw: what was drawn.
        size: (height, width) of the label, which is that of the image before any reduction.
    """

    def __init__(self, draw: Draw, size: tuple[int, int]) -> None:
        self._draw = draw
        self._size = size
        window = draw.window
        (top, left), (bottom, right) = window.inside()
        self._is_copy = window.scaled == size and not draw.degrees and draw.reduction == 1
        self._source = slice(top, bottom), slice(left, right)
        rows = top - window.corner[0], bottom - window.corner[0]
        columns = left - window.corner[1], right - window.corner[1]
        if draw.degrees:
            rows, columns = (0, window.size[0]), (0, window.size[1])
        elif draw.mirrored:
            columns = window.size[1] - columns[1], window.size[1] - columns[0]
        self._rows, self._columns = rows, columns

    def image(self, pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "3 a b"]:
        """Cut the window out of an image of the draw's reduction; linear between pixels.

        Returns:
            The three planes, one after the other, as tensors have them.
        """
        planes = np.empty((3, *self._draw.window.size), np.uint8)
        if self._leaves_padding():
            planes[:] = np.array(PAD_COLOUR, np.uint8)[:, None, None]
        inner = self._copy(pixels) if self._is_copy else self._warp_image(pixels)
        planes[:, slice(*self._rows), slice(*self._columns)] = inner.transpose(2, 0, 1)
        return planes

    def label(self, label: LabelMap, void: int) -> UInt[np.ndarray, "a b"]:
        """Cut the window out of a label; the nearest pixel."""
        out = np.empty(self._draw.window.size, label.dtype)
        if self._leaves_padding():
            out[:] = void
        if self._is_copy:
            inner = self._copy(label)
        else:
            region, matrix = self._region(label, 1)
            inner = self._interpolate(region, matrix, cv2.INTER_NEAREST, (void,))
        out[slice(*self._rows), slice(*self._columns)] = inner
        return out

    def _leaves_padding(self) -> bool:
        shown = self._rows[1] - self._rows[0], self._columns[1] - self._columns[0]
        return shown != self._draw.window.size

    def _copy(self, image: np.ndarray) -> np.ndarray:
        part = image[self._source]
        return part[:, ::-1] if self._draw.mirrored else part

    def _warp_image(self, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "a b 3"]:
        region, matrix = self._region(image, self._draw.reduction)
        # With a fourth channel a pixel is a machine word, and OpenCV takes half the time.
        padded = cv2.cvtColor(region, cv2.COLOR_RGB2RGBA)
        return self._interpolate(padded, matrix, cv2.INTER_LINEAR, (*PAD_COLOUR, 255))[..., :3]

    def _region(
        self, image: np.ndarray, reduction: int
    ) -> tuple[np.ndarray, Float64[np.ndarray, "2 3"]]:
        """Return the part of an image that is needed, and the way there from the result."""
        affine = self._draw.affine(self._size, reduction)
        (top, bottom), (left, right) = self._rows, self._columns
        x0, y0 = affine.at(left, top)
        corners = [affine.at(x, y) for x in (left, right - 1) for y in (top, bottom - 1)]
        columns = _reach([corner[0] for corner in corners], image.shape[1])
        rows = _reach([corner[1] for corner in corners], image.shape[0])
        affine = affine._replace(x0=x0 - columns.start, y0=y0 - rows.start)
        return image[rows, columns], affine.to_numpy()

    def _interpolate(
        self,
        region: np.ndarray,
        matrix: Float64[np.ndarray, "2 3"],
        interpolation: int,
        fill: tuple[int, ...],
    ) -> np.ndarray:
        size = self._columns[1] - self._columns[0], self._rows[1] - self._rows[0]
        border = cv2.BORDER_CONSTANT if self._draw.degrees else cv2.BORDER_REPLICATE
        flags = interpolation | cv2.WARP_INVERSE_MAP
        warped: np.ndarray = cv2.warpAffine(
            region, matrix, size, flags=flags, borderMode=border, borderValue=fill
        )
        return warped


def _reach(ends: list[float], limit: int) -> slice:
    """Return the pixels that interpolation between those positions looks at, at least one."""
    begin = min(max(floor(min(ends)) - _MARGIN, 0), limit - 1)
    return slice(begin, max(min(ceil(max(ends)) + _MARGIN + 1, limit), begin + 1))
