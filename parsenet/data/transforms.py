"""What training does to a sample: one warp of ours, then any transforms of albumentations.

Evaluation has no transform: images are scored at their native size.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping
from math import ceil, cos, floor, radians, sin
from random import Random
from typing import Any, Final, NamedTuple, TypeAlias, final

import numpy as np
from jaxtyping import UInt, UInt8

from parsenet.config import Recipe
from parsenet.data.labels import LabelMap
from parsenet.data.reading import opencv
from parsenet.data.sample import Read
from parsenet.errors import ConfigError, suggest
from parsenet.taxonomy import IGNORE_INDEX

# Before the import: otherwise albumentations asks a server for its newest version.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations as A

cv2 = opencv()

PAD_COLOUR: Final = (123, 117, 104)
"""RGB beyond the image's end: ImageNet's mean colour, near zero after every preprocessing."""

NUM_TRIES: Final = 10
"""How often a crop of almost one class is drawn; the last is taken as it is."""

_TRIAL_STEP: Final = 4
"""Of so many rows and columns a trial looks at one."""

_MARGIN: Final = 2
"""Pixels around the needed region that interpolation may look at."""

Matrix: TypeAlias = tuple[tuple[float, float, float], ...]
"""The two rows of an affine map. Plain numbers: numpy's calls take longer than so few sums."""


class Draw(NamedTuple):
    """One random decision for a sample; all pairs are (rows, columns) in pixels.

    The image is resized from `size` to `scaled`, and a window of `crop` is cut out of it at
    `corner` (negative where the window begins before the image).
    """

    size: tuple[int, int]
    scaled: tuple[int, int]
    corner: tuple[int, int]
    crop: tuple[int, int]
    mirrored: bool = False
    degrees: float = 0.0
    """Turn about the window's centre."""
    seed: int = 0
    """Of the transforms that come after."""

    @property
    def reduction(self) -> int:
        """How many times smaller the image may be decoded.

        What is left to do is then less than halving, which linear interpolation does well.
        """
        factor = max(self.scaled[0] / self.size[0], self.scaled[1] / self.size[1])
        return next(n for n in (8, 4, 2, 1) if n == 1 or n * factor <= 1)

    def shown(self) -> tuple[slice, slice]:
        """Return the rows and columns of the resized image that the window shows."""
        rows, columns = (
            slice(max(0, begin), min(side, begin + length))
            for begin, side, length in zip(self.corner, self.scaled, self.crop, strict=True)
        )
        return rows, columns

    def matrix(self, reduction: int) -> Matrix:
        """Map pixels (x, y) of the window to pixels of the image, whose sides were divided before.

        Whole numbers are centres: pixel i covers [i - 0.5, i + 0.5).
        """
        (height, width), (top, left) = self.crop, self.corner
        # The window after mirror and turn about its centre, in its own pixels, ...
        cosine, sine = cos(radians(self.degrees)), sin(radians(self.degrees))
        sign = -1 if self.mirrored else 1
        column, row = (width - 1) / 2, (height - 1) / 2
        x0 = column - sign * cosine * column + sine * row
        y0 = row - sign * sine * column - cosine * row
        # ... moved to its place, and scaled.
        x_step = self.size[1] / self.scaled[1]
        y_step = self.size[0] / self.scaled[0]
        x_start = (x0 + left + 0.5) * x_step / reduction - 0.5
        y_start = (y0 + top + 0.5) * y_step / reduction - 0.5
        return (
            (sign * cosine * x_step / reduction, -sine * x_step / reduction, x_start),
            (sign * sine * y_step / reduction, cosine * y_step / reduction, y_start),
        )


