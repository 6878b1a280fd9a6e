"""Labels drawn for people: over their image, with a legend, beside the ground truth."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from parsenet.data.labels import LabelMap
from parsenet.files import write_bytes_atomically
from parsenet.reports.page import contact_sheet, draw_legend
from parsenet.taxonomy import VOID_COLOUR, Colour, Taxonomy

_MIN_LEGEND = 160
_LEGEND_SCALE = 900
"""Pixels of an image's longer side for which the letters of its legend have 14."""
_MIN_PANEL, _MAX_PANEL = 160, 480
_BAND = 2**20
"""Pixels counted at once: numpy widens them eightfold, which a huge image has no room for."""

Triple: TypeAlias = tuple[UInt8[np.ndarray, "h w 3"] | None, LabelMap, LabelMap]
"""Image where there is one, ground truth and prediction."""


def measure_areas(label: LabelMap) -> dict[int, int]:
    """Count the pixels of every class that occurs, by class index, the largest area first."""
    rows = max(1, _BAND // label.shape[1])
    counts = np.zeros(np.iinfo(label.dtype).max + 1, np.int64)
    for top in range(0, label.shape[0], rows):
        counts += np.bincount(label[top : top + rows].ravel(), minlength=len(counts))
    largest_first = np.argsort(-counts, kind="stable")
    return {int(index): int(counts[index]) for index in largest_first if counts[index]}


def blend(
    image: UInt8[np.ndarray, "h w 3"],
    label: LabelMap,
    taxonomy: Taxonomy,
    opacity: float = 0.5,
) -> UInt8[np.ndarray, "h w 3"]:
    """Lay the colours of a label map over an image; a class drawn black leaves it as it is.

    Black is what VOC gives to background, which would only darken the image. An opacity of 0 shows
    the image alone, 1 the colours alone.
    """
    colours = taxonomy.colourise(label)
    mixed = Image.blend(Image.fromarray(image), Image.fromarray(colours), opacity)
    is_drawn = colours.any(axis=-1, keepdims=True)
    return np.where(is_drawn, np.asarray(mixed), image)


def name_of(value: int, taxonomy: Taxonomy) -> str:
    """Name a class, or void."""
    return "void" if value == taxonomy.void else taxonomy.names[value]


def add_legend(image: Image.Image, areas: Mapping[int, int], taxonomy: Taxonomy) -> Image.Image:
    """Add names and areas (pixels by class index) below an image; narrow ones get a margin."""
    total, colours = max(1, sum(areas.values())), {}
    for value, (name, colour) in zip(areas, legend_of(areas, taxonomy).items(), strict=True):
        share = areas[value] / total
        colours[f"{name} {'< 0.1' if share < 0.001 else f'{100 * share:.1f}'} %"] = colour
    width = max(image.width, _MIN_LEGEND)
    # As large on a screen that shows the whole image, however many pixels that has.
    below = draw_legend(colours, width, scale=max(1.0, max(image.size) / _LEGEND_SCALE))
    sheet = Image.new("RGB", (width, image.height + len(below)), "white")
    sheet.paste(image)
    sheet.paste(Image.fromarray(below), (0, image.height))
    return sheet


def legend_of(values: Iterable[int], taxonomy: Taxonomy) -> dict[str, Colour]:
    """Return names and colours of classes, and of void, in the order of the legend."""
    return {
        name_of(value, taxonomy): VOID_COLOUR if value == taxonomy.void else taxonomy.palette[value]
        for value in values
    }


def draw_sample(
    image: UInt8[np.ndarray, "h w 3"] | None,
    truth: LabelMap,
    prediction: LabelMap,
    taxonomy: Taxonomy,
) -> Image.Image:
    """Draw image, ground truth and prediction side by side over a legend of their classes.

    Pixels that are void in the ground truth are drawn so in the prediction too: they do not count.
    Without an image the labels are drawn alone.
    """
    shown = np.where(truth == taxonomy.void, truth, prediction)
    labels = {"ground truth": truth, "prediction": shown}
    if image is None:
        panels = {title: taxonomy.colourise(label) for title, label in labels.items()}
    else:
        panels = {"image": image}
        panels |= {title: blend(image, x, taxonomy, 0.75) for title, x in labels.items()}
    legend = legend_of(np.union1d(truth, shown).tolist(), taxonomy)
    # Native size where the longer side is of a handy length.
    tile = min(max(*truth.shape, _MIN_PANEL), _MAX_PANEL)
    captions = [[""] * len(panels)]
    return Image.fromarray(
        contact_sheet([list(panels.values())], captions, list(panels), tile, legend)
    )


def write_worst(
    out_dir: Path,
    worst: Sequence[tuple[str, float]],
    read: Callable[[str], Triple],
    taxonomy: Taxonomy,
) -> None:
    """Draw the images that scored worst; images of an earlier scoring are removed.

    Args:
        out_dir: folder; files are named after rank, id and mean IoU in per cent.
        worst: ids and mean IoU, worst first.
        read: gives image, ground truth and prediction of an id.
        taxonomy: gives names and colours.
    """
    for old in out_dir.glob("*.png"):
        old.unlink()
    for rank, (name, iou) in enumerate(worst, start=1):
        path = out_dir / f"{rank:02d}_{name.replace('/', '_')}_iou_{100 * iou:.2f}.png"
        write_image(path, draw_sample(*read(name), taxonomy))


def write_image(path: Path, image: Image.Image, **options: int | str) -> None:
    """Write an image as PNG or, where the name ends in `.jpg`, JPEG, atomically."""
    content = io.BytesIO()
    image.save(content, "JPEG" if path.suffix == ".jpg" else "PNG", **options)
    write_bytes_atomically(path, content.getvalue())
