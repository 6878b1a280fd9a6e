"""Synthetic images in which only the scene tells the class: for demos, tests and smoke runs."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias, final

import numpy as np
from jaxtyping import Float, UInt8

from parsenet.data.base import SegmentationDataset
from parsenet.data.lists import refuse_split
from parsenet.data.sample import Sample, Transform
from parsenet.errors import ConfigError
from parsenet.taxonomy import SHAPES

CUE_RADIUS: Final = 11
"""Radius in pixels of the disc that holds the sun or the moon's crescent."""

CUE_DISTANCE: Final = 40
"""Least distance in pixels from the cue's disc to any pixel of an object."""

_CUE_MARGIN: Final = 3
_NUM_TRIES: Final = 40

_Plane: TypeAlias = Float[np.ndarray, "h w"]
_Canvas: TypeAlias = Float[np.ndarray, "h w 3"]


class _Object(NamedTuple):
    """A disc or a turned square: half its width, the turn in radians, and its centre."""

    radius: float
    angle: float
    is_square: bool
    row: float = 0.0
    column: float = 0.0

    @property
    def reach(self) -> float:
        """Distance of its farthest pixel from the centre."""
        return self.radius * (2**0.5 if self.is_square else 1.0)

    def gap(self, row: float, column: float) -> float:
        """Distance in pixels from a point to the circle around the object."""
        return float(np.hypot(self.row - row, self.column - column)) - self.reach


@final
class Shapes(SegmentationDataset):
    """Discs and squares whose class is decided by a small cue in a far corner.

    A disc is a `ball` when the sun stands in a corner and a `moon` when a crescent does; a square
    is a `crate` or a `tile`. Sky, hills, colours and textures are drawn before the scene is
    chosen, so nothing near an object tells the two apart: a network has to look at the whole
    image, which is what global context is for.

    | fact | value |
    |---|---|
    | splits | train 400, val 100, from different seeds |
    | images | 96 x 128, drawn when read; half of them by day |
    | classes | background, ball, moon, crate, tile |
    | void | none |
    | licence | none needed |

    Args:
        split: train or val.
        size: (height, width) in pixels, at least 88 x 88.
        count: number of images; None for the number above.
        transform: changes samples while training. Scaling or small crops may cut the cue away.
    """

    def __init__(
        self,
        split: str,
        size: tuple[int, int] = (96, 128),
        count: int | None = None,
        transform: Transform | None = None,
    ) -> None:
        counts = {"train": 400, "val": 100}
        refuse_split("shapes", split, list(counts))
        if min(size) < 88:
            raise ConfigError(
                f"`size` must be at least (88, 88), got {size}. Objects would be near the cue; use "
                "(96, 128)."
            )
        self.taxonomy = SHAPES
        self.transform = transform
        number = counts[split] if count is None else count
        self.ids = [f"{split}_{index:04d}" for index in range(number)]
        self._size = size
        self._stream = list(counts).index(split)
        self._last: Sample | None = None

    def read(self, index: int) -> Sample:
        """Draw image and label; the last one is kept, for training asks for the label first."""
        if self._last is None or self._last.id != self.ids[index]:
            generator = np.random.default_rng((self._stream, index))
            drawn = draw(generator, self._size, night=index % 2 == 1)
            self._last = Sample(*drawn, self.ids[index])
        return self._last

    def read_label(self, index: int) -> UInt8[np.ndarray, "h w"]:
        """Draw the label."""
        return self.read(index).label

    def image_path(self, index: int) -> None:
        """Name nothing: the image is drawn."""

    def label_name(self, index: int) -> str:
        """Name the drawing."""
        return f"shapes/{self.ids[index]}"


