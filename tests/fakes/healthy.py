"""A folder of images and labels with nothing wrong in it, for tests that add one fault."""

from pathlib import Path

import numpy as np
from PIL import Image

from parsenet.taxonomy import Taxonomy, voc_colour_map
from tests.fakes.voc import write_list, write_png

NAMES = ("background", "tree", "road")
HEALTHY = Taxonomy("taxonomy", NAMES, voc_colour_map(3))


def write_healthy(
    root: Path,
    num_images: int = 4,
    size: tuple[int, int] = (24, 36),
    names: tuple[str, ...] = NAMES,
    splits: tuple[str, ...] = ("train", "val"),
) -> Path:
    """Write `images/`, `labels/` and `taxonomy.yaml`; every label shows every class and void.

    Images are coarse noise, so that no two look alike. Returns the root.
    """
    generator = np.random.default_rng(7)
    write_list(root / "taxonomy.yaml", [f"names: [{', '.join(names)}]"])
    for split in splits:
        for number in range(num_images):
            image = generator.integers(0, 256, (6, 9, 3), dtype=np.uint8)
            scale = size[0] // 6, size[1] // 9
            write_image(root, split, f"{split}{number}", np.kron(image, np.ones((*scale, 1))))
            label = generator.permutation(np.arange(size[0] * size[1]) % len(names))
            label = label.reshape(size).astype(np.uint8)
            label[0, :3] = 255
            write_label(root, split, f"{split}{number}", label)
    return root


def image_at(root: Path, split: str = "train", number: int = 0) -> Path:
    """Name an image."""
    return root / "images" / split / f"{split}{number}.png"


def label_at(root: Path, split: str = "train", number: int = 0) -> Path:
    """Name a label."""
    return root / "labels" / split / f"{split}{number}.png"


def write_image(root: Path, split: str, stem: str, image: np.ndarray) -> None:
    """Write an image as PNG."""
    write_png(root / "images" / split / f"{stem}.png", image)


def write_label(root: Path, split: str, stem: str, label: np.ndarray) -> None:
    """Write a label as palette PNG in the colours of `HEALTHY`."""
    write_png(root / "labels" / split / f"{stem}.png", label, HEALTHY)


def read(path: Path) -> np.ndarray:
    """Read the numbers of a label, or the colours of an image."""
    with Image.open(path) as image:
        return np.array(image)


def each_label(root: Path, change) -> None:
    """Write every label anew, after `change(label)`."""
    for path in sorted((root / "labels").glob("*/*.png")):
        write_png(path, change(read(path)), HEALTHY)
