"""PASCAL-Context: every pixel of VOC 2010's images, with 59, 60 or 459 classes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, final

from parsenet.data.base import PairedDataset, pair_files
from parsenet.data.labels import LabelMap, read_mask, read_matlab_label
from parsenet.data.lists import find_base, read_ids, require_files
from parsenet.data.sample import Transform
from parsenet.errors import ConfigError, DataNotFoundError, suggest
from parsenet.taxonomy import (
    PASCAL_CONTEXT59,
    PASCAL_CONTEXT60,
    PASCAL_CONTEXT459,
    Recoding,
    Taxonomy,
)
from parsenet.taxonomy.known import NAMES59, NAMES459

_TITLE = "PASCAL-Context"
_SPLITS = ("train", "val", "trainval")
_REMEDY = "Get `trainval.tar.gz` from cs.stanford.edu/~roozbeh/pascal-context"
_VOC_REMEDY = "Put the folder `JPEGImages` of VOC 2010 there, or a link to it."
_VOC = ("", "VOC2010", "VOCdevkit/VOC2010", "VOC2012", "VOCdevkit/VOC2012")
RENAMED = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}
"""Names of the task that the annotation spells otherwise (FCN's pascalcontext_layers.py)."""

_SUFFIXES = {"trainval": ".mat", "labels59": ".png", "SegmentationClassContext": ".png"}
"""The folders that the labels are handed around in, and their form."""


@final
class PascalContext(PairedDataset):
    """PASCAL-Context: the images of VOC 2010's detection task, labelled all over.

    | fact | value |
    |---|---|
    | splits | train 4,998; val 5,105 (VOC 2010's `ImageSets/Main`); trainval 10,103 |
    | images | JPEG of VOC 2010, longer side about 500 pixels; VOC 2012 holds them as well |
    | labels | MATLAB, `LabelMap` of 459 labels; or PNG of 59 classes, 0 background |
    | classes | the 59 most frequent ones; what else is labelled is background |
    | void | none, but background with 59 classes |
    | licence | Flickr terms of use of each image; labels for research |
    | source | Mottaghi et al., CVPR 2014; cs.stanford.edu/~roozbeh/pascal-context |

    Scores with 59 and with 60 classes differ by some 5 points for the same network and must not be
    compared. ParseNet's paper counts 60: background is a class like the others.

    The labels are looked for in three folders: `trainval` (the release), `labels59` (PNG, classes
    in FCN's order, which is ours) and `SegmentationClassContext` (PNG as mmsegmentation makes them,
    classes in the annotation's order).

    Args:
        root: the folder with the labels; `JPEGImages` lies in it, or in `VOC2010`, `VOC2012` or
            `VOCdevkit` within it.
        split: train, val, trainval, or the name of a list `SPLIT.txt` in the root.
        protocol: 59 (background is void), 60 (background is class 0), or 459 (all labels).
        transform: changes samples while training.
    """

    def __init__(
        self,
        root: Path,
        split: str,
        protocol: Literal[59, 60, 459] = 60,
        transform: Transform | None = None,
    ) -> None:
        folder = next((name for name in _SUFFIXES if (root / name).is_dir()), "trainval")
        find_base(root, (), folder, _TITLE, _REMEDY)
        if protocol == 459 and folder != "trainval":
            raise ConfigError(
                f"`dataset: pascal_context459` must have the release's MATLAB files, got "
                f"'{root / folder}'. {_REMEDY}, or use pascal_context60."
            )
        voc = next((root / x for x in _VOC if (root / x / "JPEGImages").is_dir()), None)
        if voc is None:
            raise DataNotFoundError(
                f"The images of {_TITLE} were not found in '{root}': 'JPEGImages' is missing. "
                f"{_VOC_REMEDY}"
            )
        ids = _find_ids(root, voc, split)
        images, labels = voc / "JPEGImages", root / folder
        require_files(images, [f"{name}.jpg" for name in ids], _TITLE, _VOC_REMEDY)
        ends = (images, ".jpg"), (labels, _SUFFIXES[folder])
        pairs = pair_files(ids, *ends, _TITLE, f"{_REMEDY}.")
        taxonomy = {59: PASCAL_CONTEXT59, 60: PASCAL_CONTEXT60, 459: PASCAL_CONTEXT459}[protocol]
        self._recoding = Recoding(taxonomy, _read_values(root, folder, taxonomy))
        self._set_pairs(pairs, taxonomy, transform)

    def decode(self, path: Path) -> LabelMap:
        """Read the label in the form it has.

        Source: pascalcontext_layers.py of FCN (shelhamer/fcn.berkeleyvision.org).
        """
        if path.suffix == ".mat":
            return self._recoding(read_matlab_label(path, "LabelMap"), str(path))
        return read_mask(path, self.taxonomy, self._recoding)


def _read_values(root: Path, folder: str, taxonomy: Taxonomy) -> dict[int, int]:
    """Tell what each stored value stands for."""
    rest = 0 if "background" in taxonomy.names else taxonomy.void
    known = {0: rest}
    indices = {name: index for index, name in enumerate(taxonomy.names)}
    if folder == "trainval":
        names = _read_names(root / "labels.txt")
        if taxonomy is not PASCAL_CONTEXT459:
            indices = {RENAMED.get(name, name): index for name, index in indices.items()}
    else:
        known[255] = taxonomy.void
        listed = list(NAMES59)
        if folder == "SegmentationClassContext":
            listed.sort(key=lambda name: NAMES459.index(RENAMED.get(name, name)))
        names = dict(enumerate(listed, start=1))
    return known | {value: indices.get(name, rest) for value, name in names.items()}


def _read_names(path: Path) -> dict[int, str]:
    """Read the names of the 459 labels; the built-in ones where the release's list is missing."""
    names = dict(enumerate(NAMES459, start=1))
    if not path.is_file():
        return names
    found = {}
    for line in filter(str.strip, path.read_text(encoding="utf-8-sig").split("\n")):
        number, _, name = line.partition(":")
        if not number.strip().isdigit() or not name.strip():
            raise ConfigError(f"'{path}' must hold lines such as '1: accordion', got '{line}'.")
        found[int(number)] = " ".join(name.split())
    if sorted(found.values()) != sorted(NAMES459):
        odd = sorted(set(found.values()) ^ set(NAMES459)) or list(found.values())
        raise ConfigError(
            f"'{path}' must name the {len(NAMES459)} labels of the release, got {len(found)}; "
            f"'{odd[0]}' is not in both. {_REMEDY}."
        )
    return found


def _find_ids(root: Path, voc: Path, split: str) -> list[str]:
    """Read a split from a list in the root, or from VOC 2010's own lists."""
    folders = [root, *(base / "ImageSets/SegmentationContext" for base in (root, voc))]
    if voc.name != "VOC2012":  # its lists are of other images
        folders.append(voc / "ImageSets/Main")
    listed = [folder / f"{split}.txt" for folder in folders]
    path = next((path for path in listed if path.is_file()), None)
    if path is None and split == "trainval":
        return _find_ids(root, voc, "train") + _find_ids(root, voc, "val")
    if path is None and split not in _SPLITS:
        raise ConfigError(
            f"`split` of {_TITLE} must be one of {', '.join(_SPLITS)} or a list in '{root}', got "
            f"'{split}'. {suggest(split, _SPLITS)}"
        )
    if path is None:
        raise DataNotFoundError(
            f"{_TITLE} is not complete: '{listed[0]}' is missing. Copy "
            f"'ImageSets/Main/{split}.txt' of VOC 2010 there."
        )
    ids = read_ids(path, "")
    later = next((name for name in ids if name[:4].isdigit() and name[:4] > "2010"), None)
    if later:
        raise ConfigError(
            f"'{path}' must list images of VOC 2010, got '{later}'. It is a later year's list: "
            f"copy 'ImageSets/Main/{split}.txt' of VOC 2010 to '{listed[0]}'."
        )
    return ids
