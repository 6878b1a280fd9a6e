"""A plain folder of images and masks in the default layout, with its taxonomy file."""

from pathlib import Path
from typing import Literal

import numpy as np

from parsenet.taxonomy import Taxonomy, voc_colour_map
from tests.fakes.voc import draw_label, write_list, write_noise, write_png

CLASSES = Taxonomy("classes", ("ground", "tree", "road"), voc_colour_map(3))


def write_folder(
    root: Path, num_images: int = 3, masks: Literal["palette", "grey", "rgb"] = "palette"
) -> dict[str, np.ndarray]:
    """Write `images/`, `labels/` (train and val) and `classes.yaml`; return the labels by stem."""
    generator = np.random.default_rng(0)
    write_list(root / "classes.yaml", ["names: [ground, tree, road]"])
    labels = {}
    for split in ("train", "val"):
        for number in range(num_images):
            stem = f"{split}{number}"
            label = labels[stem] = draw_label(generator, (10, 14), CLASSES.num_classes)
            write_noise(root / "images" / split / f"{stem}.png", generator, (10, 14))
            stored = CLASSES.colourise(label) if masks == "rgb" else label
            colours = CLASSES if masks == "palette" else None
            write_png(root / "labels" / split / f"{stem}.png", stored, colours)
    return labels
