"""SIFT Flow: outdoor scenes with 33 semantic or 3 geometric classes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import final

from parsenet.data.base import PairedDataset, pair_files
from parsenet.data.labels import LabelMap, read_matlab_label
from parsenet.data.lists import find_base, read_ids, refuse_split
from parsenet.data.sample import Transform
from parsenet.errors import DataNotFoundError
from parsenet.taxonomy import SIFTFLOW, SIFTFLOW_GEO, Recoding

UNANNOTATED = frozenset({"highway_bost181", "street_urb506"})
"""Training images that nobody annotated (FCN's classes.txt)."""

_LOGGER = logging.getLogger(__name__)
_TITLE = "SIFT Flow"
_FOLDER = "spatial_envelope_256x256_static_8outdoorcategories"
_REMEDY = "Extract `SiftFlowDataset.zip` there"
_LISTS = ("TestSet1.txt", "test.txt")

_SEMANTIC = Recoding(SIFTFLOW, {0: 255} | {value: value - 1 for value in range(1, 34)})
_GEOMETRIC = Recoding(SIFTFLOW_GEO, {-1: 255, 0: 255, 1: 0, 2: 1, 3: 2})


@final
class SiftFlow(PairedDataset):
    """SIFT Flow: 2,688 photographs of coasts, forests, mountains, streets and towns.

    | fact | value |
    |---|---|
    | splits | train 2,488; test 200 (`TestSet1.txt`) |
    | images | JPEG, 256 x 256 |
    | labels | MATLAB, `S`: 33 semantic classes, or sky, horizontal, vertical |
    | void | stored as 0, in the geometric labels as -1; 255 here |
    | licence | that of LabelMe; for research |
    | source | Liu, Yuen, Torralba, CVPR 2009; Tighe and Lazebnik, ECCV 2010 (geometric labels) |

    The training images `highway_bost181` and `street_urb506` were never annotated. They are void
    all over, which teaches nothing, or are left out (2,486, FCN's list) where their label files
    are missing.

    The test set shows no cow, desert or moon. Scores leave classes without ground truth out of
    their means, as the authors do: means are over 30 classes.

    Args:
        root: the folder with `Images`, or one that holds it as `SiftFlowDataset`.
        split: train or test.
        is_geometric: read the 3 geometric classes, not the 33 semantic ones.
        transform: changes samples while training.
    """

    def __init__(
        self,
        root: Path,
        split: str,
        is_geometric: bool = False,
        transform: Transform | None = None,
    ) -> None:
        refuse_split(_TITLE, split, ("train", "test"))
        base = find_base(root, ("SiftFlowDataset",), f"Images/{_FOLDER}", _TITLE, _REMEDY)
        images = base / "Images" / _FOLDER
        labels = base / ("GeoLabels" if is_geometric else "SemanticLabels") / _FOLDER
        listed = next((base / name for name in _LISTS if (base / name).is_file()), base / _LISTS[0])
        ids = read_ids(listed, f"{_TITLE} is not complete: '{listed}' is missing. {_REMEDY}.")
        if split == "train":
            ids = _rest(images, labels, set(ids))
        pairs = pair_files(ids, (images, ".jpg"), (labels, ".mat"), _TITLE, f"{_REMEDY}.")
        self._recoding = _GEOMETRIC if is_geometric else _SEMANTIC
        self._set_pairs(pairs, self._recoding.taxonomy, transform)

    def decode(self, path: Path) -> LabelMap:
        """Read the map, and count classes from 0.

        Source: siftflow_layers.py of FCN (shelhamer/fcn.berkeleyvision.org).
        """
        return self._recoding(read_matlab_label(path, "S"), str(path))


def _rest(images: Path, labels: Path, tested: set[str]) -> list[str]:
    """Name the images that are not of the test set."""
    ids = sorted(path.stem for path in images.glob("*.jpg") if path.stem not in tested)
    if not ids:
        raise DataNotFoundError(
            f"'{images}' must hold images beside those of the test set, got none. {_REMEDY}."
        )
    lone = {name for name in UNANNOTATED & set(ids) if not (labels / f"{name}.mat").is_file()}
    if lone:
        _LOGGER.info("Left out, for want of an annotation: %s.", ", ".join(sorted(lone)))
    return [name for name in ids if name not in lone]
