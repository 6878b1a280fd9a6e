"""Guess how a folder of data is laid out, and say what was guessed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from parsenet.data.reading import is_image
from parsenet.errors import DataNotFoundError

IMAGE_FOLDERS = (
    "images", "image", "imgs", "img", "img_dir", "JPEGImages", "images", "photos", "rgb",
    "leftImg8bit", "inputs", "input",
)  # fmt: skip
LABEL_FOLDERS = (
    "labels", "label", "masks", "mask", "annotations", "annotation", "annot", "ann_dir", "gt",
    "gtFine", "SegmentationClass", "segmentations", "segmentation", "targets", "target",
)  # fmt: skip
TRAIN_NAMES = ("train", "training", "trainset")
VAL_NAMES = ("val", "valid", "validation", "test", "testing")

_TAXONOMY_NAMES = ("taxonomy.yaml", "classes.yaml", "taxonomy.yml", "classes.yml", "labels.yaml")
_LOOKED_AT = 200
"""Names from which the form of a folder's label names is guessed."""


@dataclass(frozen=True)
class Hints:
    """What the user says of a folder's layout; None where it is to be guessed."""

    images: str | None = None
    labels: str | None = None
    taxonomy: str | None = None
    train: str | None = None
    val: str | None = None

    @property
    def is_given(self) -> bool:
        """Whether there is a hint at all that a config would have said itself."""
        return any((self.images, self.labels, self.taxonomy))


class Guess(NamedTuple):
    """Options of a data set, and the sentence that says how they were found."""

    section: dict[str, Any]
    told: str
    has_split: bool = True


class _Shape(NamedTuple):
    """Where images and labels of a split are, as folders below the root."""

    images: str
    labels: str


class _Known(NamedTuple):
    """A data set that is known by what lies in its folder."""

    dataset: str
    title: str
    markers: tuple[str, ...]
    below: tuple[str, ...]
    train: tuple[str, ...]
    """Splits to train on, the first whose list is there."""
    val: str
    lists: str = ""
    """Where the lists of the splits are."""

    def find_train(self, base: Path) -> str:
        """Choose the split to train on."""
        there = (x for x in self.train if (base / self.lists / f"{x}.txt").is_file())
        return next(there, self.train[-1])


_KNOWN = (
    _Known(
        "voc2012",
        "PASCAL VOC 2012",
        ("JPEGImages", "ImageSets/Segmentation"),
        ("VOC2012", "VOCdevkit/VOC2012"),
        ("trainaug", "train"),
        "val",
        "ImageSets/Segmentation",
    ),
    _Known("camvid", "CamVid", ("train", "trainannot"), ("CamVid",), ("train",), "val"),
    _Known(
        "sbd", "SBD", ("img", "cls"), ("dataset", "benchmark_RELEASE/dataset"), ("train",), "val"
    ),
    _Known(
        "siftflow",
        "SIFT Flow",
        ("Images", "SemanticLabels"),
        ("SiftFlowDataset",),
        ("train",),
        "test",
    ),
    *(
        _Known("pascal_context60", "PASCAL-Context", markers, (), ("train",), "val")
        for markers in (("trainval", "labels.txt"), ("labels59",), ("SegmentationClassContext",))
    ),
)


def guess_layout(root: Path, hints: Hints = Hints()) -> Guess:
    """Guess the options that read a folder.

    Args:
        root: the folder.
        hints: what is known already; it is taken as it is.

    Raises:
        DataNotFoundError: nothing in the folder looks like images with labels.
    """
    if not hints.is_given:
        guess = _guess_known(root, hints) or _guess_coco(root, hints)
        if guess is not None:
            return guess
    return _guess_folder(root, hints)


def _guess_known(root: Path, hints: Hints) -> Guess | None:
    for known in _KNOWN:
        for base in (root, *(root / name for name in known.below)):
            if all((base / marker).exists() for marker in known.markers):
                section = {
                    "dataset": known.dataset,
                    "root": str(base),
                    "train_split": hints.train or known.find_train(base),
                    "val_split": hints.val or known.val,
                }
                listed = " and ".join(f"`{marker}`" for marker in known.markers)
                return Guess(section, f"Taken for {known.title}: '{base}' has {listed}.")
    return None


