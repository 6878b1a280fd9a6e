"""Figures 1, 4 and 5: the same pictures with and without global context."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from parsenet.data.base import SegmentationDataset
from parsenet.data.labels import LabelMap
from parsenet.data.reading import read_stored_label
from parsenet.errors import ConfigError
from parsenet.evaluation.comparison import Scored, compare_scored, comparison_record
from parsenet.evaluation.record import Evaluation
from parsenet.files import write_bytes_atomically
from parsenet.inference.legend import GAP, LINE, PAPER, TEXT, draw_legend, font, name_of
from parsenet.inference.pictures import write_picture
from parsenet.inference.predictor import Predictor
from parsenet.inference.writers import blend, write_label
from parsenet.metrics.counting import count
from parsenet.metrics.per_image import ImageCounts
from parsenet.metrics.protocol import hash_file
from parsenet.metrics.scores import image_scores
from parsenet.metrics.statistics import Resampling
from parsenet.reports.comparison import comparison_table

PANEL = 300
"""Longer side of a picture on a sheet, in pixels."""

_OPACITY = 0.75


@dataclass(frozen=True)
class Gain:
    """What context did to one picture."""

    index: int
    """Position in the data set."""
    id: str
    """Name of the picture."""
    with_context: float
    """Mean IoU of the picture by itself, in [0, 1]."""
    without: float
    """The same without context."""

    @property
    def gain(self) -> float:
        """The difference; below 0 context cost something."""
        return self.with_context - self.without


@dataclass(frozen=True)
class Side:
    """One of the two networks, and what it said about the pictures."""

    checkpoint: Path
    """Its file."""
    sha256: str
    """The file's hash."""
    images: ImageCounts
    """Counts per picture."""
    labels: Path
    """Folder of its label maps."""


def score_side(
    checkpoint: Path,
    dataset: SegmentationDataset,
    indices: Iterable[int],
    folder: Path,
    device: str = "auto",
) -> Side:
    """Label pictures and count; label maps that an interrupted call left are taken up.

    Args:
        checkpoint: network to use.
        dataset: pictures with labels, untransformed.
        indices: positions of the pictures.
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
        path = labels / f"{sample.id}.png"
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
    """Sort pictures by what context gained, most first; pictures without a counted pixel left out.

    Args:
        dataset: tells the positions.
        with_context: counts of the network with context.
        without: counts of the other.
    """
    position = {name: index for index, name in enumerate(dataset.ids)}
    one, other = image_scores(with_context).mean_iou, image_scores(without).mean_iou
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
    """Write scores, the table of classes, and sheets of what context gained and cost.

    Args:
        out_dir: folder of the results; scores of the two go to `with` and `without` in it.
        dataset: the pictures.
        split: their name.
        sides: with context, and without.
        shown: pictures on each sheet.

    Returns:
        `context.md`, `context.json`, and the sheets.
    """
    scored = []
    for name, side in zip(("with", "without"), sides, strict=True):
        evaluation = Evaluation(
            side.images, dataset.taxonomy, split, side.checkpoint.name, side.sha256
        )
        evaluation.write(out_dir / name)
        scored.append(Scored.load(out_dir / name))
    how = Resampling()
    result = compare_scored(scored[1], scored[0], how)
    record = comparison_record(result, scored[0].names, how)
    gains = gains_of(dataset, sides[0].images, sides[1].images)
    sheets = []
    for title, chosen in (
        ("gained", [gain for gain in gains if gain.gain > 0][:shown]),
        ("cost", [gain for gain in gains[::-1] if gain.gain < 0][:shown]),
    ):
        path = out_dir / f"context_{title}.png"
        path.unlink(missing_ok=True)
        if chosen:
            write_picture(path, draw_gains(dataset, chosen, sides))
            sheets.append(path)
    pictures = [
        {"id": g.id, "with": g.with_context, "without": g.without, "gain": g.gain} for g in gains
    ]
    data, text = out_dir / "context.json", out_dir / "context.md"
    content = json.dumps(record | {"pictures": pictures}, indent=1) + "\n"
    write_bytes_atomically(data, content.encode())
    page = _page(scored[1], scored[0], comparison_table(record), gains, sheets)
    write_bytes_atomically(text, page.encode())
    return [text, data, *sheets]


def _page(
    without: Scored, with_context: Scored, table: str, gains: Sequence[Gain], sheets: Sequence[Path]
) -> str:
    better = sum(gain.gain > 0 for gain in gains)
    worse = sum(gain.gain < 0 for gain in gains)
    parts = [
        "# What global context gains",
        f"A: without context ({without.card}).\n\nB: with context ({with_context.card}).",
        table,
        f"Of {len(gains):,} pictures {better:,} are better with context and {worse:,} worse, by "
        "the mean IoU over the classes of their own ground truth.",
        *(f"![{path.stem}]({path.name})" for path in sheets),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def draw_gains(
    dataset: SegmentationDataset, gains: Sequence[Gain], sides: tuple[Side, Side]
) -> Image.Image:
    """Draw a row per picture: as it is, its truth, without context, with context.

    Args:
        dataset: the pictures.
        gains: which ones, in order; at least one.
        sides: with context, and without.
    """
    taxonomy = dataset.taxonomy
    rows, present = [], set()
    for gain in gains:
        sample = dataset.read(gain.index)
        paths = [side.labels / f"{gain.id}.png" for side in sides[::-1]]
        maps = [_void_like(read_stored_label(path), sample.label, taxonomy.void) for path in paths]
        present |= {int(v) for label in (sample.label, *maps) for v in np.unique(label)}
        drawn = [blend(sample.image, x, taxonomy, _OPACITY) for x in (sample.label, *maps)]
        titles = [
            gain.id,
            "truth",
            f"without context: {100 * gain.without:.1f}",
            f"with context: {100 * gain.with_context:.1f} ({100 * gain.gain:+.1f})",
        ]
        rows.append(_draw_row([sample.image, *drawn], titles))
    width = max(row.width for row in rows)
    legend = draw_legend({v: name_of(v, taxonomy) for v in sorted(present)}, taxonomy, width)
    sheet = Image.new("RGB", (width, sum(row.height for row in rows) + legend.height + GAP), PAPER)
    top = 0
    for row in (*rows, legend):
        sheet.paste(row, (0, top))
        top += row.height
    return sheet


def _void_like(prediction: np.ndarray, truth: LabelMap, void: int) -> LabelMap:
    """Void what is void in the truth: it does not count."""
    return np.where(truth == void, truth, prediction.astype(truth.dtype))


def _draw_row(layers: Sequence[np.ndarray], titles: Sequence[str]) -> Image.Image:
    height, width = layers[0].shape[:2]
    factor = PANEL / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    row = Image.new("RGB", (4 * (PANEL + GAP) + GAP, LINE + size[1] + GAP), PAPER)
    draw = ImageDraw.Draw(row)
    for index, (pixels, title) in enumerate(zip(layers, titles, strict=True)):
        left = GAP + index * (PANEL + GAP)
        draw.text((left, 2), title, TEXT, font())
        row.paste(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS), (left, LINE))
    return row
