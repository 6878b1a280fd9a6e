"""The contract of every data set: checked, transformed samples behind one `__getitem__`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Bool
from rich.progress import track
from torch.utils.data import Dataset

from parsenet.data.labels import LabelMap
from parsenet.data.sample import Augmentation, Item, Key, Sample, Transform
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
        path = self.image_path(index)
        if isinstance(self.transform, Augmentation) and path is not None:
            return _to_item(self._augment(self.transform, index, path, seed))
        sample = self.read(index)
        self._check_size(sample, index)
        check_label(sample.label, self.taxonomy, self.label_name(index))
        if self.transform is not None:
            sample = self.transform(sample, seed)
        # The arrays of a reader may be read-only, which torch does not have, or be kept by it.
        return _to_item(sample._replace(image=sample.image.copy(), label=sample.label.copy()))

    def _augment(self, transform: Augmentation, index: int, path: Path, seed: int) -> Sample:
        """Read the label, draw, and only then decode as much of the image as is needed."""
        label = self.read_label(index)
        if not _is_plainly_right(label, self.taxonomy):
            check_label(label, self.taxonomy, self.label_name(index))
        draw = transform.draw(label, seed)
        image = transform.read(path, draw.reduction)
        if image.shape[:2] != tuple(-(-side // draw.reduction) for side in label.shape):
            whole = transform.read(path, 1)
            self._check_size(Sample(whole, label, self.ids[index]), index)
        return transform.apply(Sample(image, label, self.ids[index], draw.reduction), draw)

    def _check_size(self, sample: Sample, index: int) -> None:
        if sample.image.shape[:2] != sample.label.shape:
            raise LabelError(
                f"The label '{self.label_name(index)}' must be as large as its image "
                f"{sample.image.shape[:2]}, got {sample.label.shape}. Sizes are (height, width); "
                "an EXIF orientation turns the image but not the label."
            )


def _to_item(sample: Sample) -> Item:
    """Hand the arrays over to torch; what lies as tensors do is not copied."""
    image = np.ascontiguousarray(sample.image.transpose(2, 0, 1))
    # torch knows little to do with uint16.
    label = sample.label.astype(
        np.uint8 if sample.label.dtype == np.uint8 else np.int64, copy=False
    )
    return Item(torch.from_numpy(image), torch.from_numpy(label), sample.id)


def _is_plainly_right(label: LabelMap, taxonomy: Taxonomy) -> bool:
    """Tell in one comparison that a label is right; false where that takes a closer look."""
    # Bytes, and void is 255: one more makes it 0, and every class at most their number.
    is_usual = label.dtype == np.uint8 and taxonomy.void == 255
    return is_usual and int((label + np.uint8(1)).max(initial=0)) <= taxonomy.num_classes


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
        done = pool.map(check, range(len(dataset)))
        try:
            present = track(
                done, description="Checking labels", total=len(dataset), disable=not progress
            )
            return np.stack(list(present))
        finally:
            pool.shutdown(cancel_futures=True)
