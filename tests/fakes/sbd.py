"""SBD's release in its own layout, tiny."""

from pathlib import Path

import numpy as np
from scipy.io import savemat

from tests.fakes.voc import draw_label, write_list, write_png


def write_sbd(root: Path) -> dict[str, np.ndarray]:
    """Write `benchmark_RELEASE/dataset`; return the labels by id, which have no void."""
    generator = np.random.default_rng(0)
    base = root / "benchmark_RELEASE" / "dataset"
    (base / "cls").mkdir(parents=True)
    labels = {}
    for split, year in (("train", 2008), ("val", 2010)):
        names = [f"{year}_{number:06d}" for number in range(3)]
        write_list(base / f"{split}.txt", names)
        for name in names:
            label = labels[name] = draw_label(generator, (10, 14), 21, border=False)
            image = np.repeat(label[..., None] * 10, 3, axis=2)
            write_png(base / "img" / f"{name}.jpg", image, quality=95)
            write_record(base / "cls" / f"{name}.mat", label)
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
