"""Images to check an exported file with, to calibrate it on, and to score it on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from parsenet.data.reading import is_image, read_image
from parsenet.errors import DataNotFoundError
from parsenet.evaluation.folders import SUFFIXES, Pair
from parsenet.files import natural_key

Pixels = UInt8[np.ndarray, "_ _ 3"]

_MOST_PIXELS = 2**20
"""Larger images are shrunk: checking looks at whole images, and memory has an end."""


def find_in(folder: Path, option: str, num: int | None = None) -> list[Path]:
    """List the images of a folder and its subfolders, spread evenly where there are more.

    Args:
        folder: where they are.
        option: what the user called it.
        num: how many at most; None takes all.

    Raises:
        DataNotFoundError: there are none.
    """
    found = sorted((path for path in folder.rglob("*") if is_image(path)), key=natural_key)
    if not found:
        raise DataNotFoundError(
            f"`{option}` must be a folder of images, got none in '{folder}'. Check its name."
        )
    if num is None or num >= len(found):
        return found
    return [found[i * len(found) // num] for i in range(num)]


def find_labelled(images: Path, labels: Path) -> list[Pair]:
    """Match images and true label maps by their names; those without a label are left out.

    Returns:
        pairs whose `prediction` is the image.

    Raises:
        DataNotFoundError: there are no images, or none has a label map.
    """
    by_name = {path.stem: path for path in sorted(labels.rglob("*")) if path.suffix in SUFFIXES}
    found = find_in(images, "images")
    pairs = [Pair(x.stem, x, by_name[x.stem]) for x in found if x.stem in by_name]
    if not pairs:
        raise DataNotFoundError(
            f"`labels` must hold label maps named like the images in '{images}', got none in "
            f"'{labels}'. Check the folders."
        )
    return pairs


def read_small(path: Path) -> Pixels:
    """Read an image, shrunk to a megapixel where it has more."""
    image = read_image(path)
    height, width = image.shape[:2]
    share = (_MOST_PIXELS / (height * width)) ** 0.5
    return image if share >= 1 else resize(image, (int(height * share), int(width * share)))


def resize(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Bring an image to (height, width)."""
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))


def draw_images(num: int, size: tuple[int, int] = (240, 321)) -> Sequence[Pixels]:
    """Draw gradients under noise, for want of photographs.

    Args:
        num: how many.
        size: (height, width).
    """
    rows, columns = np.mgrid[: size[0], : size[1]] / np.reshape(size, (2, 1, 1))
    drawn = []
    for seed in range(num):
        generator = np.random.default_rng(seed)
        slopes, start = generator.uniform(-255, 255, (2, 3)), generator.uniform(0, 255, 3)
        smooth = start + rows[..., None] * slopes[0] + columns[..., None] * slopes[1]
        noisy = smooth + generator.normal(0, 24, (*size, 3))
        drawn.append(noisy.clip(0, 255).astype(np.uint8))
    return drawn