def _guess_coco(root: Path, hints: Hints) -> Guess | None:
    """Look for annotation files named after folders of images."""
    names = sorted((root / "annotations").glob("instances_*.json"))
    splits = [path.stem.removeprefix("instances_") for path in names]
    splits = [split for split in splits if (root / split).is_dir()]
    if not splits:
        return None
    train = hints.train or next((x for x in splits if x.startswith("train")), splits[0])
    val = hints.val or next((x for x in splits if x.startswith("val")), train)
    section = {"dataset": "coco", "root": str(root), "train_split": train, "val_split": val}
    return Guess(section, f"Taken for COCO: '{root}' has `annotations/{names[0].name}`.")


def _guess_folder(root: Path, hints: Hints) -> Guess:
    images, labels = hints.images, hints.labels
    train, val = hints.train or "train", hints.val or "val"
    if images is None or labels is None:
        shape, train, val = _find_shape(root, hints)
        images = images or f"{shape.images}/*"
        labels = labels or f"{shape.labels}/{_label_name(root, shape, train)}"
    has_split = "{split}" in images
    folder = {"images": images, "labels": labels}
    taxonomy = hints.taxonomy or _find_taxonomy(root)
    if taxonomy:
        folder["taxonomy"] = taxonomy
    section = {
        "dataset": "folder",
        "root": str(root),
        "folder": folder,
        "train_split": train,
        "val_split": val if has_split else train,
    }
    names = f"classes from '{taxonomy}'" if taxonomy else "classes unknown"
    told = f"Taken for a folder of images `{images}` with labels `{labels}`, {names}."
    return Guess(section, told, has_split)


def _find_shape(root: Path, hints: Hints) -> tuple[_Shape, str, str]:
    """Find a pair of folders with known names, with the splits inside, outside or nowhere."""
    for template in ("{kind}/{split}", "{split}/{kind}", "{kind}"):
        for image, label in _named_pairs(root, template, hints):
            shape = _Shape(*(template.replace("{kind}", kind) for kind in (image, label)))
            splits = _find_splits(root, shape, hints)
            if splits is not None:
                return shape, *splits
    raise DataNotFoundError(
        f"'{root}' must look like a data set that is known, or have folders such as `images` and "
        "`labels` (or `masks`), got none of them. Give `--images` and `--labels`, such as "
        "`--images 'photos/*.jpg' --labels 'masks/{stem}.png'`."
    )


def _named_pairs(root: Path, template: str, hints: Hints) -> Iterator[tuple[str, str]]:
    folders = _folders(root)
    if template.startswith("{split}"):
        outer = hints.train or next((x for x in TRAIN_NAMES if x in folders), None)
        folders = _folders(root / outer) if outer in folders else {}
    known = {name.lower(): name for name in folders}
    for image in IMAGE_FOLDERS:
        for label in LABEL_FOLDERS:
            if image.lower() in known and label.lower() in known:
                yield known[image.lower()], known[label.lower()]


def _find_splits(root: Path, shape: _Shape, hints: Hints) -> tuple[str, str] | None:
    """Name the folders of training and validation; None where the images are not there."""

    def holds(split: str) -> bool:
        return _has_images(root / shape.images.replace("{split}", split))

    if "{split}" not in shape.images:
        return ("all", "all") if holds("") else None
    train = hints.train or next((x for x in TRAIN_NAMES if holds(x)), None)
    if train is None:
        return None
    val = hints.val or next((x for x in VAL_NAMES if holds(x)), None)
    return train, val or train


def _label_name(root: Path, shape: _Shape, split: str) -> str:
    """Guess how a label is named after its image: what most label names add to a stem."""
    images = _images(root / shape.images.replace("{split}", split))
    labels = list(_images(root / shape.labels.replace("{split}", split)))[:_LOOKED_AT]
    stems = {path.stem for path in images}
    forms: Counter[str] = Counter()
    for path in labels:
        ends = [end for end in range(len(path.stem), 0, -1) if path.stem[:end] in stems]
        if ends:
            forms["{stem}" + path.stem[ends[0] :] + path.suffix] += 1
    return forms.most_common(1)[0][0] if forms else "{stem}.png"


def _find_taxonomy(root: Path) -> str:
    return next((name for name in _TAXONOMY_NAMES if (root / name).is_file()), "")


def _folders(root: Path) -> dict[str, Path]:
    return {path.name: path for path in root.iterdir() if path.is_dir()}


def _has_images(folder: Path) -> bool:
    return next(iter(_images(folder)), None) is not None


def _images(folder: Path) -> Iterable[Path]:
    return filter(is_image, folder.iterdir()) if folder.is_dir() else ()