def draw(
    generator: np.random.Generator, size: tuple[int, int], night: bool
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Draw one image and its label.

    The scene enters at two places only: the cue, and which of its two classes an object gets.

    Args:
        generator: source of everything but the scene.
        size: (height, width).
        night: a crescent instead of a sun.

    Returns:
        The RGB image and the label.
    """
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    canvas = _draw_land(generator, rows, columns)
    label = np.zeros(size, np.uint8)
    inset = CUE_RADIUS + _CUE_MARGIN
    corner = generator.integers(0, 2, 2).tolist()
    cue = [
        float(side - 1 - inset if end else inset) for side, end in zip(size, corner, strict=True)
    ]
    for shape in _place_objects(generator, size, (cue[0], cue[1])):
        outside = _draw_object(canvas, generator, shape, rows, columns)
        label[outside <= 0] = (3 if shape.is_square else 1) + night
    _draw_cue(canvas, rows - np.float32(cue[0]), columns - np.float32(cue[1]), night)
    noise = generator.normal(0, 3, (*size, 1)).astype(np.float32)
    return np.clip(canvas + noise, 0, 255).astype(np.uint8), label


def _draw_land(generator: np.random.Generator, rows: _Plane, columns: _Plane) -> _Canvas:
    """Draw a sky that changes from top to bottom and two ranges of hills, all in muted colours."""
    height, width = rows.shape
    # Not bright, so that the cue stands out.
    top, bottom = (_draw_colour(generator, 1.0, 60, 40, 110) for _ in range(2))
    canvas = top + (bottom - top) * (rows / height)[..., None]
    for level in (0.55, 0.78):
        waves = generator.uniform([0.5, 1.5], [1.5, 4]) * 2 * np.pi / width
        starts = generator.uniform(0, 2 * np.pi, 2)
        heights = generator.uniform(0.02, 0.08, 2) * height
        ridge = heights[0] * np.sin(waves[0] * columns[0] + starts[0])
        ridge += heights[1] * np.sin(waves[1] * columns[0] + starts[1])
        ridge += height * (level + generator.uniform(-0.06, 0.06))
        colour = _draw_colour(generator, 1.0, 60, 40, 110)
        _paint(canvas, ridge.astype(np.float32) - rows, colour)
    land: _Canvas = canvas.astype(np.float32)
    return land


def _place_objects(
    generator: np.random.Generator, size: tuple[int, int], cue: tuple[float, float]
) -> list[_Object]:
    """Place up to five objects that touch neither one another nor the cue's surroundings."""
    wanted = int(generator.integers(2, 6))
    placed: list[_Object] = []
    for _ in range(_NUM_TRIES):
        # The first one is small enough to fit on the far side of any image.
        radius = generator.uniform(8, 15 if placed else 11)
        is_square = bool(generator.integers(2))
        # A square of the same area as the disc: sizes tell nothing.
        radius *= np.pi**0.5 / 2 if is_square else 1.0
        shape = _Object(radius, generator.uniform(-0.25, 0.25), is_square)
        low, high = shape.reach + 2, np.array(size) - shape.reach - 3
        row, column = generator.uniform(low, high).tolist()
        shape = shape._replace(row=row, column=column)
        far = shape.gap(*cue) >= CUE_RADIUS + CUE_DISTANCE
        if far and all(shape.gap(o.row, o.column) >= o.reach + 3 for o in placed):
            placed.append(shape)
        if len(placed) == wanted:
            break
    return placed


def _draw_object(
    canvas: _Canvas, generator: np.random.Generator, shape: _Object, rows: _Plane, columns: _Plane
) -> _Plane:
    """Draw an object: a lively colour, stripes, and light from one side.

    Returns:
        signed distance of every pixel from the outline, negative inside.
    """
    y, x = rows - np.float32(shape.row), columns - np.float32(shape.column)
    from_centre: _Plane = np.hypot(y, x)
    if shape.is_square:
        cos, sin = np.float32(np.cos(shape.angle)), np.float32(np.sin(shape.angle))
        from_centre = np.maximum(abs(cos * y - sin * x), abs(sin * y + cos * x))
    # From red over blue to green, for the sun alone is yellow.
    colour = _draw_colour(generator, 0.65, 130, 30, 70)
    direction = generator.uniform(0, 2 * np.pi)
    along = np.float32(np.cos(direction)) * y + np.float32(np.sin(direction)) * x
    light = 1 - np.float32(0.25 / shape.radius) * along
    stripes = generator.uniform(0, 0.12) * np.sin(along * np.float32(generator.uniform(0.8, 2)))
    outside = from_centre - np.float32(shape.radius)
    _paint(canvas, outside, (light + stripes.astype(np.float32))[..., None] * colour)
    return outside


def _draw_cue(canvas: _Canvas, y: _Plane, x: _Plane, night: bool) -> None:
    """Draw a sun with rays, or a crescent, inside the disc of `CUE_RADIUS` about (0, 0)."""
    radius = np.hypot(y, x)
    if night:
        inner = CUE_RADIUS - 2 - np.hypot(y + 2, x - 5)
        outside, colour = np.maximum(radius - CUE_RADIUS + 1, inner), [225, 235, 255]
    else:
        rays = CUE_RADIUS - 3 + 2 * np.cos(8 * np.arctan2(y, x))
        outside, colour = radius - rays, [255, 215, 40]
    _paint(canvas, outside, np.array(colour, np.float32))


def _paint(canvas: _Canvas, outside: _Plane, colours: np.ndarray) -> None:
    """Lay colours over the canvas where `outside` is negative, with a soft edge of a pixel."""
    cover = np.clip(0.5 - outside, 0, 1)[..., None]
    canvas += (colours - canvas) * cover


def _draw_colour(
    generator: np.random.Generator, turn: float, strength: int, low: int, high: int
) -> Float[np.ndarray, " rgb"]:
    """Draw a colour from the first `turn` of the wheel, on a grey from `low` to `high`."""
    phases = 2 * np.pi * (generator.uniform(0, turn) + np.array([0, 1 / 3, 2 / 3]))
    hue = (0.5 + 0.5 * np.cos(phases)).astype(np.float32)
    return hue * np.float32(strength) + np.float32(generator.uniform(low, high))
