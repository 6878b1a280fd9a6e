"""A plain folder of pictures and masks, paired by their names."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import UInt8

from parsenet.config import FolderConfig
from parsenet.data.base import SegmentationDataset
from parsenet.data.reading import read_image, read_mask
from parsenet.data.sample import Sample, Transform
from parsenet.errors import ConfigError, DataNotFoundError
from parsenet.taxonomy import Taxonomy

_LOGGER = logging.getLogger(__name__)

_PICTURE_SUFFIXES = frozenset({
    ".jpg",
    ".jpeg",
    ".png",
    ".bmp",
    ".gif",
    ".ppm",
    ".pgm",
    ".tif",
    ".tiff",
    ".webp",
})


@final
class FolderDataset(SegmentationDataset):
    """Pictures and masks of your own.

    | fact | value |
    |---|---|
    | splits | whatever the templates find for `{split}` |
    | pictures | what Pillow reads; other files in the folder are passed over |
    | labels | PNG with class indices (mode P, L, 1, 16-bit), or RGB in the taxonomy's colours |
    | void | the taxonomy's, 255 by default |

    Args:
        root: folder that the templates are relative to.
        split: what `{split}` stands for.
        layout: where pictures and masks lie.
        taxonomy: what the label values or colours mean.
        transform: changes samples while training.

    Raises:
        ConfigError: a template is wrong, or two pictures have one name.
        DataNotFoundError: there is no picture, or one without a mask.
    """

    def __init__(
        self,
        root: Path,
        split: str,
        layout: FolderConfig,
        taxonomy: Taxonomy,
        transform: Transform | None = None,
    ) -> None:
        self.taxonomy = taxonomy
        self.transform = transform
        self._images = _find_pictures(root, _fill(layout.images, "images", split=split))
        self.ids = [path.stem for path in self._images]
        self._labels = [
            root / _fill(layout.labels, "labels", split=split, stem=name) for name in self.ids
        ]
        self._require_pairs()
        _warn_of_lone_masks(
            root, _fill(layout.labels, "labels", split=split, stem="*"), self._labels
        )

    def read(self, index: int) -> Sample:
        """Read picture and mask."""
        return Sample(read_image(self._images[index]), self.read_label(index), self.ids[index])

    def read_label(self, index: int) -> UInt8[np.ndarray, "h w"]:
        """Read the mask, as indices or colours."""
        return read_mask(self._labels[index], self.taxonomy)

    def label_name(self, index: int) -> str:
        """Name the mask's file."""
        return str(self._labels[index])

    def _require_pairs(self) -> None:
        if len(set(self.ids)) < len(self.ids):
            twice = next(name for name in self.ids if self.ids.count(name) > 1)
            both = [path for path in self._images if path.stem == twice]
            raise ConfigError(
                f"`folder.images` must find one picture per name, got '{both[0]}' and '{both[1]}'. "
                "Narrow the template, for instance to `*.jpg`."
            )
        lone = [
            image
            for image, label in zip(self._images, self._labels, strict=True)
            if not label.is_file()
        ]
        if lone:
            raise DataNotFoundError(
                f"Every picture must have a mask, got {len(lone)} of {len(self._images)} without: "
                f"{_name_some(lone)}. The mask of the first should be "
                f"'{self._labels[self._images.index(lone[0])]}': add it or change `folder.labels`."
            )


def _fill(template: str, field: str, **words: str) -> str:
    """Put the words into a template of `FolderConfig`."""
    try:
        filled = template.format(**words)
    except (KeyError, IndexError, ValueError):
        known = " and ".join(f"`{{{word}}}`" for word in words)
        raise ConfigError(
            f"`folder.{field}` must use no placeholder but {known}, got '{template}'. "
            "Write '{{' for a brace."
        ) from None
    if not filled or Path(filled).is_absolute():
        raise ConfigError(
            f"`folder.{field}` must be relative to `data.root`, got '{template}'. Set `data.root` "
            "to the folder above."
        )
    return filled


def _find_pictures(root: Path, pattern: str) -> list[Path]:
    if not root.is_dir():
        raise DataNotFoundError(f"The folder '{root}' must exist. Check `data.root`.")
    found = sorted(
        path
        for path in root.glob(pattern)
        if path.suffix.lower() in _PICTURE_SUFFIXES and not path.name.startswith(".")
    )
    if not found:
        raise DataNotFoundError(
            f"'{root / pattern}' must find at least one picture, got none. Check `data.root`, the "
            "split and `folder.images`."
        )
    return found


def _warn_of_lone_masks(root: Path, pattern: str, paired: list[Path]) -> None:
    """Name masks without a picture; they do no harm, but often tell of a forgotten file."""
    lone = sorted(set(root.glob(pattern)) - set(paired))
    if lone:
        _LOGGER.warning("%d mask(s) have no picture: %s.", len(lone), _name_some(lone))


def _name_some(paths: Iterable[Path]) -> str:
    names = [f"'{path.name}'" for path in paths]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
