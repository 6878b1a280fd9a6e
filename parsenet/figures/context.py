"""Figures 1, 4 and 5: the same images with and without global context."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from rich.console import Console
from rich.progress import track

from parsenet.data.base import SegmentationDataset
from parsenet.data.labels import LabelMap, read_mask
from parsenet.data.sample import Sample
from parsenet.errors import ConfigError
from parsenet.files import write_bytes_atomically
from parsenet.inference.drawing import blend, legend_of, write_image
from parsenet.inference.predictor import Predictor
from parsenet.inference.writers import write_label
from parsenet.metrics.counting import ImageCounts, count
from parsenet.metrics.record import Evaluation, compare_scored, hash_file
from parsenet.metrics.scores import table
from parsenet.metrics.statistics import Resampling
from parsenet.reports import tables
from parsenet.reports.page import contact_sheet, image_uri, render_page

Gain = dict[str, Any]
"""What context did to an image: `id`, its own mean IoU `with` and `without` in [0, 1], `gain`."""


class Side(NamedTuple):
    """One of the two networks, and what it said about the images."""

    checkpoint: Path
    labels: Path
    """Folder of its label maps, see `label_path`."""
    images: ImageCounts


def label_path(labels: Path, sample: Sample) -> Path:
    """Name the label map of an image; one of the same name in other data has another."""
    digest = hashlib.sha256(sample.image.tobytes()).hexdigest()
    return labels / f"{sample.id}_{digest[:8]}.png"


def score_side(
    checkpoint: Path,
    dataset: SegmentationDataset,
    indices: Sequence[int],
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
    for index in track(indices, f"Labelling by {checkpoint.name}", console=Console(stderr=True)):
        sample = dataset.read(index)
        path = label_path(labels, sample)
        if not path.is_file():
            write_label(path, predictor(sample.image), taxonomy)
        prediction = read_mask(path, taxonomy)
        counts = count(prediction, sample.label, taxonomy.num_classes, taxonomy.void)
        part = ImageCounts.of([sample.id], counts[None], taxonomy.num_classes)
        parts = ImageCounts.gather(parts, part)
    return Side(checkpoint, labels, ImageCounts.join(parts, taxonomy.num_classes))


def gains_of(with_context: ImageCounts, without: ImageCounts) -> list[Gain]:
    """Sort images by what context gained, most first; images without a counted pixel left out."""
    scores = [table(counts.areas())[:, 0].tolist() for counts in (with_context, without)]
    gains = [
        {"id": name, "with": a, "without": b, "gain": a - b}
        for name, a, b in zip(with_context.ids, *scores, strict=True)
        if np.isfinite(a - b)
    ]
    return sorted(gains, key=lambda gain: (-gain["gain"], gain["id"]))


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
    scored = [Evaluation.of(x.images, dataset.taxonomy, split, x.checkpoint) for x in sides]
    for name, evaluation in zip(("with", "without"), scored, strict=True):
        evaluation.write(out_dir / name)
    record = compare_scored(scored[1], scored[0], Resampling()).to_dict(scored[0].names)
    record["scores"] = dict(sorted(record["scores"].items(), key=_rank))
    gains = gains_of(sides[0].images, sides[1].images)
    by_kind = {
        "gained": [gain for gain in gains if gain["gain"] > 0],
        "cost": [gain for gain in gains[::-1] if gain["gain"] < 0],
    }
    sheets, paths = {}, []
    for kind, chosen in by_kind.items():
        path = out_dir / f"context_{kind}.png"
        path.unlink(missing_ok=True)
        if chosen:
            sheets[kind] = _draw(chosen[:shown], dataset, sides)
            write_image(path, Image.fromarray(sheets[kind]))
            paths.append(path)
    values: dict[str, Any] = {
        "title": "What global context gains",
        # Named by their runs too: every run has a `model.safetensors`.
        "names": ["/".join(side.checkpoint.parts[-2:]) for side in sides],
        "cards": [str(evaluation.card) for evaluation in scored],
        "counts": {kind: len(chosen) for kind, chosen in by_kind.items()},
        "record": record,
        "gains": gains,
        "sheets": {kind: image_uri(sheet) for kind, sheet in sheets.items()},
        "tables": tables,
    }
    texts = {ending: render_page(f"context.{ending}.j2", **values) for ending in ("html", "md")}
    texts["json"] = json.dumps(record | {"images": gains}, indent=1) + "\n"
    for ending, text in texts.items():
        write_bytes_atomically(out_dir / f"context.{ending}", text.encode())
    return [*(out_dir / f"context.{ending}" for ending in texts), *paths]


def _rank(item: tuple[str, Any]) -> tuple[bool, float]:
    """Put the four scores first, then classes by gain; what was not scored comes last."""
    name, value = item[0], item[1]["difference"]["value"]
    return name not in tables.SUMMARY, np.inf if value is None else -value


def _draw(
    gains: Sequence[Gain], dataset: SegmentationDataset, sides: tuple[Side, Side]
) -> UInt8[np.ndarray, "h w 3"]:
    """Lay labels over images; what is void in the ground truth is void in all of them."""
    taxonomy, present = dataset.taxonomy, set[int]()
    images: list[list[UInt8[np.ndarray, "_ _ 3"]]] = []
    captions = []
    for gain in gains:
        sample = dataset.read(dataset.ids.index(gain["id"]))
        labels: list[LabelMap] = [sample.label]
        for side in sides[::-1]:
            found = read_mask(label_path(side.labels, sample), taxonomy)
            labels.append(np.where(sample.label == taxonomy.void, sample.label, found))
        present.update(*(np.unique(label).tolist() for label in labels))
        images.append([sample.image, *(blend(sample.image, x, taxonomy, 0.75) for x in labels)])
        with_context = f"with context: {100 * gain['with']:.1f} ({100 * gain['gain']:+.1f})"
        without = f"without context: {100 * gain['without']:.1f}"
        captions.append([gain["id"], "ground truth", without, with_context])
    legend = legend_of(sorted(present), taxonomy)
    return contact_sheet(images, captions, tile=300, legend=legend)
