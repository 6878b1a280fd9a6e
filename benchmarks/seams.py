"""Count the labels that cutting into windows changes, by overlap and by context.

Images that fit into memory are cut all the same, and compared with being labelled in one piece.

    python benchmarks/seams.py model.safetensors JPEGImages --window 256 --num-images 40
"""

import argparse
from pathlib import Path

import numpy as np

from parsenet.config import InferenceConfig
from parsenet.data.reading import read_image
from parsenet.inference.predictor import Predictor

OVERLAPS = (0, 32, 64, 96, 128)


def count_changed(cut: Predictor, images: list[np.ndarray], plain: list[np.ndarray]) -> float:
    """Return the share of pixels, in per cent, whose label is not that of the whole image."""
    changed = sum(int((cut(x) != label).sum()) for x, label in zip(images, plain, strict=True))
    return 100 * changed / sum(label.size for label in plain)


def main() -> None:
    """Print a table, one row per overlap."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path, help="JPEG images larger than a window")
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--num-images", type=int, default=40)
    given = parser.parse_args()
    images = [read_image(path) for path in sorted(given.folder.glob("*.jpg"))[: given.num_images]]
    whole = Predictor.load(given.checkpoint, config=InferenceConfig(memory=1000.0))
    plain = [whole(image) for image in images]
    print("| overlap | context of the whole: changed, % | of each window: changed, % |")
    print("|---:|---:|---:|", flush=True)
    for overlap in OVERLAPS:
        if 2 * overlap > given.window:
            break
        changed = [
            count_changed(Predictor(whole.segmenter, whole.taxonomy, config=config), images, plain)
            for config in (
                InferenceConfig(window=given.window, overlap=overlap),
                InferenceConfig(window=given.window, overlap=overlap, context="window"),
            )
        ]
        print(f"| {overlap} | {changed[0]:.2f} | {changed[1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
