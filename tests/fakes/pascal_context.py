"""PASCAL-Context's release beside VOC 2010, tiny; and the PNG forms that others made of it."""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from parsenet.taxonomy.known import NAMES59, NAMES459
from tests.fakes.voc import write_palette_png

SPLITS = {
    "train": ("2008_000002", "2008_000003", "2009_000010"),
    "val": ("2008_000008", "2009_000020", "2010_000030"),
}


def write_pascal_context(
    root: Path, size: tuple[int, int] = (12, 16), seed: int = 0
) -> dict[str, np.ndarray]:
    """Write `trainval/*.mat`, the two lists of names, and `VOCdevkit/VOC2010`.

    Returns:
        the stored maps of 1..459 by id; every one shows table (397), bedclothes (19), cloth (80)
        and accordion (1, of no class).
    """
    generator = np.random.default_rng(seed)
    (root / "trainval").mkdir(parents=True)
    _write_names(root / "labels.txt", NAMES459)
    _write_names(root / "59_labels.txt", NAMES59)
    write_voc2010(root, size, generator)
    stored = {}
    for name in SPLITS["train"] + SPLITS["val"]:
        label = generator.integers(1, 460, (4, 5)).repeat(3, 0).repeat(4, 1)
        label = label[: size[0], : size[1]].astype(np.uint16)
        label[0, :5] = (397, 19, 80, 1, 459)
        savemat(root / "trainval" / f"{name}.mat", {"LabelMap": label}, do_compression=True)
        stored[name] = label
    return stored


def write_pngs(
    root: Path, folder: str, size: tuple[int, int] = (12, 16), seed: int = 0
) -> dict[str, np.ndarray]:
    """Write `folder/*.png` with values of 0..59, and `VOCdevkit/VOC2010`; return the values."""
    generator = np.random.default_rng(seed)
    (root / folder).mkdir(parents=True)
    write_voc2010(root, size, generator)
    stored = {}
    for name in SPLITS["train"] + SPLITS["val"]:
        stored[name] = generator.integers(0, 60, size).astype(np.uint8)
        stored[name][0, :3] = (0, 1, 59)
        write_palette_png(root / folder / f"{name}.png", stored[name], [0] * 768)
    return stored


def write_voc2010(root: Path, size: tuple[int, int], generator: np.random.Generator) -> None:
    """Write the images and the lists of the detection task."""
    voc = root / "VOCdevkit" / "VOC2010"
    (voc / "JPEGImages").mkdir(parents=True)
    (voc / "ImageSets" / "Main").mkdir(parents=True)
    for split, names in SPLITS.items():
        path = voc / "ImageSets" / "Main" / f"{split}.txt"
        path.write_text("".join(f"{name}\n" for name in names))
        for name in names:
            image = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(image).save(voc / "JPEGImages" / f"{name}.jpg")


def _write_names(path: Path, names: tuple[str, ...]) -> None:
    path.write_text("".join(f"{number}: {name}\n" for number, name in enumerate(names, start=1)))
