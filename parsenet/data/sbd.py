"""SBD, the Semantic Boundaries Dataset, in the layout of its release."""

from __future__ import annotations

from pathlib import Path
from typing import final

from parsenet.data.labels import LabelMap
from parsenet.data.lists import find_base, read_ids, refuse_split, require_files
from parsenet.data.matlab import read_segmentation, whole_numbers
from parsenet.data.pairs import Pair, PairedDataset
from parsenet.data.sample import Transform
from parsenet.taxonomy import VOC2012, Recoding

_TITLE = "SBD"
_REMEDY = "Extract `benchmark.tgz` of SBD there"
_RECODING = Recoding(VOC2012, {value: value for value in (*range(21), 255)})


@final
class SBD(PairedDataset):
    """SBD: labels of VOC's 20 kinds of objects for 11,355 images of VOC 2011.

    | fact | value |
    |---|---|
    | splits | train 8,498; val 2,857; trainval 11,355; train_noval where its list was added |
    | images | JPEG, longer side about 500 pixels, from VOC 2011 |
    | labels | MATLAB, `GTcls.Segmentation`: 0 background, 1..20 objects |
    | void | none: objects have no border |
    | licence | Flickr terms of use of each image |
    | source | Hariharan et al., Semantic Contours from Inverse Detectors, ICCV 2011 |

    Its splits are not VOC's: train and val hold images of VOC 2012's val, so a network trained on
    them must not be scored on that. `voc2012` with `trainaug` leaves them out.

    Args:
        root: the folder with `img` and `cls`, or one that holds it as `dataset` or
            `benchmark_RELEASE/dataset`.
        split: train, val, trainval, or train_noval (a list that others made, without VOC 2012's
            val).
        transform: changes samples while training.

    Raises:
        ConfigError: there is no such split, or scipy is not installed.
        DataNotFoundError: a folder, the split's list, or a file named by it is missing.
    """

    splits = ("train", "val", "trainval", "train_noval")

    def __init__(self, root: Path, split: str, transform: Transform | None = None) -> None:
        refuse_split(_TITLE, split, self.splits)
        base = find_base(root, ("dataset", "benchmark_RELEASE/dataset"), "cls", _TITLE, _REMEDY)
        ids = []
        for name in ("train", "val") if split == "trainval" else (split,):
            path = base / f"{name}.txt"
            ids += read_ids(path, f"{_TITLE} is not complete: '{path}' is missing. {_REMEDY}.")
        images, labels = base / "img", base / "cls"
        require_files(images, [f"{name}.jpg" for name in ids], _TITLE, f"{_REMEDY}.")
        require_files(labels, [f"{name}.mat" for name in ids], _TITLE, f"{_REMEDY}.")
        pairs = [Pair(name, images / f"{name}.jpg", labels / f"{name}.mat") for name in ids]
        self._set_pairs(pairs, VOC2012, transform)

    def decode(self, path: Path) -> LabelMap:
        """Read the class map out of the MATLAB record.

        Source: convert_sbdd.py of FCN (shelhamer/fcn.berkeleyvision.org).
        """
        return _RECODING(whole_numbers(read_segmentation(path), path), str(path))
