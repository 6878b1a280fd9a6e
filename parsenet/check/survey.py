"""Every sample read once, by the classes that training reads with."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import imagehash
import numpy as np
from jaxtyping import Int64
from PIL import Image
from rich.console import Console
from rich.progress import track

from parsenet.check.findings import Case
from parsenet.config import DataConfig
from parsenet.data.base import SegmentationDataset
from parsenet.data.build import build_dataset, taxonomy_of
from parsenet.data.folder import FolderDataset
from parsenet.data.reading import read_image, read_size
from parsenet.errors import DataNotFoundError, ImageError, ParseNetError
from parsenet.taxonomy import Taxonomy, label_set_from

SIDE = 10
"""Rows and columns of bits of a perceptual hash."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What was learnt of an image, without its pixels."""

    error: str = ""
    size: tuple[int, int] | None = None
    """(height, width), turned as EXIF says."""
    digest: bytes = b""
    """Hash of the file; b'' where there is none."""
    look: tuple[bytes, bytes] | None = None
    """Perceptual hash of the image as it is and mirrored; None for one colour."""


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """What was learnt of a label, without its pixels."""

    error: str = ""
    code: str = ""
    """Of the finding that the error belongs to."""
    size: tuple[int, int] | None = None
    counts: dict[int, int] = field(default_factory=dict)
    """Pixels by value, as training reads it."""
    wrong: dict[int, tuple[int, int]] = field(default_factory=dict)
    """First (row, column) of each value that is neither a class nor void."""
    digest: bytes = b""


@dataclass(frozen=True)
class Survey:
    """A split as its loader opens it, and what was learnt of each of its samples."""

    name: str
    taxonomy: Taxonomy
    dataset: SegmentationDataset | None
    """None where the loader refuses the whole split."""
    refusal: str = ""
    """Why it does, in its own words."""
    images: Sequence[ImageFacts] = ()
    labels: Sequence[LabelFacts] = ()

    @cached_property
    def pixels(self) -> Int64[np.ndarray, "n c"]:
        """Pixels of each class in each label that can be read."""
        labels = [label for label in self.labels if not label.error]
        table = np.zeros((len(labels), self.taxonomy.num_classes), np.int64)
        for row, label in zip(table, labels, strict=True):
            known = {x: count for x, count in label.counts.items() if x < len(row)}
            row[list(known)] = list(known.values())
        return table

    @cached_property
    def values(self) -> Counter[int]:
        """Pixels by value in all labels that can be read."""
        return sum((Counter(label.counts) for label in self.labels), Counter[int]())

    @property
    def void_share(self) -> float:
        """Share of void in the pixels of classes and void."""
        void = self.values[self.taxonomy.void]
        return void / max(1, int(self.pixels.sum()) + void)

    def case(self, index: int, detail: str = "", of_image: bool = False) -> Case:
        """Name the label of a sample, or its image."""
        assert self.dataset is not None
        image = self.dataset.image_path(index) or self.dataset.ids[index]
        name = str(image) if of_image else self.dataset.label_name(index)
        return Case(name, detail, ((self.name, index),))

    def label_cases(self, is_meant: Callable[[LabelFacts], bool]) -> list[Case]:
        """Name some labels, with what is wrong with them if they cannot be read."""
        return [self.case(n, label.error) for n, label in enumerate(self.labels) if is_meant(label)]


def survey(
    config: DataConfig, fast: bool = False, workers: int = 0, progress: bool = True
) -> list[Survey]:
    """Read all samples of the splits that a config trains, validates and tests on, each once.

    `workers` threads (0: one per core) share the work, since decoding lets go of the interpreter
    lock; `fast` leaves the pixels of images alone.

    Raises:
        ConfigError: the taxonomy is wrong, or `root` is not set.
    """
    taxonomy, surveys, console = taxonomy_of(config), [], Console(stderr=True)
    for name in dict.fromkeys([config.train_split, config.val_split, config.test_split]):
        try:
            dataset = _open_split(config, name)
        except ParseNetError as error:
            if config.root is None:
                raise
            if name in (config.train_split, config.val_split):
                # `test_split` has a default that not every data set has.
                surveys.append(Survey(name, taxonomy, None, str(error)))
            continue
        total, see = len(dataset), partial(_see, dataset, fast)
        with ThreadPoolExecutor(workers or os.cpu_count(), thread_name_prefix="doctor") as pool:
            done, title = pool.map(see, range(total)), f"Reading {name}"
            try:
                facts = list(track(done, title, total, console=console, disable=not progress))
            finally:
                pool.shutdown(cancel_futures=True)
        images, labels = [image for image, _ in facts], [label for _, label in facts]
        surveys.append(Survey(name, taxonomy, dataset, "", images, labels))
    return surveys


def _open_split(config: DataConfig, name: str) -> SegmentationDataset:
    """Open a split as training does, a folder also where masks are missing."""
    try:
        return build_dataset(config, name)
    except DataNotFoundError as error:
        if config.dataset != "folder" or config.root is None:
            raise
        label_set = label_set_from(Path(config.folder.taxonomy), config.root)
        try:
            return FolderDataset(config.root, name, config.folder, label_set, complete=False)
        except DataNotFoundError:  # there is no image at all, as the first sentence says
            raise error from None


def _see(dataset: SegmentationDataset, fast: bool, index: int) -> tuple[ImageFacts, LabelFacts]:
    return _see_image(dataset, fast, index), _see_label(dataset, index)


def _see_image(dataset: SegmentationDataset, fast: bool, index: int) -> ImageFacts:
    path = dataset.image_path(index)
    try:
        digest = b"" if path is None else _digest(path.read_bytes())
        if path is not None and fast:
            return ImageFacts("", read_size(path), digest)
        image = dataset.read(index).image if path is None else read_image(path)
    except Exception as error:  # whatever a file can cause costs this file only
        return ImageFacts(_sentence(error, str(path)))
    small = Image.fromarray(image).convert("L").resize((64, 64), Image.Resampling.BOX)
    both = small, small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    one, other = (np.packbits(imagehash.phash(x, SIDE).hash).tobytes() for x in both)
    look = None if (image == image[0, 0]).all() else (one, other)
    return ImageFacts("", (image.shape[0], image.shape[1]), digest, look)


def _see_label(dataset: SegmentationDataset, index: int) -> LabelFacts:
    taxonomy = dataset.taxonomy
    try:
        label = dataset.read_label(index)
    except Exception as error:
        code = "unreadable-label" if isinstance(error, ImageError) else "refused-label"
        return LabelFacts(_sentence(error, dataset.label_name(index)), code)
    found = np.bincount(label.ravel())
    counts = {int(value): int(found[value]) for value in np.flatnonzero(found)}
    wrong = {
        value: divmod(int((label == value).argmax()), label.shape[1])
        for value in counts
        if value >= taxonomy.num_classes and value != taxonomy.void
    }
    size = label.shape[0], label.shape[1]
    return LabelFacts("", "", size, counts, wrong, _digest(label.tobytes()))


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _sentence(error: Exception, name: str) -> str:
    if isinstance(error, ParseNetError):
        return str(error)
    return f"'{name}' failed with {type(error).__name__}: {error}"
