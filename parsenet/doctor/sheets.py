"""Contact sheets: samples as the data loader hands them to the network, labels over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt, UInt8
from PIL import Image, ImageDraw
from rich.console import Console
from rich.progress import track

from parsenet.data.base import SegmentationDataset, check_labels
from parsenet.data.sample import Key
from parsenet.data.sampler import TrainSampler, repeat_factors
from parsenet.doctor.drawings import overlay
from parsenet.errors import ParseNetError
from parsenet.inference.drawing import (
    GAP,
    LINE,
    PAPER,
    TEXT,
    draw_legend,
    font,
    name_of,
    write_image,
)
from parsenet.taxonomy import Taxonomy

COLUMNS = 3
ROWS = 4
PANEL = 232
"""Longer side of an image on a sheet, in pixels."""

_ERROR = (176, 32, 42)


class Shown(NamedTuple):
    """A sample on a sheet; image and label are None where it could not be loaded."""

    caption: str
    image: UInt8[np.ndarray, "h w 3"] | None
    label: UInt[np.ndarray, "h w"] | None
    error: str = ""


def training_keys(
    dataset: SegmentationDataset, count: int, seed: int, epoch: int, balance: float = 0.0
) -> list[Key]:
    """Return the first keys that training draws in an epoch.

    Args:
        dataset: what is trained on.
        count: keys wanted; an epoch may have fewer.
        seed: `seed_everything` of the run.
        epoch: counted from 0.
        balance: `data.balance`; above 0 all labels are read first, as training does.
    """
    weights = repeat_factors(check_labels(dataset), balance) if balance else None
    sampler = TrainSampler(len(dataset), seed, weights=weights)
    sampler.set_epoch(epoch)
    return list(sampler)[:count]


def load(dataset: SegmentationDataset, keys: Sequence[int | Key]) -> Iterator[Shown]:
    """Load samples as a data loader does; one that fails is shown with its reason.

    Args:
        dataset: with its transform, or without one.
        keys: what the sampler yields.
    """
    for key in keys:
        index, seed = key if isinstance(key, tuple) else (key, None)
        name = dataset.ids[index]
        caption = name if seed is None else f"{name}  seed {seed}"
        try:
            item = dataset[key]
        except ParseNetError as error:
            yield Shown(caption, None, None, str(error))
            continue
        label = item.label.numpy().astype(dataset.taxonomy.label_type)
        yield Shown(caption, item.image.numpy().transpose(1, 2, 0), label)


def write_sheets(
    samples: Iterator[Shown], total: int, taxonomy: Taxonomy, folder: Path, title: str
) -> tuple[list[Path], int]:
    """Write samples on as many sheets as they need; sheets of the same name are replaced.

    Args:
        samples: what to show.
        total: how many there are.
        taxonomy: gives names and colours.
        folder: where to; made if it is missing.
        title: of the sheets, and the start of their names.

    Returns:
        the sheets' paths, and how many samples could not be loaded.
    """
    for old in folder.glob(f"{title}_[0-9][0-9][0-9].png"):
        old.unlink()
    console = Console(stderr=True)
    paths: list[Path] = []
    page: list[Shown] = []
    failed = 0
    for sample in track(samples, "Drawing", total, console=console):
        page.append(sample)
        failed += bool(sample.error)
        if len(page) == COLUMNS * ROWS:
            paths.append(_write(page, taxonomy, folder, f"{title}_{len(paths) + 1:03d}"))
            page = []
    if page:
        paths.append(_write(page, taxonomy, folder, f"{title}_{len(paths) + 1:03d}"))
    return paths, failed


def draw_sheet(samples: Sequence[Shown], taxonomy: Taxonomy) -> Image.Image:
    """Draw one sheet: each image beside itself under its label, and a legend below all.

    Void, the padding of crops included, is striped.

    Args:
        samples: at most `COLUMNS` x `ROWS`.
        taxonomy: gives names and colours.
    """
    cells = [_draw_cell(sample, taxonomy) for sample in samples]
    rows = [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]
    width = COLUMNS * (cells[0].width + GAP) + GAP
    legend = draw_legend(_entries(samples, taxonomy), taxonomy, width)
    heights = [max(cell.height for cell in row) + GAP for row in rows]
    sheet = Image.new("RGB", (width, GAP + sum(heights) + legend.height + GAP), PAPER)
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (GAP + column * (cell.width + GAP), top))
        top += height
    sheet.paste(legend, (0, top))
    return sheet


def _write(samples: Sequence[Shown], taxonomy: Taxonomy, folder: Path, name: str) -> Path:
    path = folder / f"{name}.png"
    write_image(path, draw_sheet(samples, taxonomy))
    return path


def _draw_cell(sample: Shown, taxonomy: Taxonomy) -> Image.Image:
    width = 2 * PANEL + 4
    if sample.image is None or sample.label is None:
        return _draw_failure(sample, width)
    panels = [sample.image, overlay(sample.image, sample.label, taxonomy)]
    height, wide = sample.label.shape
    factor = PANEL / max(height, wide)
    size = max(1, round(wide * factor)), max(1, round(height * factor))
    how = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.NEAREST
    cell = Image.new("RGB", (width, size[1] + 2 * LINE), PAPER)
    for index, pixels in enumerate(panels):
        cell.paste(Image.fromarray(pixels).resize(size, how), (index * (PANEL + 4), 0))
    draw = ImageDraw.Draw(cell)
    draw.text((0, size[1] + 3), _fit(sample.caption, width), TEXT, font())
    void = (sample.label == taxonomy.void).mean()
    draw.text((0, size[1] + LINE), f"{height} x {wide}, {100 * void:.0f} % void", TEXT, font())
    return cell


def _draw_failure(sample: Shown, width: int) -> Image.Image:
    cell = Image.new("RGB", (width, PANEL // 2), PAPER)
    draw = ImageDraw.Draw(cell)
    draw.text((0, 3), _fit(sample.caption, width), TEXT, font())
    for line, text in enumerate(_wrap(sample.error, width)[: PANEL // 2 // LINE - 1], start=1):
        draw.text((0, 3 + line * LINE), text, _ERROR, font())
    return cell


def _wrap(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font().getlength(longer) > width and lines[-1]:
            lines.append(_fit(word, width))
        else:
            lines[-1] = _fit(longer, width)
    return lines


def _fit(text: str, width: int) -> str:
    """Shorten a name in its middle until it fits."""
    shown, keep = text, len(text)
    while font().getlength(shown) > width and keep > 8:
        keep -= 2
        shown = f"{text[: keep // 2]}...{text[len(text) - keep // 2 :]}"
    return shown


def _entries(samples: Sequence[Shown], taxonomy: Taxonomy) -> dict[int, str]:
    """Name the classes on a sheet; void last."""
    labels = [sample.label for sample in samples if sample.label is not None]
    values = {int(value) for label in labels for value in np.unique(label)}
    entries = {value: name_of(value, taxonomy) for value in sorted(values - {taxonomy.void})}
    return entries | ({taxonomy.void: "void (striped)"} if taxonomy.void in values else {})
