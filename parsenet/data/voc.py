"""PASCAL VOC 2012 segmentation, with or without the extra labels of SBD."""

from __future__ import annotations

from pathlib import Path
from typing import final

from parsenet.data.labels import LabelMap
from parsenet.data.lists import find_base, read_ids, refuse_leak, refuse_split, require_files
from parsenet.data.pairs import Pair, PairedDataset
from parsenet.data.reading import read_index_label
from parsenet.data.sample import Transform
from parsenet.taxonomy import VOC2012 as VOC2012_TAXONOMY

_TITLE = "VOC 2012"
_URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/"


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

    Raises:
        ConfigError: there is no such split, or a training image is one of val.
        DataNotFoundError: a folder, the split's list, or a file named by it is missing.
    """

    splits = ("train", "val", "trainval", "trainaug")

    def __init__(self, root: Path, split: str, transform: Transform | None = None) -> None:
        refuse_split(_TITLE, split, self.splits)
        base = find_base(
            root,
            ("VOC2012", "VOCdevkit/VOC2012"),
            "JPEGImages",
            _TITLE,
            f"Get the data from {_URL}",
        )
        is_augmented = split == "trainaug"
        lists = base / "ImageSets" / "Segmentation"
        path = lists / f"{split}.txt"
        hint = "Put SBD's list of 10,582 names there." if is_augmented else f"Get it from {_URL}."
        ids = read_ids(path, f"{_TITLE} is not complete: '{path}' is missing. {hint}")
        if split in ("train", "trainaug"):
            refuse_leak(split, ids, path, lists / "val.txt")
        images = base / "JPEGImages"
        labels = base / ("SegmentationClassAug" if is_augmented else "SegmentationClass")
        hint = (
            "Put the labels of SBD, converted to PNG, there."
            if is_augmented
            else f"Get it from {_URL}."
        )
        require_files(images, [f"{name}.jpg" for name in ids], _TITLE, hint)
        require_files(labels, [f"{name}.png" for name in ids], _TITLE, hint)
        pairs = [Pair(name, images / f"{name}.jpg", labels / f"{name}.png") for name in ids]
        self._set_pairs(pairs, VOC2012_TAXONOMY, transform)

    def decode(self, path: Path) -> LabelMap:
        """Read the label; the palette's indices are the classes."""
        return read_index_label(path)