@final
class ScaleTurnCrop(A.DualTransform):  # type: ignore[misc]  # albumentations has no types
    """Random scale, turn, crop and mirror as one warp of the needed part of an image.

    They are one matrix, so every pixel of the crop is interpolated once, and only those of the crop
    are. Pixel centres of image and label stay on one another. Beyond the image's end lie
    `PAD_COLOUR` and void.

    Args:
        recipe: how much of it.
        void: label beyond the image's end.
    """

    targets_as_params = ("mask", "draw")

    def __init__(self, recipe: Recipe, void: int = IGNORE_INDEX) -> None:
        super().__init__(p=1.0)
        self._recipe = recipe
        self._void = void

    def draw(self, label: LabelMap, seed: int) -> Draw:
        """Draw scale and place, mirror, and turn, each from a seed of its own."""
        recipe = self._recipe
        # From one seed for all, the mirror would follow from the scale.
        window, mirror, colours, turn = np.random.SeedSequence(seed).generate_state(4).tolist()
        mirrored = recipe.flip and Random(mirror).random() < 0.5
        degrees = Random(turn).uniform(-recipe.rotate, recipe.rotate)
        random = Random(window)
        factor = random.uniform(*recipe.scale)
        size = label.shape[0], label.shape[1]
        scaled = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
        crop = recipe.crop or scaled
        spare = scaled[0] - crop[0], scaled[1] - crop[1]
        for _ in range(NUM_TRIES):
            # A small image lies anywhere in the window.
            top = random.randint(min(0, spare[0]), max(0, spare[0]))
            corner = top, random.randint(min(0, spare[1]), max(0, spare[1]))
            draw = Draw(size, scaled, corner, crop, mirrored, degrees, colours)
            ratio = recipe.cat_max_ratio
            if ratio == 1 or _largest_share(label, draw, self._void) < ratio:
                break
        return draw

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        """Hand on what was drawn before the image was decoded."""
        return {"draw": data["draw"]}

    def apply(
        self,
        img: UInt8[np.ndarray, "h w 3"],
        draw: Draw,
        **params: Any,  # noqa: ANN401 - of albumentations
    ) -> UInt8[np.ndarray, "a b 3"]:
        """Cut the window out of an image of the draw's reduction; linear between pixels."""
        out = _warp(img, draw, draw.reduction, cv2.INTER_LINEAR, (*PAD_COLOUR, 255))
        image: UInt8[np.ndarray, "a b 3"] = cv2.cvtColor(out, cv2.COLOR_RGBA2RGB)
        return image

    def apply_to_mask(
        self,
        mask: LabelMap,
        draw: Draw,
        **params: Any,  # noqa: ANN401 - of albumentations
    ) -> UInt[np.ndarray, "a b"]:
        """Cut the window out of a label; the nearest pixel."""
        return _warp(mask, draw, 1, cv2.INTER_NEAREST, (self._void,))


@final
class Augmentation:
    """Our warp, jitter of colours, and the transforms that the options name.

    The result depends on the sample and its seed alone. The draw comes first, so that an image is
    decoded only as large as it is needed.

    Args:
        recipe: what to do, and how much of it.
        void: label beyond the image's end.
        transforms: names of albumentations' transforms, or `{name: {option: value}}`.

    Raises:
        ConfigError: there is no such transform, or it does not do with these options.
    """

    def __init__(
        self,
        recipe: Recipe = Recipe(),
        void: int = IGNORE_INDEX,
        transforms: Iterable[str | Mapping[str, Any]] = (),
    ) -> None:
        self._warp = ScaleTurnCrop(recipe, void)
        steps = [self._warp]
        if recipe.colour > 0:
            around = (1 - recipe.colour, 1 + recipe.colour)
            # Hue at a quarter: 0.4 then means torchvision's usual (0.4, 0.4, 0.4, 0.1).
            hue = (-recipe.colour / 4, recipe.colour / 4)
            steps.append(A.ColorJitter(around, around, around, hue, p=1.0))
        for entry in transforms:
            name, options = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
            steps.append(_build(name, options or {}, void, recipe.crop or (321, 321)))
        self._compose = A.Compose(steps, is_check_shapes=False)

    def __call__(
        self, label: LabelMap, read: Read, seed: int
    ) -> tuple[UInt8[np.ndarray, "a b 3"], UInt[np.ndarray, "a b"]]:
        """Make a training image and its label, as `Transform` says."""
        draw = self._warp.draw(label, seed)
        self._compose.set_random_state(np.random.default_rng(draw.seed), Random(draw.seed))
        image = read(draw.reduction)
        out = self._compose(force_apply=True, image=image, mask=label, draw=draw)
        # One colour after the other, as tensors have them; seen from the side, not copied.
        planes = np.empty((3, *out["mask"].shape), np.uint8)
        cv2.split(out["image"], list(planes))
        return planes.transpose(1, 2, 0), out["mask"]


def _largest_share(label: LabelMap, draw: Draw, void: int) -> float:
    """Estimate how much of a window its largest class fills, void left out, in [0, 1].

    Source: the rule of `cat_max_ratio` in mmsegmentation's RandomCrop.
    """
    rows, columns = (
        np.arange(part.start, part.stop, _TRIAL_STEP) * side // scaled
        for part, side, scaled in zip(draw.shown(), draw.size, draw.scaled, strict=True)
    )
    shown = label[rows][:, columns]
    counts = np.bincount(shown[shown != void])
    return float(counts.max() / counts.sum()) if counts.size else 1.0


