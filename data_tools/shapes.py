"""Write the synthetic shapes to disk as a plain folder of images and palette masks.

    python data_tools/shapes.py --out shapes

prints, when right, `shapes: train 400, val 100 images with masks, taxonomy.yaml`. The folder is
what `dataset: folder` reads: `images/{split}/*.png`, `labels/{split}/{stem}.png`, `taxonomy.yaml`.
"""

import argparse
import io
from pathlib import Path

import yaml
from PIL import Image

from parsenet.data.shapes import Shapes
from parsenet.files import write_bytes_atomically
from parsenet.inference.writers import write_label
from parsenet.taxonomy import SHAPES


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


def main() -> None:
    """Read the command line and write."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0], allow_abbrev=False
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--count", type=int, help="images per split (default: all)")
    given = parser.parse_args()
    counts = write_shapes(given.out, given.count)
    listed = ", ".join(f"{split} {count}" for split, count in counts.items())
    print(f"{given.out}: {listed} images with masks, taxonomy.yaml")


if __name__ == "__main__":
    main()
