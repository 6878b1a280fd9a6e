"""What training does to a sample: random scale, turn, crop with void padding, mirror and colours.

Evaluation has no transform: images are scored at their native size.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Any, Final, final

import numpy as np
from jaxtyping import UInt8

from parsenet.config import Recipe
from parsenet.data.draw import Draw, Window, reduction_for
from parsenet.data.images import FileImages, Images, shrink
from parsenet.data.labels import LabelMap
from parsenet.data.sample import Augmentation, Sample
from parsenet.data.warp import Warp
from parsenet.taxonomy import IGNORE_INDEX

NUM_TRIES: Final = 10
"""How often a crop of almost one class is drawn; the last is taken as it is."""

_TRIAL_STEP: Final = 4
"""Of so many rows and columns a trial looks at one."""


@final
class TrainTransform(Augmentation):
    """One warp of the needed part of an image, then its colours.

    Scale, turn, place and mirror are one matrix, so every pixel of the crop is interpolated once,
    and only those of the crop are. Pixel centres of image and label stay on one another. The
    result depends on the sample and its seed alone.

    Args:
        recipe: what to do, and how much of it.
        void: label beyond the image's end.
        images: where images come from; None for their files.
    """

    def __init__(
        self,
        recipe: Recipe = Recipe(),
        void: int = IGNORE_INDEX,
        images: Images | None = None,
    ) -> None:
        self._recipe = recipe
        self._void = void
        self._images = images or FileImages()
        self._jitter = _build_jitter(recipe.colour) if recipe.colour > 0 else None

    def draw(self, label: LabelMap, seed: int) -> Draw:
        """Draw scale and place, mirror, colours and turn, each from a seed of its own."""
        recipe = self._recipe
        # From one seed for all, the mirror would follow from the scale.
        seeds = iter(np.random.SeedSequence(seed).generate_state(4).tolist())
        window = self._draw_window(label, Random(next(seeds)))
        mirrored = recipe.flip and Random(next(seeds)).random() < 0.5
        colour_seed = next(seeds) if recipe.colour > 0 else 0
        degrees = 0.0
        if recipe.rotate > 0:
            degrees = Random(next(seeds)).uniform(-recipe.rotate, recipe.rotate)
        reduction = reduction_for(window.scaled, _size(label))
        return Draw(window, mirrored, degrees, reduction, colour_seed)

    def read(self, path: Path, reduction: int) -> UInt8[np.ndarray, "h w 3"]:
        """Read an image no larger than it is needed."""
        return self._images.read(path, reduction)

    def apply(self, sample: Sample, draw: Draw) -> Sample:
        """Warp image and label, and change the colours."""
        warp = Warp(draw, _size(sample.label))
        planes = warp.image(shrink(sample.image, draw.reduction // sample.reduction))
        image = planes.transpose(1, 2, 0)  # seen from the side, not copied
        if self._jitter is not None:
            self._jitter.set_random_seed(draw.colour_seed)
            image = self._jitter(image=np.ascontiguousarray(image))["image"]
        return Sample(image, warp.label(sample.label, self._void), sample.id)

    def _draw_window(self, label: LabelMap, random: Random) -> Window:
        """Draw the scale once, and places until one is not of almost one class."""
        factor = random.uniform(*self._recipe.scale)
        height, width = _size(label)
        scaled = max(1, round(height * factor)), max(1, round(width * factor))
        ratio = self._recipe.cat_max_ratio
        for _ in range(NUM_TRIES):
            window = _place(random, scaled, self._recipe.crop or scaled)
            if ratio == 1 or _largest_share(label, window, self._void) < ratio:
                break
        return window


def _size(label: LabelMap) -> tuple[int, int]:
    return label.shape[0], label.shape[1]


def _place(random: Random, scaled: tuple[int, int], size: tuple[int, int]) -> Window:
    """Draw where a window lies; a small image lies anywhere in the window."""
    spare = scaled[0] - size[0], scaled[1] - size[1]
    top = random.randint(min(0, spare[0]), max(0, spare[0]))
    left = random.randint(min(0, spare[1]), max(0, spare[1]))
    return Window(scaled, (top, left), size)


def _largest_share(label: LabelMap, window: Window, void: int) -> float:
    """Estimate how much of a window its largest class fills, void left out, in [0, 1].

    Source: the rule of `cat_max_ratio` in mmsegmentation's RandomCrop.
    """
    begin, end = window.inside()
    rows, columns = (
        np.arange(begin[axis], end[axis], _TRIAL_STEP) * label.shape[axis] // window.scaled[axis]
        for axis in (0, 1)
    )
    shown = label[rows][:, columns]
    counts = np.bincount(shown[shown != void])
    return float(counts.max() / counts.sum()) if counts.size else 1.0


def _build_jitter(strength: float) -> Any:  # noqa: ANN401 - albumentations has no types
    """Build the jitter of brightness, contrast, saturation and hue."""
    # Before the import: otherwise albumentations asks a server for its newest version.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations as A

    around = (1 - strength, 1 + strength)
    # Hue at a quarter: 0.4 then means torchvision's usual (0.4, 0.4, 0.4, 0.1).
    return A.ColorJitter(around, around, around, (-strength / 4, strength / 4), p=1.0)
