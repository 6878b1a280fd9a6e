"""A plain folder of images and masks, paired by their names."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import final

from parsenet.config import FolderConfig
from parsenet.data.base import Pair, PairedDataset
from parsenet.data.labels import LabelMap, read_mask
from parsenet.data.lists import fill_template, repeated
from parsenet.data.reading import is_image
from parsenet.data.sample import Transform
from parsenet.errors import ConfigError, DataNotFoundError
from parsenet.taxonomy import LabelSet

_LOGGER = logging.getLogger(__name__)


@final
class FolderDataset(PairedDataset):
    """Images and masks of your own.

    | fact | value |
    |---|---|
    | splits | whatever the templates find for `{split}` |
    | images | what Pillow reads; other files in the folder are passed over |
    | labels | PNG of numbers (mode P, L, 1, 16-bit), or RGB in the taxonomy's colours |
    | void | the taxonomy's, 255 by default |

    Args:
        root: folder that the templates are relative to.
        split: what `{split}` stands for.
        layout: where images and masks lie.
        label_set: what the stored values or colours mean.
        transform: changes samples while training.
        complete: refuse images without a mask; False leaves them out.

    Attributes:
        lone_images: images without a mask, and where it should be.
        lone_labels: masks without an image.
    """

    def __init__(
        self,
        root: Path,
        split: str,
        layout: FolderConfig,
        label_set: LabelSet,
        transform: Transform | None = None,
        complete: bool = True,
    ) -> None:
        images = _find_images(root, _fill(layout.images, "images", split=split))
        labels = [_fill(layout.labels, "labels", split=split, stem=x.stem) for x in images]
        pairs = [
            Pair(path.stem, path, root / label) for path, label in zip(images, labels, strict=True)
        ]
        self.lone_images = [pair for pair in pairs if not pair.label.is_file()]
        if complete and self.lone_images:
            raise DataNotFoundError(
                f"Every image must have a mask, got {len(self.lone_images)} of {len(pairs)} "
                f"without: {_name_some([pair.image for pair in self.lone_images])}. The mask of "
                f"the first should be '{self.lone_images[0].label}': add it or change "
                "`folder.labels`."
            )
        pattern = _fill(layout.labels, "labels", split=split, stem="*")
        self.lone_labels = sorted(set(root.glob(pattern)) - {pair.label for pair in pairs})
        if self.lone_labels:
            # They do no harm, but often tell of a forgotten file.
            count, some = len(self.lone_labels), _name_some(self.lone_labels)
            _LOGGER.warning("%d mask(s) have no image: %s.", count, some)
        self._recoding = label_set.recoding
        pairs = [pair for pair in pairs if pair.label.is_file()]
        self._set_pairs(pairs, label_set.taxonomy, transform)

    def decode(self, path: Path) -> LabelMap:
        """Read the mask, as numbers or colours."""
        return read_mask(path, self.taxonomy, self._recoding)


def _find_images(root: Path, pattern: str) -> list[Path]:
    """Find the images, sorted, each with a name of its own."""
    if not root.is_dir():
        raise DataNotFoundError(f"The folder '{root}' must exist. Check `data.root`.")
    found = sorted(path for path in root.glob(pattern) if is_image(path))
    if not found:
        raise DataNotFoundError(
            f"'{root / pattern}' must find at least one image, got none. Check `data.root`, the "
            "split and `folder.images`."
        )
    if twice := repeated([path.stem for path in found]):
        both = [path for path in found if path.stem == twice]
        raise ConfigError(
            f"`folder.images` must find one image per name, got '{both[0]}' and '{both[1]}'. "
            "Narrow the template, for instance to `*.jpg`."
        )
    return found


def _fill(template: str, field: str, **words: str) -> str:
    """Put the words into a template of `FolderConfig`."""
    filled = fill_template(template, f"folder.{field}", **words)
    if not filled or Path(filled).is_absolute():
        raise ConfigError(
            f"`folder.{field}` must be relative to `data.root`, got '{template}'. Set `data.root` "
            "to the folder above."
        )
    return filled


def _name_some(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return ", ".join(f"'{path.name}'" for path in paths[:5]) + more
