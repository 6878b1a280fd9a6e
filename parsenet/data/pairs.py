"""Data sets of image files with a label file each: a list of pairs, and a decoder of labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, final

from parsenet.data.base import SegmentationDataset
from parsenet.data.labels import LabelMap
from parsenet.data.reading import read_image
from parsenet.data.sample import Sample, Transform
from parsenet.taxonomy import Taxonomy


class Pair(NamedTuple):
    """The files of a sample."""

    id: str
    image: Path
    label: Path


class PairedDataset(SegmentationDataset, ABC):
    """A data set that is a list of pairs; a final class finds them and decodes one label."""

    _pairs: list[Pair]

    @abstractmethod
    def decode(self, path: Path) -> LabelMap:
        """Read one label file as class indices and void."""

    @final
    def read(self, index: int) -> Sample:
        """Read image and label."""
        name, image, label = self._pairs[index]
        return Sample(read_image(image), self.decode(label), name)

    @final
    def read_label(self, index: int) -> LabelMap:
        """Read the label."""
        return self.decode(self._pairs[index].label)

    @final
    def label_name(self, index: int) -> str:
        """Name the label's file."""
        return str(self._pairs[index].label)

    @final
    def image_path(self, index: int) -> Path:
        """Name the image's file."""
        return self._pairs[index].image

    @final
    def _set_pairs(
        self, pairs: Iterable[Pair], taxonomy: Taxonomy, transform: Transform | None
    ) -> None:
        """Set what every data set has; called once, by the constructor."""
        self._pairs = list(pairs)
        self.ids = [pair.id for pair in self._pairs]
        self.taxonomy = taxonomy
        self.transform = transform
