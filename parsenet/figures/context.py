"""Figures 1, 4 and 5: the same images with and without global context."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from parsenet.data.base import SegmentationDataset
from parsenet.data.labels import read_stored_label
from parsenet.data.sample import Sample
from parsenet.errors import ConfigError
from parsenet.files import write_bytes_atomically
from parsenet.inference.drawing import blend, name_of, write_image
from parsenet.inference.predictor import Predictor
from parsenet.inference.writers import write_label
from parsenet.metrics.counting import ImageCounts, count
from parsenet.metrics.record import Evaluation, compare_scored, hash_file
from parsenet.metrics.scores import table
from parsenet.metrics.statistics import Resampling
from parsenet.reports.page import image_uri, render_page
from parsenet.reports.sheets import contact_sheet
from parsenet.reports.tables import (
    SUMMARY,
    comparison_cells,
    comparison_note,
    comparison_table,
    percent,
)
from parsenet.taxonomy import VOID_COLOUR

_TITLE = "What global context gains"
_TILE = 300
"""Longer side of an image in pixels."""


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
    images: ImageCounts
    """Counts per image."""
    labels: Path
    """Folder of its label maps, see `label_path`."""


@dataclass
class Gallery:
    """Images side by side: as it is, ground truth, without context, with context."""

    kind: str
    """`gained` or `cost`."""
    title: str
    """What is shown."""
    rows: list[list[UInt8[np.ndarray, "_ _ 3"]]] = field(default_factory=list)
    """Four images in each."""
    captions: list[list[str]] = field(default_factory=list)
    """A text below each."""
    colours: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """Of the classes, and of void, that are seen."""


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
    predictor, taxonomy = Predictor.load(checkpoint, device), dataset.taxonomy
    if predictor.taxonomy.names != taxonomy.names:
        raise ConfigError(
            f"'{checkpoint}' must have the classes of '{taxonomy.name}', got those of "
            f"'{predictor.taxonomy.name}'. Give data of its classes by `--data`."
        )
    labels = folder / f"labels_{hash_file(checkpoint)[:12]}"
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
    return Side(checkpoint, ImageCounts.join(parts, taxonomy.num_classes), labels)


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


def write_context(
    out_dir: Path,
    dataset: SegmentationDataset,
    split: str,
    sides: tuple[Side, Side],
    shown: int = 6,
) -> list[Path]:
    """Write scores, the table of classes, and what context gained and cost image by image.

    Args:
        out_dir: folder of the results; scores of the two go to `with` and `without` in it.
        dataset: the images.
        split: their name.
        sides: with context, and without.
        shown: images that gained most, and that lost most.

    Returns:
        `context.html`, `context.md`, `context.json`, and the sheets.
    """
    scored, heads = [], []
    for name, side in zip(("with", "without"), sides, strict=True):
        scored.append(Evaluation.of(side.images, dataset.taxonomy, split, side.checkpoint))
        scored[-1].write(out_dir / name)
        # Named by its run too: every run has a `model.safetensors`.
        file = "/".join(side.checkpoint.parts[-2:])
        heads.append(f"{name} context, {file}: {scored[-1].card}.")
    record = compare_scored(scored[1], scored[0], Resampling()).to_dict(scored[0].names)
    gains = gains_of(dataset, sides[0].images, sides[1].images)
    gained = [gain for gain in gains if gain.gain > 0][:shown]
    cost = [gain for gain in gains[::-1] if gain.gain < 0][:shown]
    galleries = [
        _fill(Gallery("gained", "Images that gained most"), gained, dataset, sides),
        _fill(Gallery("cost", "Images that lost most"), cost, dataset, sides),
    ]
    sheets = []
    for gallery in galleries:
        path = out_dir / f"context_{gallery.kind}.png"
        path.unlink(missing_ok=True)
        if gallery.rows:
            sheet = contact_sheet(gallery.rows, gallery.captions, (), _TILE, gallery.colours)
            write_image(path, Image.fromarray(sheet))
            sheets.append(path)
    sentences = [f"A, {heads[1]}", f"B, {heads[0]}", _summary(gains)]
    parts = [f"# {_TITLE}", *sentences[:2], comparison_table(record), sentences[2]]
    parts += [f"![{path.stem}]({path.name})" for path in sheets]
    images = [
        {"id": g.id, "with": g.with_context, "without": g.without, "gain": g.gain} for g in gains
    ]
    written = {
        "context.html": _page(record, sentences, gains, galleries),
        "context.md": "\n\n".join(part.strip("\n") for part in parts) + "\n",
        "context.json": json.dumps(record | {"images": images}, indent=1) + "\n",
    }
    for name, text in written.items():
        write_bytes_atomically(out_dir / name, text.encode())
    return [*(out_dir / name for name in written), *sheets]


def _fill(
    gallery: Gallery,
    gains: Sequence[Gain],
    dataset: SegmentationDataset,
    sides: tuple[Side, Side],
) -> Gallery:
    """Lay labels over images; what is void in the ground truth is void in all of them."""
    taxonomy, present = dataset.taxonomy, set()
    for gain in gains:
        sample = dataset.read(gain.index)
        labels = [sample.label]
        for side in sides[::-1]:
            found = read_stored_label(label_path(side.labels, sample)).astype(sample.label.dtype)
            labels.append(np.where(sample.label == taxonomy.void, sample.label, found))
        gallery.rows.append([
            sample.image,
            *(blend(sample.image, x, taxonomy, 0.75) for x in labels),
        ])
        gallery.captions.append([
            gain.id,
            "ground truth",
            f"without context: {100 * gain.without:.1f}",
            f"with context: {100 * gain.with_context:.1f} ({100 * gain.gain:+.1f})",
        ])  # fmt: skip
        present |= {int(value) for label in labels for value in np.unique(label)}
    for value in sorted(present):
        colour = VOID_COLOUR if value == taxonomy.void else taxonomy.palette[value]
        gallery.colours[name_of(value, taxonomy)] = colour
    return gallery


def _page(
    record: Mapping[str, Any],
    sentences: Sequence[str],
    gains: Sequence[Gain],
    galleries: Sequence[Gallery],
) -> str:
    """Write a page with everything in it: scores, classes by gain, images side by side."""
    scores = {name: entry for name, entry in record["scores"].items() if name in SUMMARY}
    classes = [entry for entry in record["scores"].items() if entry[0] not in SUMMARY]
    # What was not scored comes last.
    classes.sort(key=lambda item: -(item[1]["difference"]["value"] or 0))
    classes.sort(key=lambda item: item[1]["difference"]["value"] is None)
    return render_page(
        "context.html.j2",
        title=_TITLE,
        sentences=sentences,
        tables=[
            ("Scores", comparison_cells({"scores": scores})[1]),
            ("Classes, by gain", comparison_cells({"scores": dict(classes)})[1]),
        ],
        note=comparison_note(record),
        galleries=[
            (gallery, [
                [(text, image_uri(image, _TILE)) for text, image in zip(*row, strict=True)]
                for row in zip(gallery.captions, gallery.rows, strict=True)
            ])
            for gallery in galleries
        ],
        gains=[
            [g.id, percent(g.without), percent(g.with_context), f"{100 * g.gain:+.2f}"]
            for g in gains
        ],
    )  # fmt: skip


def _summary(gains: Sequence[Gain]) -> str:
    better = sum(gain.gain > 0 for gain in gains)
    worse = sum(gain.gain < 0 for gain in gains)
    return (
        f"Of {len(gains):,} images {better:,} are better with context and {worse:,} worse, by "
        "the mean IoU over the classes of their own ground truth."
    )
