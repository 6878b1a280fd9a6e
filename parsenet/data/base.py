"""The contract of every data set: checked, transformed samples behind one `__getitem__`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import final

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from rich.progress import track
from torch.utils.data import Dataset

from parsenet.data.sample import Item, Key, Sample, Transform
from parsenet.errors import LabelError
from parsenet.taxonomy import Taxonomy


class SegmentationDataset(Dataset[Item], ABC):
    """Pictures with a class for every pixel.

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
        """Read the picture and the label of a sample, unchecked."""

    @abstractmethod
    def read_label(self, index: int) -> UInt8[np.ndarray, "h w"]:
        """Read only the label of a sample, unchecked."""

    @abstractmethod
    def label_name(self, index: int) -> str:
        """Name the label of a sample in messages: its file where it has one."""

    @final
    def __len__(self) -> int:
        return len(self.ids)

    @final
    def __getitem__(self, key: int | Key) -> Item:
        """Read, check and transform one sample.

        Args:
            key: a position, or what `TrainSampler` yields. A bare position is its own seed.

        Raises:
            LabelError: picture and label differ in size, or the label holds an unknown value.
        """
        position, seed = key if isinstance(key, tuple) else (key, abs(key))
        index = range(len(self))[position]  # an IndexError beyond the end, and -1 is the last
        sample = self.read(index)
        self._check_size(sample, index)
        check_label(sample.label, self.taxonomy, self.label_name(index))
        if self.transform is not None:
            sample = self.transform(sample, seed)
        # Copied: the arrays of a reader may be read-only, which torch does not have.
        image = torch.from_numpy(sample.image.transpose(2, 0, 1).copy())
        return Item(image, torch.from_numpy(sample.label.astype(np.int64)), sample.id)

    def _check_size(self, sample: Sample, index: int) -> None:
        if sample.image.shape[:2] != sample.label.shape:
            raise LabelError(
                f"The label '{self.label_name(index)}' must be as large as its picture "
                f"{sample.image.shape[:2]}, got {sample.label.shape}. Sizes are (height, width); "
                "an EXIF orientation turns the picture but not the label."
            )


def check_label(label: UInt8[np.ndarray, "h w"], taxonomy: Taxonomy, name: str) -> None:
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
        return np.bincount(label.ravel(), minlength=256)[: dataset.taxonomy.num_classes] > 0

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
