"""Figures 1, 4 and 5: the same images with and without global context."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
from parsenet.reports import tables
from parsenet.reports.page import image_uri, render_page
from parsenet.reports.sheets import contact_sheet
from parsenet.taxonomy import VOID_COLOUR, Colour

_TITLE = "What global context gains"
_TILE = 300
"""Longer side of an image in pixels."""


class Gain(NamedTuple):
    """What context did to one image: its own mean IoU in [0, 1]; a gain below 0 is a cost."""

    id: str
    with_context: float
    without: float
    gain: float


class Side(NamedTuple):
    """One of the two networks, and what it said about the images."""

    checkpoint: Path
    images: ImageCounts
    labels: Path
    """Folder of its label maps, see `label_path`."""


class Gallery(NamedTuple):
    """Images as they are, with ground truth, without context and with it, side by side."""

    images: list[list[UInt8[np.ndarray, "_ _ 3"]]]
    captions: list[list[str]]
    colours: dict[str, Colour]
    """Of the classes, and of void, that are seen."""


def label_path(labels: Path, sample: Sample) -> Path:
    """Name the label map of an image; one of the same name in other data has another."""
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


def gains_of(with_context: ImageCounts, without: ImageCounts) -> list[Gain]:
    """Sort images by what context gained, most first; images without a counted pixel left out."""
    scores = (table(counts.areas())[:, 0].tolist() for counts in (with_context, without))
    gains = [Gain(name, a, b, a - b) for name, a, b in zip(with_context.ids, *scores, strict=True)]
    return sorted((x for x in gains if np.isfinite(x.gain)), key=lambda x: (-x.gain, x.id))


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
    gains = gains_of(sides[0].images, sides[1].images)
    gained = [x for x in gains if x.gain > 0]
    lost = [x for x in gains[::-1] if x.gain < 0]
    galleries = {
        "gained": _draw(gained[:shown], dataset, sides),
        "cost": _draw(lost[:shown], dataset, sides),
    }
    sheets = []
    for name, (images, captions, colours) in galleries.items():
        path = out_dir / f"context_{name}.png"
        path.unlink(missing_ok=True)
        if images:
            sheet = contact_sheet(images, captions, tile=_TILE, legend=colours)
            write_image(path, Image.fromarray(sheet))
            sheets.append(path)
    sentences = [
        f"A, {heads[1]}",
        f"B, {heads[0]}",
        f"Of {len(gains):,} images {len(gained):,} are better with context and {len(lost):,} "
        "worse, by the mean IoU over the classes of their own ground truth.",
    ]
    links = [f"![{path.stem}]({path.name})" for path in sheets]
    parts = [f"# {_TITLE}", *sentences, tables.comparison_table(record).strip("\n"), *links]
    rows = [
        {"id": x.id, "with": x.with_context, "without": x.without, "gain": x.gain} for x in gains
    ]
    written = {
        "context.html": _page(record, sentences, gains, galleries),
        "context.md": "\n\n".join(parts) + "\n",
        "context.json": json.dumps(record | {"images": rows}, indent=1) + "\n",
    }
    for name, text in written.items():
        write_bytes_atomically(out_dir / name, text.encode())
    return [*(out_dir / name for name in written), *sheets]


def _draw(gains: Sequence[Gain], dataset: SegmentationDataset, sides: tuple[Side, Side]) -> Gallery:
    """Lay labels over images; what is void in the ground truth is void in all of them."""
    taxonomy, gallery, present = dataset.taxonomy, Gallery([], [], {}), set[int]()
    for gain in gains:
        sample = dataset.read(dataset.ids.index(gain.id))
        void, labels = sample.label == taxonomy.void, [sample.label]
        for side in sides[::-1]:
            found = read_stored_label(label_path(side.labels, sample)).astype(sample.label.dtype)
            labels.append(np.where(void, sample.label, found))
        drawn = [blend(sample.image, label, taxonomy, 0.75) for label in labels]
        gallery.images.append([sample.image, *drawn])
        without = f"without context: {100 * gain.without:.1f}"
        with_context = f"with context: {100 * gain.with_context:.1f} ({100 * gain.gain:+.1f})"
        gallery.captions.append([gain.id, "ground truth", without, with_context])
        present |= {int(value) for label in labels for value in np.unique(label)}
    for value in sorted(present):
        colour = VOID_COLOUR if value == taxonomy.void else taxonomy.palette[value]
        gallery.colours[name_of(value, taxonomy)] = colour
    return gallery


def _page(
    record: Mapping[str, Any],
    sentences: Sequence[str],
    gains: Sequence[Gain],
    galleries: Mapping[str, Gallery],
) -> str:
    """Write a page with everything in it: scores, classes by gain, images side by side."""

    def rank(item: tuple[str, Any]) -> tuple[bool, float]:
        value = item[1]["difference"]["value"]
        return value is None, -(value or 0.0)  # what was not scored comes last

    scores = [item for item in record["scores"].items() if item[0] in tables.SUMMARY]
    classes = [item for item in record["scores"].items() if item[0] not in tables.SUMMARY]
    shown = {
        kind: [
            [(text, image_uri(image, _TILE)) for text, image in zip(*row, strict=True)]
            for row in zip(gallery.captions, gallery.images, strict=True)
        ]
        for kind, gallery in galleries.items()
    }
    return render_page(
        "context.html.j2",
        title=_TITLE,
        sentences=sentences,
        scores=tables.comparison_cells({"scores": dict(scores)})[1],
        classes=tables.comparison_cells({"scores": dict(sorted(classes, key=rank))})[1],
        note=tables.comparison_note(record),
        galleries=[(kind, galleries[kind].colours, rows) for kind, rows in shown.items()],
        gains=[
            [x.id, *map(tables.percent, (x.without, x.with_context)), f"{100 * x.gain:+.2f}"]
            for x in gains
        ],
    )
