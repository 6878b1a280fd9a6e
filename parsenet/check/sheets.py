"""Contact sheets: the cases of a finding, and samples as the loader hands them to the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

import numpy as np
from jaxtyping import UInt, UInt8
from scipy.ndimage import maximum_filter

from parsenet.check.findings import Finding
from parsenet.check.survey import Survey
from parsenet.data.base import SegmentationDataset, check_labels
from parsenet.data.reading import read_image
from parsenet.data.sample import Key, TrainSampler, repeat_factors
from parsenet.errors import ParseNetError
from parsenet.inference.drawing import blend
from parsenet.reports.page import contact_sheet
from parsenet.taxonomy import Colour, Taxonomy

WRONG_COLOUR = (255, 0, 220)
"""Pixels with a value that no class has."""

MAX_DRAWN = 3
"""Cases of a finding that are drawn."""

_Tile: TypeAlias = tuple[UInt8[np.ndarray, "_ _ 3"], str]
"""An image and the text below it."""


def draw_cases(splits: Mapping[str, Survey], finding: Finding) -> UInt8[np.ndarray, "h w 3"] | None:
    """Draw the first cases of a finding, a row each; None where nothing can be read.

    Samples that are compared are drawn without their labels.
    """
    rows: list[list[_Tile]] = []
    for case in finding.cases[:MAX_DRAWN]:
        alone = len(case.samples) == 1
        rows.append([x for name, n in case.samples for x in _draw(splits[name], n, alone)])
    return _lay_out([row for row in rows if row], 320) if any(rows) else None


def _draw(split: Survey, index: int, with_label: bool) -> Iterator[_Tile]:
    """Yield the image of a sample, then its label over it, as far as they can be read."""
    dataset, image = split.dataset, None
    assert dataset is not None
    with suppress(Exception):  # it is told of in words
        path = dataset.image_path(index)
        image = dataset.read(index).image if path is None else read_image(path)
        yield image, f"{split.name}: {dataset.ids[index]}"
    if with_label and not split.labels[index].error:
        label = dataset.read_label(index)
        if image is None or image.shape[:2] != label.shape:
            image = np.zeros((*label.shape, 3), np.uint8)
        yield overlay(image, label, split.taxonomy), "label"


def overlay(
    image: UInt8[np.ndarray, "h w 3"], label: UInt[np.ndarray, "h w"], taxonomy: Taxonomy
) -> UInt8[np.ndarray, "h w 3"]:
    """Lay a label over its image: void is striped, what no class has is marked.

    A class that the taxonomy draws black leaves the image as it is.
    """
    is_class, is_void = label < taxonomy.num_classes, label == taxonomy.void
    shown = blend(image, np.where(is_class, label, 0).astype(label.dtype), taxonomy, 0.7)
    rows, columns = np.indices(label.shape)
    stripe = np.where((rows + columns) // max(1, max(label.shape) // 60) % 2, 235, 90)
    striped = 0.35 * image + 0.65 * stripe[..., None]
    # A few more pixels around wrong ones, so that single ones survive scaling down.
    wrong = maximum_filter(~is_class & ~is_void, size=2 * (max(label.shape) // 320) + 1)
    shown = np.where(is_void[..., None], striped.astype(np.uint8), shown)
    return np.where(wrong[..., None], np.array(WRONG_COLOUR, np.uint8), shown)


def legend(values: Sequence[int], taxonomy: Taxonomy) -> dict[str, Colour]:
    """Name the colours of classes and of void."""
    colours = {taxonomy.names[x]: taxonomy.palette[x] for x in values if x != taxonomy.void}
    return colours | ({"void (striped)": (160, 160, 160)} if taxonomy.void in values else {})


def training_keys(
    dataset: SegmentationDataset, seed: int, epoch: int, balance: float = 0.0
) -> list[Key]:
    """Return the keys that training draws in an epoch, by `data.balance` from all labels."""
    weights = repeat_factors(check_labels(dataset), balance) if balance else None
    sampler = TrainSampler(len(dataset), seed, weights=weights)
    sampler.set_epoch(epoch)
    return list(sampler)


def draw_sheet(
    dataset: SegmentationDataset, keys: Sequence[int | Key]
) -> tuple[UInt8[np.ndarray, "h w 3"], int]:
    """Load samples as a data loader does, and draw each beside itself under its label.

    Returns the sheet, and how many samples could not be loaded; their reason is shown.
    """
    taxonomy, failed = dataset.taxonomy, 0
    tiles: list[_Tile] = []
    values: set[int] = set()
    for key in keys:
        index, seed = key if isinstance(key, tuple) else (key, None)
        caption = dataset.ids[index] + ("" if seed is None else f"\nseed {seed}")
        try:
            item = dataset[key]
        except ParseNetError as error:
            blank = np.full((1, 1, 3), 220, np.uint8)
            tiles += [(blank, caption), (blank, str(error))]
            failed += 1
            continue
        image = item.image.numpy().transpose(1, 2, 0)
        label = item.label.numpy().astype(taxonomy.label_type)
        void = 100 * (label == taxonomy.void).mean()
        words = f"{label.shape[0]} x {label.shape[1]}\n{void:.0f} % void"
        tiles += [(image, caption), (overlay(image, label, taxonomy), words)]
        values.update(np.unique(label).tolist())
    rows = [tiles[start : start + 6] for start in range(0, len(tiles), 6)]
    return _lay_out(rows, 232, legend(sorted(values), taxonomy)), failed


def _lay_out(
    rows: Sequence[Sequence[_Tile]], tile: int, colours: Mapping[str, Colour] | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    images = [[image for image, _ in row] for row in rows]
    captions = [[text for _, text in row] for row in rows]
    return contact_sheet(images, captions, tile=tile, legend=colours)
