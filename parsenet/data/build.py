"""From options to a data set: the one table of names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from parsenet import taxonomy as taxonomies
from parsenet.config import DataConfig
from parsenet.data.base import SegmentationDataset
from parsenet.data.camvid import CamVid
from parsenet.data.coco import CocoDataset, coco_taxonomy
from parsenet.data.folder import FolderDataset
from parsenet.data.pascal_context import PascalContext
from parsenet.data.sample import Transform
from parsenet.data.shapes import Shapes
from parsenet.data.siftflow import SiftFlow
from parsenet.data.voc import SBD, VOC2012
from parsenet.errors import ConfigError, suggest
from parsenet.taxonomy import TAXONOMIES, LabelSet, Taxonomy, label_set_from


class _Entry(NamedTuple):
    """How a data set is built, and its classes told without reading any of it."""

    build: Callable[[DataConfig, str, Transform | None], SegmentationDataset]
    taxonomy: Callable[[DataConfig], Taxonomy]


def build_dataset(config: DataConfig, split: str, train: bool = False) -> SegmentationDataset:
    """Build one split of a data set.

    Args:
        config: which data, and what training does to them.
        split: a split of that data set.
        train: augment the samples as `config` says; otherwise images keep their native size.

    Raises:
        ConfigError: the data set, the split or a transform is unknown, or `root` or the taxonomy is
            not set.
        DataNotFoundError: a folder or file is missing.
    """
    entry = _entry_of(config)
    transform = None
    if train:
        # Not needed for scoring and prediction, whose install has no albumentations.
        from parsenet.data.transforms import Augmentation

        transform = Augmentation(config.recipe, entry.taxonomy(config).void, config.transforms)
    return entry.build(config, split, transform)


def taxonomy_of(config: DataConfig) -> Taxonomy:
    """Tell the classes of a data set without reading any of it.

    Raises:
        ConfigError: the data set is unknown, or `folder.taxonomy` is not set, unknown, or not a
            taxonomy file.
    """
    return _entry_of(config).taxonomy(config)


def _entry_of(config: DataConfig) -> _Entry:
    if config.dataset not in _TABLE:
        raise ConfigError(
            f"`data.dataset` must be a known name, got '{config.dataset}'. "
            f"{suggest(config.dataset, _TABLE)}"
        )
    return _TABLE[config.dataset]


def _root_of(config: DataConfig) -> Path:
    if config.root is None:
        raise ConfigError(
            f"`data.root` must be set for `dataset: {config.dataset}`. Give the folder that holds "
            "the data, or use `dataset: shapes`, which needs none."
        )
    return config.root


def _folder_label_set(config: DataConfig) -> LabelSet:
    """Find the taxonomy of a folder: a built-in name, or a file seen from here or from `root`."""
    name = config.folder.taxonomy
    if not name:
        raise ConfigError(
            "`data.folder.taxonomy` must be set for `dataset: folder`. Give a YAML file with "
            f"`names:`, or a known name ({', '.join(TAXONOMIES)})."
        )
    return label_set_from(Path(name), config.root)


def _coco_taxonomy(config: DataConfig) -> Taxonomy:
    return coco_taxonomy(_root_of(config), config.train_split, config.coco)


def _known(kind: Callable[..., SegmentationDataset], taxonomy: Taxonomy, *more: object) -> _Entry:
    """Enter a data set that is built from its root and split, with classes of its own."""
    return _Entry(
        lambda config, split, transform: kind(_root_of(config), split, *more, transform=transform),
        lambda config: taxonomy,
    )


_TABLE = {
    "voc2012": _known(VOC2012, taxonomies.VOC2012),
    "sbd": _known(SBD, taxonomies.VOC2012),
    "siftflow": _known(SiftFlow, taxonomies.SIFTFLOW, False),
    "siftflow_geo": _known(SiftFlow, taxonomies.SIFTFLOW_GEO, True),
    "pascal_context59": _known(PascalContext, taxonomies.PASCAL_CONTEXT59, 59),
    "pascal_context60": _known(PascalContext, taxonomies.PASCAL_CONTEXT60, 60),
    "pascal_context459": _known(PascalContext, taxonomies.PASCAL_CONTEXT459, 459),
    "camvid": _known(CamVid, taxonomies.CAMVID),
    "coco": _Entry(
        lambda config, split, transform: CocoDataset(
            _root_of(config), split, config.coco, _coco_taxonomy(config), transform
        ),
        _coco_taxonomy,
    ),
    "folder": _Entry(
        lambda config, split, transform: FolderDataset(
            _root_of(config), split, config.folder, _folder_label_set(config), transform
        ),
        lambda config: _folder_label_set(config).taxonomy,
    ),
    "shapes": _Entry(
        lambda config, split, transform: Shapes(split, transform=transform),
        lambda config: taxonomies.SHAPES,
    ),
}
"""A new data set is a line here, a module of its own (which may hold its taxonomy), and a test."""
