"""PASCAL VOC 2012 segmentation, with or without the extra labels of SBD."""

from __future__ import annotations

from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import UInt8

from parsenet.data.base import SegmentationDataset
from parsenet.data.reading import read_image, read_index_label
from parsenet.data.sample import Sample, Transform
from parsenet.errors import ConfigError, DataNotFoundError, suggest
from parsenet.taxonomy import VOC2012 as VOC2012_TAXONOMY

_URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/"


@final
class VOC2012(SegmentationDataset):
    """PASCAL VOC 2012: photographs of 20 kinds of objects and background.

    | fact | value |
    |---|---|
    | splits | train 1,464; val 1,449; trainval 2,913; trainaug 10,582 (with SBD, no val picture) |
    | pictures | JPEG, longer side about 500 pixels |
    | labels | palette PNG, 0 background, 1..20 objects |
    | void | 255: the border of objects and difficult ones; SBD labels have no border |
    | licence | Flickr terms of use of each picture |
    | source | http://host.robots.ox.ac.uk/pascal/VOC/voc2012/; SBD: Hariharan et al., ICCV 2011 |

    Args:
        root: the folder with `JPEGImages`, or one that holds it as `VOC2012` or
            `VOCdevkit/VOC2012`.
        split: train, val, trainval or trainaug. The last reads `SegmentationClassAug`.
        transform: changes samples while training.

    Raises:
        ConfigError: there is no such split.
        DataNotFoundError: a folder, the split's list, or a file named by it is missing.
    """

    splits = ("train", "val", "trainval", "trainaug")

    def __init__(self, root: Path, split: str, transform: Transform | None = None) -> None:
        if split not in self.splits:
            raise ConfigError(
                f"`split` of VOC 2012 must be one of {', '.join(self.splits)}, got '{split}'. "
                f"{suggest(split, self.splits)}"
            )
        base = _find_base(root)
        self.taxonomy = VOC2012_TAXONOMY
        self.transform = transform
        self.ids = _read_list(base / "ImageSets" / "Segmentation" / f"{split}.txt")
        self._image_dir = base / "JPEGImages"
        self._label_dir = base / (
            "SegmentationClassAug" if split == "trainaug" else "SegmentationClass"
        )
        _require_files(self._image_dir, [f"{name}.jpg" for name in self.ids])
        _require_files(self._label_dir, [f"{name}.png" for name in self.ids])

    def read(self, index: int) -> Sample:
        """Read picture and label."""
        name = self.ids[index]
        return Sample(read_image(self._image_dir / f"{name}.jpg"), self.read_label(index), name)

    def read_label(self, index: int) -> UInt8[np.ndarray, "h w"]:
        """Read the label; the palette's indices are the classes."""
        return read_index_label(self._label_dir / f"{self.ids[index]}.png")

    def label_name(self, index: int) -> str:
        """Name the label's file."""
        return str(self._label_dir / f"{self.ids[index]}.png")


def _find_base(root: Path) -> Path:
    for base in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
        if (base / "JPEGImages").is_dir():
            return base
    raise DataNotFoundError(
        f"VOC 2012 was not found in '{root}': 'JPEGImages' is missing. Get the data from {_URL} and"
        " set `data.root` to the folder that holds 'JPEGImages'."
    )


def _read_list(path: Path) -> list[str]:
    """Read the ids of a split; lists that give two paths per line (DeepLab's) are understood."""
    if not path.is_file():
        raise DataNotFoundError(
            f"VOC 2012 is not complete: '{path}' is missing. "
            + (
                "Put SBD's list of 10,582 names there."
                if path.stem == "trainaug"
                else f"Get it from {_URL}."
            )
        )
    lines = path.read_text(encoding="utf-8").split("\n")
    ids = [Path(line.split()[0]).stem for line in lines if line.strip()]
    if not ids:
        raise DataNotFoundError(
            f"'{path}' must name at least one picture, got none. Write one name per line."
        )
    return ids


def _require_files(folder: Path, names: list[str]) -> None:
    if not folder.is_dir():
        raise DataNotFoundError(
            f"VOC 2012 is not complete: the folder '{folder}' is missing. "
            + (
                "Put the labels of SBD, converted to PNG, there."
                if folder.name == "SegmentationClassAug"
                else f"Get it from {_URL}."
            )
        )
    there = {path.name for path in folder.iterdir()}
    missing = [name for name in names if name not in there]
    if missing:
        raise DataNotFoundError(
            f"VOC 2012 is not complete: {len(missing)} of {len(names)} files are missing in "
            f"'{folder}', the first is '{missing[0]}'. Copy them there or shorten the split's list."
        )
