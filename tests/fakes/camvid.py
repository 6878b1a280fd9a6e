"""CamVid in SegNet's layout, tiny."""

from pathlib import Path

import numpy as np

from tests.fakes.voc import write_list, write_noise, write_png


def write_camvid(root: Path, suffix: str = ".png", lists: bool = True) -> dict[str, np.ndarray]:
    """Write the six folders, and SegNet's lists; return the stored labels (11 void) by id."""
    generator = np.random.default_rng(0)
    stored = {}
    for split in ("train", "val", "test"):
        names = [f"0001TP_{split}{number:03d}" for number in range(3)]
        if lists:  # they hold the paths of the authors' machine
            folder = f"/SegNet/CamVid/{split}"
            lines = (f"{folder}/{name}.png {folder}annot/{name}.png" for name in names)
            write_list(root / f"{split}.txt", lines)
        for name in names:
            label = generator.integers(0, 12, (3, 4)).repeat(4, 0).repeat(4, 1).astype(np.uint8)
            label[0, 0] = 11
            write_noise(root / split / f"{name}{suffix}", generator, (12, 16))
            write_png(root / f"{split}annot" / f"{name}.png", label)
            stored[name] = label
    return stored
