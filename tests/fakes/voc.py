"""VOC 2012's real folder layout, tiny."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from parsenet.taxonomy import VOC2012, Taxonomy


def write_voc(
    root: Path, num_images: int = 3, size: tuple[int, int] = (10, 14)
) -> dict[str, np.ndarray]:
    """Write `root/VOC2012` with that many images each for train, val and SBD; return the labels.

    SBD's images are in trainaug alone; their labels have no void border. An image shows its
    label: grey level 10 x class.
    """
    generator = np.random.default_rng(0)
    base = root / "VOC2012"
    train, val, extra = (
        [f"{year}_{i:06d}" for i in range(num_images)] for year in (2007, 2009, 2011)
    )
    lists = {"train": train, "val": val, "trainval": train + val, "trainaug": train + extra}
    for split, names in lists.items():
        write_list(base / "ImageSets" / "Segmentation" / f"{split}.txt", names)
    labels = {}
    for name in train + val + extra:
        label = draw_label(generator, size, VOC2012.num_classes, border=name not in extra)
        image = np.repeat(np.minimum(label, 25)[..., None] * 10, 3, axis=2)
        write_png(base / "JPEGImages" / f"{name}.jpg", image, quality=95)
        if name not in extra:
            write_png(base / "SegmentationClass" / f"{name}.png", label, VOC2012)
        if name not in val:
            write_png(base / "SegmentationClassAug" / f"{name}.png", label, VOC2012)
        labels[name] = label
    return labels


def draw_label(
    generator: np.random.Generator, size: tuple[int, int], num_classes: int, border: bool = True
) -> np.ndarray:
    """Draw a rectangle of one class on background, with void around it if asked for."""
    height, width = size
    label = np.zeros(size, np.uint8)
    top, left = int(generator.integers(1, height // 3)), int(generator.integers(1, width // 3))
    bottom, right = height - 2, width - 2
    if border:
        label[top - 1 : bottom + 1, left - 1 : right + 1] = 255
    label[top:bottom, left:right] = generator.integers(1, num_classes)
    return label


def write_png(
    path: Path, image: np.ndarray, palette: Taxonomy | None = None, **options: object
) -> None:
    """Write an image in the form that the suffix says; of a label with colours, as VOC does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Image.fromarray(image.astype(np.uint8))
    if palette is not None:
        made.putpalette(palette.pillow_palette())
    made.save(path, **options)


def write_noise(path: Path, generator: np.random.Generator, size: tuple[int, int]) -> None:
    """Write an image of noise, of some height and width."""
    write_png(path, generator.integers(0, 256, (*size, 3), dtype=np.uint8))


def write_list(path: Path, names: Iterable[str]) -> None:
    """Write a list, a name on each line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))
