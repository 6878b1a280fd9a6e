"""From options to a data set: the one table of names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from parsenet.config import DataConfig
from parsenet.data.base import SegmentationDataset
from parsenet.data.folder import FolderDataset
from parsenet.data.sample import Transform
from parsenet.data.shapes import Shapes
from parsenet.data.voc import VOC2012
from parsenet.errors import ConfigError
from parsenet.taxonomy import SHAPES, TAXONOMIES, Taxonomy, taxonomy_named
from parsenet.taxonomy import VOC2012 as VOC2012_TAXONOMY


class _Entry(NamedTuple):
    build: Callable[[DataConfig, str, Transform | None], SegmentationDataset]
    taxonomy: Callable[[DataConfig], Taxonomy]


def build_dataset(config: DataConfig, split: str, train: bool = False) -> SegmentationDataset:
    """Build one split of a data set.

    Args:
        config: which data, and what training does to them.
        split: a split of that data set.
        train: augment the samples as `config` says; otherwise pictures keep their native size.

    Raises:
        ConfigError: the split is unknown, or `root` or the taxonomy is not set.
        DataNotFoundError: a folder or file is missing.
    """
    transform = None
    if train:
        # Not needed for scoring and prediction, whose install has no albumentations.
        from parsenet.data.transforms import train_transform

        void = taxonomy_of(config).void
        transform = train_transform(config.crop, config.scale, config.flip, config.colour, void)
    return _TABLE[config.dataset].build(config, split, transform)


def taxonomy_of(config: DataConfig) -> Taxonomy:
    """Tell the classes of a data set without reading any of it.

    Raises:
        ConfigError: `folder.taxonomy` is not set, unknown, or not a taxonomy file.
    """
    return _TABLE[config.dataset].taxonomy(config)


def _build_voc(config: DataConfig, split: str, transform: Transform | None) -> SegmentationDataset:
    return VOC2012(_root_of(config), split, transform)


def _build_folder(
    config: DataConfig, split: str, transform: Transform | None
) -> SegmentationDataset:
    taxonomy = _folder_taxonomy(config)
    return FolderDataset(_root_of(config), split, config.folder, taxonomy, transform)


def _build_shapes(
    config: DataConfig, split: str, transform: Transform | None
) -> SegmentationDataset:
    return Shapes(split, transform=transform)


def _folder_taxonomy(config: DataConfig) -> Taxonomy:
    """Find the taxonomy of a folder: a built-in name, or a file seen from here or from `root`."""
    name = config.folder.taxonomy
    if not name:
        raise ConfigError(
            "`data.folder.taxonomy` must be set for `dataset: folder`. Give a YAML file with "
            f"`names:`, or a known name ({', '.join(TAXONOMIES)})."
        )
    if not name.endswith((".yaml", ".yml")):
        return taxonomy_named(name)
    path = Path(name)
    if config.root is not None and not path.is_file():
        path = config.root / name
    return Taxonomy.from_yaml(path)


def _root_of(config: DataConfig) -> Path:
    if config.root is None:
        raise ConfigError(
            f"`data.root` must be set for `dataset: {config.dataset}`. Give the folder that holds "
            "the data, or use `dataset: shapes`, which needs none."
        )
    return config.root


_TABLE = {
    "voc2012": _Entry(_build_voc, lambda config: VOC2012_TAXONOMY),
    "folder": _Entry(_build_folder, _folder_taxonomy),
    "shapes": _Entry(_build_shapes, lambda config: SHAPES),
}
