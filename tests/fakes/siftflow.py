"""SIFT Flow in its own layout, tiny."""

from pathlib import Path

import numpy as np
from scipy.io import savemat

from tests.fakes.voc import write_noise

FOLDER = "spatial_envelope_256x256_static_8outdoorcategories"
TRAIN = ("coast_art1", "forest_for121", "highway_bost181", "street_bost64")
TEST = ("coast_natu975", "insidecity_art947", "tallbuilding_urban9")


def write_siftflow(root: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Write images and labels; `highway_bost181` has no annotation, as in the real set.

    Returns:
        the stored semantic (0 void, 1..33) and geometric (-1 void, 1..3) maps by id. The test
        images show neither cow (9), desert (11) nor moon (16).
    """
    generator = np.random.default_rng(0)
    for kind in ("SemanticLabels", "GeoLabels"):
        (root / kind / FOLDER).mkdir(parents=True)
    # The real list is Windows': backslashes, and both characters at the end of a line.
    lines = "".join(f"{FOLDER}\\{name}.jpg\r\n" for name in TEST)
    (root / "TestSet1.txt").write_bytes(lines.encode())
    stored = {}
    for name in TRAIN + TEST:
        semantic = np.repeat(generator.integers(17, 34, (12, 1)), 16, axis=1)
        semantic[:2] = 0
        geometric = np.repeat(generator.integers(1, 4, (1, 16)), 12, axis=0)
        geometric[:, :2] = -1
        if name in TRAIN:
            semantic[5, :3] = (9, 11, 16)
        if name == "highway_bost181":
            semantic[:], geometric[:] = 0, -1
        write_noise(root / "Images" / FOLDER / f"{name}.jpg", generator, (12, 16))
        names = np.array([["awning"], ["balcony"]], object)
        semantic, geometric = semantic.astype(np.uint8), geometric.astype(np.float64)
        savemat(root / "SemanticLabels" / FOLDER / f"{name}.mat", {"S": semantic, "names": names})
        savemat(root / "GeoLabels" / FOLDER / f"{name}.mat", {"S": geometric})
        stored[name] = (semantic, geometric.astype(int))
    return stored
