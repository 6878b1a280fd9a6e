"""PASCAL-Context's release beside VOC 2010, tiny; and the PNG forms that others made of it."""

from pathlib import Path

import numpy as np
from scipy.io import savemat

from parsenet.taxonomy import Taxonomy
from parsenet.taxonomy.known import NAMES59, NAMES459
from tests.fakes.voc import write_list, write_noise, write_png

BLACK = Taxonomy("black", ("black",), ((0, 0, 0),))
SPLITS = {
    "train": ("2008_000002", "2008_000003", "2009_000010"),
    "val": ("2008_000008", "2009_000020", "2010_000030"),
}


def write_pascal_context(root: Path) -> dict[str, np.ndarray]:
    """Write `trainval/*.mat`, the two lists of names, and `VOCdevkit/VOC2010`.

    Returns:
        the stored maps of 1..459 by id; every one shows table (397), bedclothes (19), cloth (80)
        and accordion (1, of no class).
    """
    generator = np.random.default_rng(0)
    (root / "trainval").mkdir(parents=True)
    _write_names(root / "labels.txt", NAMES459)
    _write_names(root / "59_labels.txt", NAMES59)
    write_voc2010(root, generator)
    stored = {}
    for name in SPLITS["train"] + SPLITS["val"]:
        label = generator.integers(1, 460, (4, 5)).repeat(3, 0).repeat(4, 1)
        label = label[:, :16].astype(np.uint16)
        label[0, :5] = (397, 19, 80, 1, 459)
        savemat(root / "trainval" / f"{name}.mat", {"LabelMap": label}, do_compression=True)
        stored[name] = label
    return stored


def write_pngs(root: Path, folder: str) -> dict[str, np.ndarray]:
    """Write `folder/*.png` with values of 0..59, and `VOCdevkit/VOC2010`; return the values."""
    generator = np.random.default_rng(0)
    write_voc2010(root, generator)
    stored = {}
    for name in SPLITS["train"] + SPLITS["val"]:
        stored[name] = generator.integers(0, 60, (12, 16)).astype(np.uint8)
        stored[name][0, :3] = (0, 1, 59)
        write_png(root / folder / f"{name}.png", stored[name], BLACK)
    return stored


def write_voc2010(root: Path, generator: np.random.Generator) -> None:
    """Write the images and the lists of the detection task."""
    voc = root / "VOCdevkit" / "VOC2010"
    for split, names in SPLITS.items():
        write_list(voc / "ImageSets" / "Main" / f"{split}.txt", names)
        for name in names:
            write_noise(voc / "JPEGImages" / f"{name}.jpg", generator, (12, 16))


def _write_names(path: Path, names: tuple[str, ...]) -> None:
    write_list(path, (f"{number}: {name}" for number, name in enumerate(names, start=1)))
