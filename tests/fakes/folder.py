"""A plain folder of images and masks in the default layout, with its taxonomy file."""

from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from parsenet.taxonomy import Taxonomy, voc_colour_map
from tests.fakes.voc import draw_label, write_palette_png

CLASSES = Taxonomy("classes", ("ground", "tree", "road"), voc_colour_map(3))


def write_folder(
    root: Path,
    num_images: int = 3,
    size: tuple[int, int] = (10, 14),
    masks: Literal["palette", "grey", "rgb"] = "palette",
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Write `images/`, `labels/` (train and val) and `classes.yaml`; return the labels by stem."""
    generator = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    (root / "classes.yaml").write_text("names: [ground, tree, road]\n")
    labels = {}
    for split in ("train", "val"):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
        for number in range(num_images):
            stem = f"{split}{number}"
            label = draw_label(generator, size, CLASSES.num_classes)
            image = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(image).save(root / "images" / split / f"{stem}.png")
            _write_mask(root / "labels" / split / f"{stem}.png", label, masks)
            labels[stem] = label
    return labels


def _write_mask(path: Path, label: np.ndarray, masks: str) -> None:
    if masks == "palette":
        write_palette_png(path, label, CLASSES.pillow_palette())
    elif masks == "grey":
        Image.fromarray(label).save(path)
    else:
        Image.fromarray(CLASSES.colourise(label)).save(path)
