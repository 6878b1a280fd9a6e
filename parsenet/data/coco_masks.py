"""COCO's outlines and panoptic PNGs drawn as label maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Int64

from parsenet.data.labels import LabelMap
from parsenet.data.reading import read_image
from parsenet.errors import LabelError
from parsenet.taxonomy import Recoding, Taxonomy

_FAR = 100
"""Coordinates beyond so many image sides are taken for damage."""

Annotation: TypeAlias = Mapping[str, Any]
"""An annotation as the JSON file has it; nothing is known of it yet."""

Runs: TypeAlias = Int64[np.ndarray, " r"]
"""A mask as lengths of runs, down the columns: outside, inside, outside and so on."""


class Palette(NamedTuple):
    """What pixels become."""

    taxonomy: Taxonomy
    classes: Mapping[int, int]
    """Class index, or void, of every category id."""
    rest: int
    """Class index, or void, of pixels that no annotation covers."""

    def label_of(self, annotation: Annotation, is_void: bool, name: str) -> int:
        """Return what an annotation's pixels become; what counts as background stays it."""
        category = annotation.get("category_id")
        if category is None or category not in self.classes:
            raise LabelError(
                f"Annotation {annotation.get('id')} of '{name}' must be of a category in the "
                f"file's list, got 'category_id' {category}. Export the file again."
            )
        index = self.classes[category]
        return self.taxonomy.void if is_void and index != self.rest else index


def draw_segments(
    path: Path, segments: list[Annotation], size: tuple[int, int], palette: Palette, name: str
) -> LabelMap:
    """Turn a panoptic PNG into a label map: red + 256 green + 65536 blue is a segment, or 0."""
    image = read_image(path)
    if image.shape[:2] != size:
        raise LabelError(
            f"The label '{path}' must be as large as its image {size}, got "
            f"{image.shape[:2]}. Sizes are (height, width)."
        )
    colours = {(0, 0, 0): palette.rest}
    for segment in segments:
        number = segment["id"]
        colour = number & 255, number >> 8 & 255, number >> 16 & 255
        colours[colour] = palette.label_of(segment, bool(segment.get("iscrowd")), name)
    try:
        return Recoding(palette.taxonomy, {}, colours).from_colours(image)
    except LabelError as error:
        raise LabelError(
            f"The label '{path}' must show segments that are in the JSON file, got "
            f"{str(error).partition(' is not in')[0]}. Use the PNG and JSON files of one release."
        ) from None


def draw_outlines(
    annotations: Iterable[Annotation], size: tuple[int, int], palette: Palette, name: str
) -> LabelMap:
    """Draw polygons and run-length masks; where two overlap, the smaller one is on top.

    Crowds, and objects with a box but no outline, are void, beneath everything else. Equal sizes
    are drawn in the file's order.
    """
    shapes: list[tuple[bool, int, Runs]] = []
    for annotation in annotations:
        try:
            runs, is_void = _runs_of(annotation, size)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise LabelError(
                f"Annotation {annotation.get('id')} of '{name}' must be polygons [x, y, ...], "
                f"run lengths or a box, got '{error}'. Correct it or export the file again."
            ) from None
        shapes.append((is_void, palette.label_of(annotation, is_void, name), runs))
    # Down the columns, as runs go.
    label = np.full(size[0] * size[1], palette.rest, palette.taxonomy.label_type)
    for _, value, runs in sorted(shapes, key=lambda shape: (not shape[0], -shape[2][1::2].sum())):
        ends = runs.cumsum().tolist()
        # Outlines have few runs: this is five times as fast as making a mask.
        for start, end in zip(ends[::2], ends[1::2], strict=False):
            label[start:end] = value
    return np.ascontiguousarray(label.reshape(size[1], size[0]).T)


def _runs_of(annotation: Annotation, size: tuple[int, int]) -> tuple[Runs, bool]:
    """Tell an annotation's pixels, and whether they are void: its outline, its box, or all."""
    outline, box = annotation.get("segmentation"), annotation.get("bbox")
    runs: Runs | None
    if isinstance(outline, dict):
        if tuple(outline["size"]) != size:
            raise ValueError(f"run lengths of size {outline['size']} for {list(size)}")
        counts = outline["counts"]
        runs = _unpack(counts) if isinstance(counts, str) else np.array(counts, np.int64)
    else:
        runs = _fill(outline, size)
    is_void = runs is None or bool(annotation.get("iscrowd"))
    if runs is None and box:
        x, y, width, height = box
        runs = _fill([x, y, x + width, y, x + width, y + height, x, y + height], size)
    if runs is None:
        runs = np.array([size[0] * size[1]])
    if runs.sum() != size[0] * size[1] or runs.min() < 0:
        raise ValueError(f"run lengths of {runs.sum()} pixels")
    return runs, is_void


def _fill(outline: object, size: tuple[int, int]) -> Runs | None:
    """Turn polygons into run lengths; None where there is none of three points."""
    listed = outline if isinstance(outline, list) else []
    # Some tools write one polygon without the list around it, or points as pairs.
    if listed and (not isinstance(listed[0], list) or all(len(part) == 2 for part in listed)):
        listed = [listed]
    polygons = [np.asarray(polygon, np.float64).ravel() for polygon in listed]
    polygons = [polygon for polygon in polygons if len(polygon) >= 6]  # two points would be a box
    for polygon in polygons:
        # No image has such coordinates: drawing them takes memory for every pixel.
        if len(polygon) % 2 or not np.isfinite(polygon).all():
            raise ValueError("coordinates that are not pairs of numbers")
        if abs(polygon).max() > _FAR * max(size):
            raise ValueError(f"the coordinate {abs(polygon).max():g}")
    if not polygons:
        return None
    from pycocotools import mask as masks  # only this kind of data needs it

    filled = masks.merge(masks.frPyObjects([part.tolist() for part in polygons], *size))
    return _unpack(filled["counts"].decode())


def _unpack(counts: str) -> Runs:
    """Unpack COCO's compressed run lengths.

    A number is a row of characters of 5 bits each, the lowest first; a sixth bit says that more
    follow, and the highest bit of the last one is the sign. From the fourth number on, the
    difference to the one before last is stored. pycocotools leaves the pixels beyond to chance.

    Source: rleFrString in cocoapi/common/maskApi.c.
    """
    runs: list[int] = []
    value = shift = 0
    for code in counts.encode():
        if not 48 <= code < 112 or shift > 55:
            raise ValueError("damaged run lengths")
        value |= (code - 48 & 31) << shift
        shift += 5
        if not code - 48 & 32:
            value -= (code - 48 & 16) << shift - 4
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift or not runs:
        raise ValueError("damaged run lengths")
    return np.array(runs, np.int64)
