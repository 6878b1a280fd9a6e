"""The contract of every data set: checked, transformed samples behind one `__getitem__`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from rich.progress import track
from torch.utils.data import Dataset

from parsenet.data.labels import LabelMap
from parsenet.data.lists import require_files
from parsenet.data.reading import read_image, read_reduced, shrink
from parsenet.data.sample import Item, Key, Sample, Transform
from parsenet.errors import LabelError
from parsenet.taxonomy import Taxonomy


class SegmentationDataset(Dataset[Item], ABC):
    """Images with a class for every pixel.

    A final class sets the three attributes and says how one sample is read; checking, transforming
    and the conversion to tensors happen here, once.

    Attributes:
        taxonomy: what the label values mean.
        ids: one name per sample, unique, in a fixed order.
        transform: changes a sample while training; None for evaluation at native size.
    """

    taxonomy: Taxonomy
    ids: list[str]
    transform: Transform | None

    @abstractmethod
    def read(self, index: int) -> Sample:
        """Read the image and the label of a sample, unchecked."""

    @abstractmethod
    def read_label(self, index: int) -> LabelMap:
        """Read only the label of a sample, unchecked."""

    @abstractmethod
    def label_name(self, index: int) -> str:
        """Name the label of a sample in messages: its file where it has one."""

    @abstractmethod
    def image_path(self, index: int) -> Path | None:
        """Name the image's file; None for drawn ones."""

    @final
    def __len__(self) -> int:
        return len(self.ids)

    @final
    def __getitem__(self, key: int | Key) -> Item:
        """Read, check and transform one sample.

        Args:
            key: a position, or what `TrainSampler` yields. A bare position is its own seed.

        Raises:
            LabelError: image and label differ in size, or the label holds an unknown value.
        """
        position, seed = key if isinstance(key, tuple) else (key, abs(key))
        index = range(len(self))[position]  # an IndexError beyond the end, and -1 is the last
        if self.transform is None:
            image, label, _ = self.read(index)
            self._require_size(image, label, index)
            check_label(label, self.taxonomy, self.label_name(index))
        else:
            label = self.read_label(index)
            check_label(label, self.taxonomy, self.label_name(index))
            image, label = self.transform(label, partial(self._read_reduced, index, label), seed)
        # torch knows little to do with uint16; an array of a reader may be read-only.
        kind = np.uint8 if label.dtype == np.uint8 else np.int64
        planes = np.ascontiguousarray(image.transpose(2, 0, 1))
        return Item(torch.from_numpy(planes), torch.from_numpy(label.astype(kind)), self.ids[index])

    def _read_reduced(
        self, index: int, label: LabelMap, reduction: int
    ) -> UInt8[np.ndarray, "i j 3"]:
        """Decode the image at a fraction of its size, and compare it with its label."""
        path = self.image_path(index)
        if path is None:
            image = shrink(self.read(index).image, reduction)
        else:
            image = read_reduced(path, reduction)
        if image.shape[:2] != tuple(-(-side // reduction) for side in label.shape):
            self._require_size(self.read(index).image, label, index)
        return image

    def _require_size(self, image: UInt8[np.ndarray, "i j 3"], label: LabelMap, index: int) -> None:
        if image.shape[:2] != label.shape:
            raise LabelError(
                f"The label '{self.label_name(index)}' must be as large as its image "
                f"{image.shape[:2]}, got {label.shape}. Sizes are (height, width); "
                "an EXIF orientation turns the image but not the label."
            )


class Pair(NamedTuple):
    """The files of a sample."""

    id: str
    image: Path
    label: Path


def pair_files(
    ids: Sequence[str], images: tuple[Path, str], labels: tuple[Path, str], title: str, remedy: str
) -> list[Pair]:
    """Pair files by their names: images and labels are told as folder and ending.

    Raises:
        DataNotFoundError: a folder (then the remedy is told) or a file is missing.
    """
    for folder, suffix in (images, labels):
        require_files(folder, [name + suffix for name in ids], title, remedy)
    (image_dir, image_end), (label_dir, label_end) = images, labels
    return [Pair(x, image_dir / f"{x}{image_end}", label_dir / f"{x}{label_end}") for x in ids]


class PairedDataset(SegmentationDataset, ABC):
    """A data set that is a list of pairs; a final class finds them and decodes one label."""

    pairs: list[Pair]

    @abstractmethod
    def decode(self, path: Path) -> LabelMap:
        """Read one label file as class indices and void."""

    @final
    def read(self, index: int) -> Sample:
        """Read image and label."""
        name, image, label = self.pairs[index]
        return Sample(read_image(image), self.decode(label), name)

    @final
    def read_label(self, index: int) -> LabelMap:
        """Read the label."""
        return self.decode(self.pairs[index].label)

    @final
    def label_name(self, index: int) -> str:
        """Name the label's file."""
        return str(self.pairs[index].label)

    @final
    def image_path(self, index: int) -> Path:
        """Name the image's file."""
        return self.pairs[index].image

    @final
    def _set_pairs(
        self, pairs: list[Pair], taxonomy: Taxonomy, transform: Transform | None
    ) -> None:
        """Set what every data set has; called once, by the constructor."""
        self.pairs = pairs
        self.ids = [pair.id for pair in pairs]
        self.taxonomy = taxonomy
        self.transform = transform


def check_label(label: LabelMap, taxonomy: Taxonomy, name: str) -> None:
    """Refuse a label with a value that is neither a class nor void.

    Raises:
        LabelError: there is such a value; the first pixel that has it is named.
    """
    wrong = (label >= taxonomy.num_classes) & (label != taxonomy.void)
    if wrong.any():
        row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
        raise LabelError(
            f"The label '{name}' must hold 0..{taxonomy.num_classes - 1} or {taxonomy.void} (void),"
            f" got {label[row, column]} at row {row}, column {column}. Correct the file, or use a "
            f"taxonomy with more classes than '{taxonomy.name}'."
        )


def check_labels(dataset: SegmentationDataset, progress: bool = True) -> Bool[np.ndarray, "n c"]:
    """Read every label once and refuse the first wrong one, before hours are spent on the rest.

    Args:
        dataset: what to check.
        progress: draw a progress bar on the terminal.

    Returns:
        which classes each sample shows.

    Raises:
        LabelError: a value is neither a class nor void.
        ImageError: a label cannot be read.
    """

    def check(index: int) -> Bool[np.ndarray, " c"]:
        label = dataset.read_label(index)
        check_label(label, dataset.taxonomy, dataset.label_name(index))
        num_classes = dataset.taxonomy.num_classes
        return np.bincount(label.ravel(), minlength=num_classes)[:num_classes] > 0

    # Threads: decoding a PNG lets go of the interpreter lock.
    with ThreadPoolExecutor() as pool:
        try:
            done = pool.map(check, range(len(dataset)))
            return np.stack(
                list(track(done, "Checking labels", total=len(dataset), disable=not progress))
            )
        finally:
            pool.shutdown(cancel_futures=True)
