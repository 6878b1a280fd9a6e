"""SBD's release in its own layout, tiny."""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from tests.fakes.voc import draw_label


def write_sbd(
    root: Path, num_images: int = 3, size: tuple[int, int] = (10, 14), seed: int = 0
) -> dict[str, np.ndarray]:
    """Write `benchmark_RELEASE/dataset` with that many images each for train and val.

    Returns:
        the labels by id; they have no void.
    """
    generator = np.random.default_rng(seed)
    base = root / "benchmark_RELEASE" / "dataset"
    (base / "img").mkdir(parents=True)
    (base / "cls").mkdir()
    labels = {}
    for split, year in (("train", 2008), ("val", 2010)):
        names = [f"{year}_{number:06d}" for number in range(num_images)]
        (base / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for name in names:
            label = draw_label(generator, size, 21, border=False)
            image = np.repeat(label[..., None] * 10, 3, axis=2).astype(np.uint8)
            Image.fromarray(image).save(base / "img" / f"{name}.jpg", quality=95)
            write_record(base / "cls" / f"{name}.mat", label)
            labels[name] = label
    return labels


def write_record(path: Path, label: np.ndarray) -> None:
    """Write a label the way SBD stores it: in a record beside the boundaries."""
    present = np.setdiff1d(label, [0]).reshape(-1, 1)
    record = {
        "Boundaries": np.zeros((20, 1), object),
        "Segmentation": label,
        "CategoriesPresent": present,
    }
    savemat(path, {"GTcls": record}, do_compression=True)
