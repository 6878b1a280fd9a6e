"""What an augmentation drew for one sample, and the one affine map that follows from it."""

from __future__ import annotations

from math import cos, radians, sin
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

REDUCTIONS = (8, 4, 2, 1)
"""By how much an image's sides can be divided while it is decoded."""


class Window(NamedTuple):
    """A part of a resized image; all pairs are (rows, columns) in pixels of that image.

    `scaled` is the size of the whole resized image, `corner` the first pixel of the window
    (negative where the window begins before the image), `size` the window's.
    """

    scaled: tuple[int, int]
    corner: tuple[int, int]
    size: tuple[int, int]

    def inside(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return first and past-the-last pixel of what the window shows of the image."""
        (height, width), (top, left) = self.scaled, self.corner
        end = min(height, top + self.size[0]), min(width, left + self.size[1])
        return (max(0, top), max(0, left)), end


class Affine(NamedTuple):
    """Pixels of a result to pixels of its source: x' = xx x + xy y + x0, and y' likewise.

    The centre of the first pixel is (0, 0) in both, so whole numbers are centres. Plain numbers:
    numpy's calls take longer than so few sums.
    """

    xx: float
    xy: float
    x0: float
    yx: float
    yy: float
    y0: float

    def at(self, x: int, y: int) -> tuple[float, float]:
        """Return where a pixel of the result comes from, as (x, y)."""
        return self.xx * x + self.xy * y + self.x0, self.yx * x + self.yy * y + self.y0

    def to_numpy(self) -> Float64[np.ndarray, "2 3"]:
        """Return the matrix."""
        return np.array(self, np.float64).reshape(2, 3)


class Draw(NamedTuple):
    """One random decision for a sample: the window, how it is turned, and the colours' seed."""

    window: Window
    mirrored: bool = False
    degrees: float = 0.0
    """Turn about the window's centre."""
    reduction: int = 1
    """How many times smaller the image may be decoded."""
    colour_seed: int = 0

    def affine(self, size: tuple[int, int], reduction: int = 1) -> Affine:
        """Map pixels of the window to pixels of the image.

        Args:
            size: (height, width) of the image before any reduction.
            reduction: what its sides were divided by when it was decoded.
        """
        (height, width), (top, left) = self.window.size, self.window.corner
        # The window after mirror and turn about its centre, in its own pixels, ...
        angle = radians(self.degrees)
        cosine, sine = cos(angle), sin(angle)
        sign = -1 if self.mirrored else 1
        column, row = (width - 1) / 2, (height - 1) / 2
        x0 = column - sign * cosine * column + sine * row
        y0 = row - sign * sine * column - cosine * row
        # ... moved to its place, and scaled. Pixel i covers [i, i + 1): its centre is at i + 0.5.
        x_step = size[1] / self.window.scaled[1]
        y_step = size[0] / self.window.scaled[0]
        return Affine(
            sign * cosine * x_step / reduction,
            -sine * x_step / reduction,
            (x0 + left + 0.5) * x_step / reduction - 0.5,
            sign * sine * y_step / reduction,
            cosine * y_step / reduction,
            (y0 + top + 0.5) * y_step / reduction - 0.5,
        )


def reduction_for(scaled: tuple[int, int], size: tuple[int, int]) -> int:
    """Find the largest reduction that leaves an image at least as large as it is to become.

    What is left to do is then less than halving, which linear interpolation does without aliasing.

    Args:
        scaled: (height, width) that the image is to have.
        size: (height, width) of the image.
    """
    factor = max(scaled[0] / size[0], scaled[1] / size[1])
    return next(n for n in REDUCTIONS if n == 1 or n * factor <= 1)