def _warp(
    source: np.ndarray, draw: Draw, reduction: int, interpolation: int, fill: tuple[int, ...]
) -> np.ndarray:
    """Interpolate what the window shows of an image or label, and pad the rest.

    Without a turn only the pixels that show the image are interpolated.
    """
    if draw.degrees:
        top, left, height, width = 0, 0, *draw.crop
    else:
        rows, columns = draw.shown()
        height, width = rows.stop - rows.start, columns.stop - columns.start
        top, left = rows.start - draw.corner[0], columns.start - draw.corner[1]
        left = draw.crop[1] - left - width if draw.mirrored else left
    region, matrix = _needed(source, draw.matrix(reduction), (top, left), (height, width))
    inner = cv2.warpAffine(
        # With a fourth channel a pixel is a machine word, which takes half the time.
        cv2.cvtColor(region, cv2.COLOR_RGB2RGBA) if source.ndim == 3 else region,
        matrix,
        (width, height),
        flags=interpolation | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT if draw.degrees else cv2.BORDER_REPLICATE,
        borderValue=fill,
    )
    below, right = draw.crop[0] - top - height, draw.crop[1] - left - width
    padded: np.ndarray = cv2.copyMakeBorder(
        inner, top, below, left, right, cv2.BORDER_CONSTANT, value=fill
    )
    return padded


def _needed(
    source: np.ndarray, matrix: Matrix, corner: tuple[int, int], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of a source that a part of the result needs, and the way there."""
    (top, left), (height, width) = corner, size
    parts, rows = [], []
    for side, (a, b, c) in zip(source.shape[1::-1], matrix, strict=True):
        ends = [
            a * x + b * y + c for x in (left, left + width - 1) for y in (top, top + height - 1)
        ]
        begin = min(max(floor(min(ends)) - _MARGIN, 0), side - 1)
        parts.append(slice(begin, max(min(ceil(max(ends)) + _MARGIN + 1, side), begin + 1)))
        rows.append((a, b, ends[0] - begin))  # the first end is the part's own first pixel
    return source[parts[1], parts[0]], np.array(rows)


def _build(
    name: str, options: Mapping[str, Any], void: int, size: tuple[int, int]
) -> A.BasicTransform:
    """Make a transform of albumentations, and try it on an image of `size`; nothing else is named.

    Labels are filled with void where they would take class 0.
    """
    known = {
        word: kind
        for word, kind in vars(A).items()
        if isinstance(kind, type) and issubclass(kind, A.BasicTransform)
    }
    if name not in known:
        closest = suggest(name, known)
        closest = "albumentations.ai/docs lists them." if closest.startswith("Known") else closest
        raise ConfigError(
            f"`data.transforms` must name transforms of albumentations, got '{name}'. {closest}"
        )
    accepted = inspect.signature(known[name]).parameters
    if unknown := [option for option in options if option not in accepted]:
        raise ConfigError(
            f"`{name}` of `data.transforms` must have known options, got '{unknown[0]}'. "
            f"{suggest(str(unknown[0]), accepted)}"
        )
    if "fill_mask" in accepted and accepted["fill_mask"].default == 0:
        options = {"fill_mask": void, **options}
    image, mask = np.full((*size, 3), 127, np.uint8), np.zeros(size, np.uint8)
    try:
        probe = A.Compose([known[name](**{**options, "p": 1.0})])(image=image, mask=mask)
        made = known[name](**options)
    except Exception as error:  # whatever a transform that does not fit raises
        reason = " ".join(str(error).split()).split(" [type=")[0]
        raise ConfigError(
            f"`{name}` of `data.transforms` must work on an image and its label, got '{reason}'. "
            "Correct its options, or leave it out."
        ) from None
    out, label = probe["image"], probe["mask"]
    is_image = isinstance(out, np.ndarray) and out.dtype == np.uint8 and out.shape[2:] == (3,)
    if not is_image or out.shape[:2] != label.shape:
        raise ConfigError(
            f"`{name}` of `data.transforms` must give an RGB image of bytes and a label as large, "
            f"got {getattr(out, 'dtype', type(out))} {tuple(out.shape)}. Leave it out: the network "
            "normalizes images itself."
        )
    return made
