"""What training does to a sample: random scale, crop with void padding, mirror and colours.

Evaluation has no transform: pictures are scored at their native size.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple, final

# Before the import: otherwise albumentations asks a server for its newest version.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
import cv2
import numpy as np
from jaxtyping import UInt8

from parsenet.data.sample import Sample, Transform
from parsenet.taxonomy import IGNORE_INDEX

PAD_COLOUR = (123, 117, 104)
"""RGB beyond the picture's end: ImageNet's mean colour, near zero after every preprocessing."""


class Window(NamedTuple):
    """A part of a resized picture; all pairs are (rows, columns) in pixels of that picture.

    `scaled` is the size of the whole resized picture, `corner` the first pixel of the window
    (negative where the window begins before the picture), `size` the window's.
    """

    scaled: tuple[int, int]
    corner: tuple[int, int]
    size: tuple[int, int]

    def inside(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return first and past-the-last pixel of what the window shows of the picture."""
        (height, width), (top, left) = self.scaled, self.corner
        end = min(height, top + self.size[0]), min(width, left + self.size[1])
        return (max(0, top), max(0, left)), end


@final
class ScaleCrop(A.DualTransform):  # type: ignore[misc]
    """Resize by a random factor and cut out a random window, in one interpolation.

    Only the window is interpolated, never the whole enlarged picture. Pixel centres of picture
    and label stay on one another.

    Args:
        crop: (height, width) of the window; None for the whole picture.
        scale: range of the factor, drawn evenly.
        void: label beyond the picture's end.
    """

    def __init__(self, crop: tuple[int, int] | None, scale: tuple[float, float], void: int) -> None:
        super().__init__(p=1.0)
        self.crop = crop
        self.scale = scale
        self.void = void

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Window]:
        """Draw the factor and the window's place; a small picture lies anywhere in the window."""
        height, width = params["shape"][:2]
        factor = self.py_random.uniform(*self.scale)
        scaled = max(1, round(height * factor)), max(1, round(width * factor))
        size = self.crop or scaled
        return {
            "window": Window(
                scaled, (self._place(0, scaled, size), self._place(1, scaled, size)), size
            )
        }

    def _place(self, axis: int, scaled: tuple[int, int], size: tuple[int, int]) -> int:
        spare = scaled[axis] - size[axis]
        return int(self.py_random.randint(min(0, spare), max(0, spare)))

    def apply(self, img: np.ndarray, window: Window, **params: object) -> np.ndarray:
        """Cut the picture; linear between pixels."""
        return cut(img, window, cv2.INTER_LINEAR, PAD_COLOUR)

    def apply_to_mask(self, mask: np.ndarray, window: Window, **params: object) -> np.ndarray:
        """Cut the label; the nearest pixel."""
        return cut(mask, window, cv2.INTER_NEAREST, (self.void,))


def cut(
    picture: UInt8[np.ndarray, "h w *channels"],
    window: Window,
    interpolation: int,
    fill: tuple[int, ...],
) -> UInt8[np.ndarray, "a b *channels"]:
    """Cut a window out of a picture as if the whole of it had been resized first.

    Args:
        picture: picture or label at its own size.
        window: the size it would have, and what to keep of it.
        interpolation: OpenCV's flag.
        fill: value beyond the picture's end, one per channel.

    Returns:
        The window, of the window's size.
    """
    height, width = picture.shape[:2]
    (top, left), (bottom, right) = window.inside()
    if window.scaled == (height, width):
        inner = picture[top:bottom, left:right]
    else:
        # Centres of pixels on centres: source = (target + 0.5) * step - 0.5.
        y_step, x_step = height / window.scaled[0], width / window.scaled[1]
        back = np.array([
            [x_step, 0, (left + 0.5) * x_step - 0.5],
            [0, y_step, (top + 0.5) * y_step - 0.5],
        ])
        inner = cv2.warpAffine(
            picture,
            back,
            (right - left, bottom - top),
            flags=interpolation | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    before = top - window.corner[0], left - window.corner[1]
    after = window.size[0] - before[0] - bottom + top, window.size[1] - before[1] - right + left
    return cv2.copyMakeBorder(
        inner, before[0], after[0], before[1], after[1], cv2.BORDER_CONSTANT, value=fill
    )


@final
class SeededPipeline:
    """An albumentations pipeline whose result depends on the sample and its seed alone.

    Args:
        steps: the transforms, in order.
    """

    def __init__(self, steps: list[A.BasicTransform]) -> None:
        self._compose = A.Compose(steps)

    def __call__(self, sample: Sample, seed: int) -> Sample:
        """Transform one sample."""
        # A seed of its own for each step: `Compose.set_random_seed` gives all of them the same
        # one, and the flip would then follow from the scale.
        seeds = np.random.SeedSequence(seed).generate_state(len(self._compose.transforms))
        for step, own in zip(self._compose.transforms, seeds.tolist(), strict=True):
            step.set_random_seed(own)
        out = self._compose(image=sample.image, mask=sample.label)
        return Sample(out["image"], out["mask"], sample.id)


def train_transform(
    crop: tuple[int, int] | None = (321, 321),
    scale: tuple[float, float] = (0.5, 2.0),
    flip: bool = True,
    colour: float = 0.0,
    void: int = IGNORE_INDEX,
) -> Transform:
    """Build the training pipeline.

    Args:
        crop: (height, width) of the result, padded with void where the picture ends; None keeps
            the whole picture.
        scale: range of the random scale.
        flip: mirror half of the samples.
        colour: strength of the colour jitter in [0, 1]; 0 for none.
        void: label of the padding.

    Returns:
        A callable `(sample, seed) -> sample`; the same seed gives the same result.
    """
    steps: list[A.BasicTransform] = [ScaleCrop(crop, scale, void)]
    if flip:
        steps.append(A.HorizontalFlip(p=0.5))
    if colour > 0:
        around = (1 - colour, 1 + colour)
        # Hue at a quarter: 0.4 then means torchvision's usual (0.4, 0.4, 0.4, 0.1).
        steps.append(A.ColorJitter(around, around, around, (-colour / 4, colour / 4), p=1.0))
    return SeededPipeline(steps)
