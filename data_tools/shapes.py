"""Write the synthetic shapes to disk as a plain folder of images and palette masks.

    python data_tools/shapes.py --out shapes

prints, when right, `shapes: train 400, val 100 images with masks, taxonomy.yaml`. The folder is
what `dataset: folder` reads: `images/{split}/*.png`, `labels/{split}/{stem}.png`, `taxonomy.yaml`.
"""

import io
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml
from PIL import Image

from parsenet.cli import run_script
from parsenet.data.shapes import Shapes
from parsenet.files import write_bytes_atomically
from parsenet.inference.writers import write_label
from parsenet.taxonomy import SHAPES


@dataclass(frozen=True)
class ShapesOptions:
    """Write the synthetic shapes to disk as a plain folder of images and palette masks."""

    out: Path
    """Folder to write to."""
    count: int | None = None
    """Images per split, all by default."""


def write_shapes(out: Path, count: int | None = None) -> dict[str, int]:
    """Write both splits.

    Args:
        out: folder to write to.
        count: images per split, None for all.

    Returns:
        how many images each split has.
    """
    counts = {}
    for split in ("train", "val"):
        dataset = Shapes(split)
        counts[split] = len(dataset) if count is None else min(count, len(dataset))
        for index in range(counts[split]):
            sample = dataset.read(index)
            image = io.BytesIO()
            Image.fromarray(sample.image).save(image, "PNG")
            write_bytes_atomically(out / "images" / split / f"{sample.id}.png", image.getvalue())
            label_dir = out / "labels" / split
            label_dir.mkdir(parents=True, exist_ok=True)
            write_label(label_dir / f"{sample.id}.png", sample.label, SHAPES)
    record = SHAPES.to_dict()
    text = yaml.safe_dump({"names": record["names"], "palette": record["palette"]})
    write_bytes_atomically(out / "taxonomy.yaml", text.encode())
    return counts


def make(options: ShapesOptions) -> int:
    """Write, and say what was written."""
    counts = write_shapes(options.out, options.count)
    listed = ", ".join(f"{split} {count}" for split, count in counts.items())
    print(f"{options.out}: {listed} images with masks, taxonomy.yaml")
    return 0


if __name__ == "__main__":
    sys.exit(run_script("data_tools/shapes.py", make))
