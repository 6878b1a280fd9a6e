"""PASCAL-Context: every pixel of VOC 2010's images, with 59, 60 or 459 classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, final

from parsenet.data.base import PairedDataset, pair_files
from parsenet.data.labels import LabelMap, read_matlab_label, read_stored_label
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

Protocol = Literal[59, 60, 459]

_TITLE = "PASCAL-Context"
_REMEDY = "Get `trainval.tar.gz` from cs.stanford.edu/~roozbeh/pascal-context"
_VOC_REMEDY = "Put the folder `JPEGImages` of VOC 2010 there, or a link to it."
_VOC = ("VOC2010", "VOCdevkit/VOC2010", "VOC2012", "VOCdevkit/VOC2012")
RENAMED = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}
"""Names of the task that the annotation spells otherwise (FCN's pascalcontext_layers.py)."""

SOURCES59 = tuple(NAMES459.index(RENAMED.get(name, name)) + 1 for name in NAMES59)
"""The value that the annotation stores for each class of the task."""

_TAXONOMIES = {59: PASCAL_CONTEXT59, 60: PASCAL_CONTEXT60, 459: PASCAL_CONTEXT459}


class _Form(NamedTuple):
    """A way in which the labels are handed around."""

    folder: str
    suffix: str


_FORMS = (
    _Form("trainval", ".mat"),
    _Form("labels59", ".png"),
    _Form("SegmentationClassContext", ".png"),
)


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

    Raises:
        ConfigError: there is no such split, it is another year's, `labels.txt` lacks a name, or
            scipy is not installed.
        DataNotFoundError: a folder or a file is missing.
    """

    splits = ("train", "val", "trainval")

    def __init__(
        self,
        root: Path,
        split: str,
        protocol: Protocol = 60,
        transform: Transform | None = None,
    ) -> None:
        form = next((form for form in _FORMS if (root / form.folder).is_dir()), _FORMS[0])
        find_base(root, (), form.folder, _TITLE, _REMEDY)
        if protocol == 459 and form.suffix != ".mat":
            raise ConfigError(
                f"`dataset: pascal_context459` must have the release's MATLAB files, got "
                f"'{root / form.folder}'. {_REMEDY}, or use pascal_context60."
            )
        voc = _find_images(root)
        ids = _find_ids(root, voc, split, self.splits)
        images, labels = voc / "JPEGImages", root / form.folder
        require_files(images, [f"{name}.jpg" for name in ids], _TITLE, _VOC_REMEDY)
        pairs = pair_files(ids, (images, ".jpg"), (labels, form.suffix), _TITLE, f"{_REMEDY}.")
        self._recoding = Recoding(_TAXONOMIES[protocol], _values(root, form, protocol))
        self._set_pairs(pairs, self._recoding.taxonomy, transform)

    def decode(self, path: Path) -> LabelMap:
        """Read the label in the form it has.

        Source: pascalcontext_layers.py of FCN (shelhamer/fcn.berkeleyvision.org).
        """
        if path.suffix == ".mat":
            stored = read_matlab_label(path, "LabelMap")
        else:
            stored = read_stored_label(path)
        return self._recoding(stored, str(path))


def _find_images(root: Path) -> Path:
    """Return the folder of VOC that holds `JPEGImages`."""
    for base in (root, *(root / name for name in _VOC)):
        if (base / "JPEGImages").is_dir():
            return base
    raise DataNotFoundError(
        f"The images of {_TITLE} were not found in '{root}': 'JPEGImages' is missing. {_VOC_REMEDY}"
    )


def _values(root: Path, form: _Form, protocol: Protocol) -> Mapping[int, int]:
    """Tell what each stored value stands for."""
    taxonomy = _TAXONOMIES[protocol]
    if form.suffix == ".mat":
        names = _read_names(root / "labels.txt")
        if protocol == 459:
            indices = {name: index for index, name in enumerate(taxonomy.names)}
            return {0: taxonomy.void} | {value: indices[names[value]] for value in names}
        background = taxonomy.void if protocol == 59 else 0
        return dict.fromkeys((0, *names), background) | _task_values(names, taxonomy)
    order = list(range(59))
    if form.folder == "SegmentationClassContext":
        order = sorted(order, key=SOURCES59.__getitem__)
    first = 0 if protocol == 59 else 1
    background = taxonomy.void if protocol == 59 else 0
    known = {0: background, 255: taxonomy.void}
    return known | {value: index + first for value, index in enumerate(order, start=1)}


def _task_values(names: Mapping[int, str], taxonomy: Taxonomy) -> dict[int, int]:
    """Find the classes of the task among the names of the annotation."""
    values = {name: value for value, name in names.items()}
    return {
        values[RENAMED.get(name, name)]: index
        for index, name in enumerate(taxonomy.names)
        if name != "background"
    }


def _read_names(path: Path) -> dict[int, str]:
    """Read the names of the 459 labels; the built-in ones where the release's list is missing."""
    names = dict(enumerate(PASCAL_CONTEXT459.names, start=1))
    if not path.is_file():
        return names
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    found = {}
    for line in filter(str.strip, lines):
        number, _, name = line.partition(":")
        if not number.strip().isdigit() or not name.strip():
            raise ConfigError(f"'{path}' must hold lines such as '1: accordion', got '{line}'.")
        found[int(number)] = " ".join(name.split())
    if sorted(found.values()) != sorted(names.values()):
        odd = sorted(set(found.values()) ^ set(names.values()))
        raise ConfigError(
            f"'{path}' must name the {len(names)} labels of the release, got {len(found)}; "
            f"'{odd[0] if odd else next(iter(found.values()))}' is not in both. {_REMEDY}."
        )
    return found


def _find_ids(root: Path, voc: Path, split: str, splits: tuple[str, ...]) -> list[str]:
    """Read a split from a list in the root, or from VOC 2010's own lists."""
    folders = [root, root / "ImageSets" / "SegmentationContext"]
    folders += [voc / "ImageSets" / "SegmentationContext", voc / "ImageSets" / "Main"]
    if voc.name == "VOC2012":
        folders.pop()  # other images
    listed = [folder / f"{split}.txt" for folder in folders]
    path = next((path for path in listed if path.is_file()), None)
    if path is None and split == "trainval":
        parts = [_find_ids(root, voc, part, splits) for part in ("train", "val")]
        return [name for part in parts for name in part]
    if path is None and split not in splits:
        raise ConfigError(
            f"`split` of {_TITLE} must be one of {', '.join(splits)} or a list in '{root}', got "
            f"'{split}'. {suggest(split, splits)}"
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
