"""CamVid in SegNet's layout, tiny."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_camvid(
    root: Path, num_images: int = 3, suffix: str = ".png", lists: bool = True, seed: int = 0
) -> dict[str, np.ndarray]:
    """Write the six folders, and SegNet's lists; return the stored labels (11 void) by id."""
    generator = np.random.default_rng(seed)
    stored = {}
    for split in ("train", "val", "test"):
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        names = [f"0001TP_{split}{number:03d}" for number in range(num_images)]
        if lists:
            # SegNet's lists hold the paths of its authors' machine.
            lines = (
                f"/SegNet/CamVid/{split}/{name}.png /SegNet/CamVid/{split}annot/{name}.png\n"
                for name in names
            )
            (root / f"{split}.txt").write_text("".join(lines))
        for name in names:
            label = generator.integers(0, 12, (3, 4)).repeat(4, 0).repeat(4, 1).astype(np.uint8)
            label[0, 0] = 11
            image = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            Image.fromarray(image).save(root / split / f"{name}{suffix}")
            Image.fromarray(label).save(root / f"{split}annot" / f"{name}.png")
            stored[name] = label
    return stored
