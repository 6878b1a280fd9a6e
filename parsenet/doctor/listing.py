"""List the files of a split, also where the loader would refuse it as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from parsenet.config import DataConfig
from parsenet.data.base import SegmentationDataset
from parsenet.data.build import build_dataset, taxonomy_of
from parsenet.data.labels import LabelMap
from parsenet.data.lists import read_ids
from parsenet.data.reading import is_image, read_image, read_index_label, read_mask
from parsenet.doctor.splits import Pair, Reading, Split
from parsenet.errors import ConfigError, ParseNetError
from parsenet.files import natural_key
from parsenet.taxonomy import VOC2012, LabelSet, Taxonomy, label_set_from, voc_colour_map

NUMBERS = Taxonomy("numbers", tuple(f"class {n}" for n in range(255)), voc_colour_map(255))
"""Stands in where nobody told the classes: every value but 255 is one."""


class _Files(NamedTuple):
    pairs: list[Pair]
    lone_images: list[Path]
    expected: list[Path]
    lone_labels: list[Path]
    repeated: list[tuple[Path, Path]]


def list_splits(config: DataConfig, has_split: bool = True) -> list[Split]:
    """List the splits that a config trains, validates and tests on, each once.

    Args:
        config: which data.
        has_split: whether training and validation images are told apart.

    Raises:
        ConfigError: the taxonomy or a template is wrong, or `root` is not set.
    """
    names = [config.train_split]
    if has_split:
        names += [config.val_split, config.test_split]
    splits = [_list_split(config, name) for name in dict.fromkeys(names)]
    # `test_split` has a default that not every data set has.
    return [x for x in splits if x.pairs or x.lone_images or x.name in names[:2]]


def taxonomy_for(config: DataConfig) -> Taxonomy:
    """Tell the classes of a data set, or let every value be one where nobody told them."""
    return _label_set(config).taxonomy if config.dataset == "folder" else taxonomy_of(config)


def _label_set(config: DataConfig) -> LabelSet:
    """Tell the classes of a folder and what stored values stand for."""
    if not config.folder.taxonomy:
        return LabelSet(NUMBERS, None)
    return label_set_from(Path(config.folder.taxonomy), config.root)


def _list_split(config: DataConfig, split: str) -> Split:
    taxonomy = taxonomy_for(config)
    if config.dataset == "folder" and config.root is not None:
        return _from_files(_list_folder(config, split), split, _label_set(config))
    refusal = ""
    try:
        dataset = build_dataset(config, split)
    except ParseNetError as error:
        if config.root is None:
            raise
        refusal, dataset = str(error), None
    files = _list_voc(config, split)
    if files is not None:
        return _from_files(files, split, LabelSet(taxonomy, None), refusal)
    if dataset is not None:
        return _from_dataset(dataset, split)
    return Split(split, (), _nothing(taxonomy), refusal=refusal)


def _from_files(files: _Files, split: str, label_set: LabelSet, refusal: str = "") -> Split:
    taxonomy, recoding = label_set

    def image(index: int) -> UInt8[np.ndarray, "h w 3"]:
        path = files.pairs[index].image
        assert path is not None
        return read_image(path)

    def label(index: int) -> LabelMap:
        path = files.pairs[index].label
        assert path is not None
        if taxonomy == VOC2012:
            return read_index_label(path)
        return read_mask(path, taxonomy, recoding)

    plain = {*range(taxonomy.num_classes), taxonomy.void}
    known = frozenset(plain if recoding is None else recoding.values)
    reading = Reading(image, label, taxonomy, known, is_plain=recoding is None)
    return Split(
        split,
        files.pairs,
        reading,
        files.lone_images,
        files.lone_labels,
        files.expected,
        files.repeated,
        refusal,
    )


def _from_dataset(dataset: SegmentationDataset, split: str) -> Split:
    """List the samples of a data set that its loader accepts."""
    pairs = []
    for index, name in enumerate(dataset.ids):
        label = Path(dataset.label_name(index))
        pairs.append(Pair(name, dataset.image_path(index), label if label.is_file() else None))

    def image(index: int) -> UInt8[np.ndarray, "h w 3"]:
        path = pairs[index].image
        return dataset.read(index).image if path is None else read_image(path)

    reading = Reading(image, dataset.read_label, dataset.taxonomy, None, is_plain=False)
    return Split(split, pairs, reading)


def _nothing(taxonomy: Taxonomy) -> Reading:
    def never(index: int) -> np.ndarray:
        raise IndexError(index)

    return Reading(never, never, taxonomy, None, is_plain=False)


def _list_folder(config: DataConfig, split: str) -> _Files:
    assert config.root is not None
    root, layout = config.root, config.folder
    images = _images(root.glob(_fill(layout.images, "images", split, "*")))
    named = {path: root / _fill(layout.labels, "labels", split, path.stem) for path in images}
    there = _images(root.glob(_fill(layout.labels, "labels", split, "*")))
    return _pair_up([(path.stem, path, named[path]) for path in images], set(there) - set(images))


def _list_voc(config: DataConfig, split: str) -> _Files | None:
    """List a VOC split by its list; None for other data sets, and where there is no list."""
    if config.dataset != "voc2012" or config.root is None:
        return None
    root = config.root
    for base in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
        path = base / "ImageSets" / "Segmentation" / f"{split}.txt"
        if path.is_file():
            folder = "SegmentationClassAug" if split == "trainaug" else "SegmentationClass"
            files = [
                (name, base / "JPEGImages" / f"{name}.jpg", base / folder / f"{name}.png")
                for name in read_ids(path, "")
            ]
            images = {path.stem for path in (base / "JPEGImages").glob("*.jpg")}
            labels = _images((base / folder).glob("*.png"))
            return _pair_up(files, {path for path in labels if path.stem not in images})
    return None


def _pair_up(files: Sequence[tuple[str, Path, Path]], labels: Iterable[Path]) -> _Files:
    """Sort files into pairs and what is left over.

    Args:
        files: id, image and label of every sample, there or not.
        labels: all labels that lie there.
    """
    pairs, lone_images, expected, lone_labels, repeated = [], [], [], [], []
    owners: dict[Path, Path] = {}
    for name, image, label in files:
        if owners.setdefault(label, image) is not image:
            repeated.append((owners[label], image))
        has_image, has_label = image.is_file(), label.is_file()
        if has_image and has_label:
            pairs.append(Pair(name, image, label))
        elif has_image:
            lone_images.append(image)
            expected.append(label)
        elif has_label:
            lone_labels.append(label)
        else:
            lone_images.append(image)
            expected.append(label)
    lone_labels += sorted(set(labels) - set(owners) - set(lone_labels))
    return _Files(pairs, lone_images, expected, lone_labels, repeated)


def _images(paths: Iterable[Path]) -> list[Path]:
    return sorted(filter(is_image, paths), key=natural_key)


def _fill(template: str, field: str, split: str, stem: str) -> str:
    """Put the words into a template of `FolderConfig`."""
    try:
        return template.format(split=split, stem=stem)
    except (KeyError, IndexError, ValueError):
        raise ConfigError(
            f"`folder.{field}` must use no placeholder but `{{split}}` and `{{stem}}`, got "
            f"'{template}'. Write '{{{{' for a brace."
        ) from None
