"""VOC 2012's real folder layout, tiny."""

from pathlib import Path

import numpy as np
from PIL import Image

from parsenet.taxonomy import VOC2012


def write_voc(
    root: Path, num_images: int = 3, size: tuple[int, int] = (10, 14), seed: int = 0
) -> dict[str, np.ndarray]:
    """Write `root/VOC2012` with that many images each for train, val and SBD; return the labels.

    SBD's images are in trainaug alone; their labels have no void border. An image shows its
    label: grey level 10 x class.
    """
    generator = np.random.default_rng(seed)
    base = root / "VOC2012"
    lists = {
        "train": [f"2007_{i:06d}" for i in range(num_images)],
        "val": [f"2009_{i:06d}" for i in range(num_images)],
    }
    extra = [f"2011_{i:06d}" for i in range(num_images)]
    lists["trainval"] = sorted(lists["train"] + lists["val"])
    lists["trainaug"] = lists["train"] + extra

    for folder in ("JPEGImages", "SegmentationClass", "SegmentationClassAug"):
        (base / folder).mkdir(parents=True)
    (base / "ImageSets" / "Segmentation").mkdir(parents=True)
    for split, names in lists.items():
        path = base / "ImageSets" / "Segmentation" / f"{split}.txt"
        path.write_text("".join(f"{name}\n" for name in names))

    labels = {}
    for name in lists["trainval"] + extra:
        label = draw_label(generator, size, VOC2012.num_classes, border=name not in extra)
        image = np.repeat(np.minimum(label, 25)[..., None] * 10, 3, axis=2).astype(np.uint8)
        Image.fromarray(image).save(base / "JPEGImages" / f"{name}.jpg", quality=95)
        folders = ["SegmentationClassAug"] if name in extra else ["SegmentationClass"]
        if name in lists["train"]:
            folders.append("SegmentationClassAug")
        for folder in folders:
            write_palette_png(base / folder / f"{name}.png", label, VOC2012.pillow_palette())
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


def write_palette_png(path: Path, label: np.ndarray, palette: list[int]) -> None:
    """Write a label as mode P, the way VOC stores them."""
    image = Image.fromarray(label)
    image.putpalette(palette)
    image.save(path)
