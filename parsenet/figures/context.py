"""Figures 1, 4 and 5: the same images with and without global context."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from parsenet.data.base import SegmentationDataset
from parsenet.data.reading import read_stored_label
from parsenet.data.sample import Sample
from parsenet.errors import ConfigError
from parsenet.inference.predictor import Predictor
from parsenet.inference.writers import write_label
from parsenet.metrics.counting import ImageCounts, count
from parsenet.metrics.record import hash_file
from parsenet.metrics.scores import table


@dataclass(frozen=True)
class Gain:
    """What context did to one image."""

    index: int
    """Position in the data set."""
    id: str
    """Name of the image."""
    with_context: float
    """Mean IoU of the image by itself, in [0, 1]."""
    without: float
    """The same without context."""

    @property
    def gain(self) -> float:
        """The difference; below 0 context cost something."""
        return self.with_context - self.without


@dataclass(frozen=True)
class Side:
    """One of the two networks, and what it said about the images."""

    checkpoint: Path
    """Its file."""
    sha256: str
    """The file's hash."""
    images: ImageCounts
    """Counts per image."""
    labels: Path
    """Folder of its label maps, see `label_path`."""


def label_path(labels: Path, sample: Sample) -> Path:
    """Name the label map of an image; one of the same name in other data has another.

    Args:
        labels: folder of label maps.
        sample: the image.
    """
    digest = hashlib.sha256(sample.image.tobytes()).hexdigest()
    return labels / f"{sample.id}_{digest[:8]}.png"


def score_side(
    checkpoint: Path,
    dataset: SegmentationDataset,
    indices: Iterable[int],
    folder: Path,
    device: str = "auto",
) -> Side:
    """Label images and count; label maps that an interrupted call left are taken up.

    Args:
        checkpoint: network to use.
        dataset: images with labels, untransformed.
        indices: positions of the images.
        folder: where the label maps go, to a folder that is named after the checkpoint's hash.
        device: where to run.

    Raises:
        ConfigError: the network has other classes than the data.
    """
    predictor = Predictor.load(checkpoint, device)
    taxonomy = dataset.taxonomy
    if predictor.taxonomy.names != taxonomy.names:
        raise ConfigError(
            f"'{checkpoint}' must have the classes of '{taxonomy.name}', got those of "
            f"'{predictor.taxonomy.name}'. Give data of its classes by `--data`."
        )
    sha256 = hash_file(checkpoint)
    labels = folder / f"labels_{sha256[:12]}"
    parts: list[ImageCounts] = []
    for index in indices:
        sample = dataset.read(index)
        path = label_path(labels, sample)
        if not path.is_file():
            write_label(path, predictor(sample.image), taxonomy)
        prediction = read_stored_label(path)
        counts = count(prediction, sample.label, taxonomy.num_classes, taxonomy.void)
        part = ImageCounts.of([sample.id], counts[None], taxonomy.num_classes)
        parts = ImageCounts.gather(parts, part)
    return Side(checkpoint, sha256, ImageCounts.join(parts, taxonomy.num_classes), labels)


def gains_of(
    dataset: SegmentationDataset, with_context: ImageCounts, without: ImageCounts
) -> list[Gain]:
    """Sort images by what context gained, most first; images without a counted pixel left out.

    Args:
        dataset: tells the positions.
        with_context: counts of the network with context.
        without: counts of the other.
    """
    position = {name: index for index, name in enumerate(dataset.ids)}
    one, other = (table(x.areas())[:, 0].tolist() for x in (with_context, without))
    gains = [
        Gain(position[name], name, a, b)
        for name, a, b in zip(with_context.ids, one, other, strict=True)
        if np.isfinite(a) and np.isfinite(b)
    ]
    return sorted(gains, key=lambda gain: (-gain.gain, gain.id))
