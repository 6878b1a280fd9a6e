"""PASCAL VOC 2012 segmentation, and SBD, which labels more of VOC's images."""

from __future__ import annotations

from pathlib import Path
from typing import final

from parsenet.data.base import PairedDataset, pair_files
from parsenet.data.labels import LabelMap, read_mask, read_matlab_label
from parsenet.data.lists import find_base, read_ids, refuse_split
from parsenet.data.sample import Transform
from parsenet.errors import ConfigError
from parsenet.taxonomy import VOC2012 as VOC2012_TAXONOMY
from parsenet.taxonomy import Recoding

_TITLE = "VOC 2012"
_URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/"
_SBD = "Extract `benchmark.tgz` of SBD there"
_SBD_RECODING = Recoding(VOC2012_TAXONOMY, {value: value for value in (*range(21), 255)})


@final
class VOC2012(PairedDataset):
    """PASCAL VOC 2012: photographs of 20 kinds of objects and background.

    | fact | value |
    |---|---|
    | splits | train 1,464; val 1,449; trainval 2,913; trainaug 10,582 (with SBD, no val image) |
    | images | JPEG, longer side about 500 pixels |
    | labels | palette PNG, 0 background, 1..20 objects |
    | void | 255: the border of objects and difficult ones; SBD labels have no border |
    | licence | Flickr terms of use of each image |
    | source | http://host.robots.ox.ac.uk/pascal/VOC/voc2012/; SBD: Hariharan et al., ICCV 2011 |

    Args:
        root: the folder with `JPEGImages`, or one that holds it as `VOC2012` or
            `VOCdevkit/VOC2012`.
        split: train, val, trainval or trainaug. The last reads `SegmentationClassAug`.
        transform: changes samples while training.
    """

    def __init__(self, root: Path, split: str, transform: Transform | None = None) -> None:
        refuse_split(_TITLE, split, ("train", "val", "trainval", "trainaug"))
        below, get = ("VOC2012", "VOCdevkit/VOC2012"), f"Get the data from {_URL}"
        base = find_base(root, below, "JPEGImages", _TITLE, get)
        is_augmented = split == "trainaug"
        lists = base / "ImageSets" / "Segmentation"
        path = lists / f"{split}.txt"
        remedy = f"Get it from {_URL}."
        hint = "Put SBD's list of 10,582 names there." if is_augmented else remedy
        ids = read_ids(path, f"{_TITLE} is not complete: '{path}' is missing. {hint}")
        if split in ("train", "trainaug"):
            _refuse_leak(split, ids, path, lists / "val.txt")
        labels = base / ("SegmentationClassAug" if is_augmented else "SegmentationClass")
        hint = "Put the labels of SBD, converted to PNG, there." if is_augmented else remedy
        pairs = pair_files(ids, (base / "JPEGImages", ".jpg"), (labels, ".png"), _TITLE, hint)
        self._set_pairs(pairs, VOC2012_TAXONOMY, transform)

    def decode(self, path: Path) -> LabelMap:
        """Read the label; the palette's indices, or its colours, are the classes."""
        return read_mask(path, VOC2012_TAXONOMY)


def _refuse_leak(split: str, ids: list[str], path: Path, val_path: Path) -> None:
    """Refuse training images that are validation images; nothing where there is no val list."""
    held_out = set(read_ids(val_path, "")) if val_path.is_file() else set()
    leaked = [name for name in ids if name in held_out]
    if leaked:
        raise ConfigError(
            f"The split `{split}` must hold no image of `val`, got {len(leaked)}, the first is "
            f"'{leaked[0]}'. Delete them from '{path}': a network is not scored on what it learnt."
        )


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
    """

    def __init__(self, root: Path, split: str, transform: Transform | None = None) -> None:
        refuse_split("SBD", split, ("train", "val", "trainval", "train_noval"))
        base = find_base(root, ("dataset", "benchmark_RELEASE/dataset"), "cls", "SBD", _SBD)
        ids = []
        for name in ("train", "val") if split == "trainval" else (split,):
            path = base / f"{name}.txt"
            ids += read_ids(path, f"SBD is not complete: '{path}' is missing. {_SBD}.")
        pairs = pair_files(ids, (base / "img", ".jpg"), (base / "cls", ".mat"), "SBD", f"{_SBD}.")
        self._set_pairs(pairs, VOC2012_TAXONOMY, transform)

    def decode(self, path: Path) -> LabelMap:
        """Read the class map out of the MATLAB record.

        Source: convert_sbdd.py of FCN (shelhamer/fcn.berkeleyvision.org).
        """
        return _SBD_RECODING(read_matlab_label(path, "GTcls", "Segmentation"), str(path))
