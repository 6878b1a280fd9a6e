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

_FAR = 100
"""Coordinates beyond so many image sides are taken for damage."""

Annotation: TypeAlias = Mapping[str, Any]
"""An annotation as the JSON file has it; nothing is known of it yet."""

Runs: TypeAlias = Int64[np.ndarray, " r"]
"""A mask as lengths of runs, down the columns: outside, inside, outside and so on."""


class Palette(NamedTuple):
    """What pixels become."""

    classes: Mapping[int, int]
    """Class index, or void, of every category id."""
    rest: int
    """Class index, or void, of pixels that no annotation covers."""
    void: int
    """Label of crowds, and of objects that have a box and no outline."""
    kind: str
    """The numpy type of labels."""

    def label_of(self, annotation: Annotation, is_void: bool, name: str) -> int:
        """Return what an annotation's pixels become; what counts as background stays it."""
        category = annotation.get("category_id")
        if not isinstance(category, int) or category not in self.classes:
            raise LabelError(
                f"Annotation {annotation.get('id')} of '{name}' must be of a category in the "
                f"file's list, got 'category_id' {category}. Export the file again."
            )
        index = self.classes[category]
        return self.void if is_void and index != self.rest else index


def draw_outlines(
    annotations: Iterable[Annotation], size: tuple[int, int], palette: Palette, name: str
) -> LabelMap:
    """Draw polygons and run-length masks; where two overlap, the smaller one is on top.

    Crowds, and objects with a box but no outline, are void, beneath everything else. Equal sizes
    are drawn in the file's order.
    """
    shapes = [_shape_of(annotation, size, palette, name) for annotation in annotations]
    label = np.full(size[0] * size[1], palette.rest, palette.kind)  # down the columns, as runs go
    for value, runs, _ in sorted(shapes, key=lambda x: (not x.is_beneath, -x.runs[1::2].sum())):
        ends = runs.cumsum().tolist()
        # Outlines have few runs: this is five times as fast as making a mask.
        for start, end in zip(ends[::2], ends[1::2], strict=False):
            label[start:end] = value
    return np.ascontiguousarray(label.reshape(size[1], size[0]).T)


def draw_segments(
    path: Path,
    segments: Iterable[Annotation],
    size: tuple[int, int],
    palette: Palette,
    name: str,
) -> LabelMap:
    """Turn a panoptic PNG, whose colours are the numbers of segments, into a label map.

    A segment's number is red + 256 green + 65536 blue, and 0 is unlabelled.
    """
    numbers = read_image(path).astype(np.int32) @ np.array([1, 256, 65536], np.int32)
    if numbers.shape != size:
        raise LabelError(
            f"The label '{path}' must be as large as its image {size}, got "
            f"{numbers.shape}. Sizes are (height, width)."
        )
    known = {0: palette.rest}
    for segment in segments:
        known[segment["id"]] = palette.label_of(segment, bool(segment.get("iscrowd")), name)
    keys = np.array(sorted(known), np.int64)
    places = np.searchsorted(keys, numbers).clip(max=len(keys) - 1)
    wrong = keys[places] != numbers
    if wrong.any():
        row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
        raise LabelError(
            f"The label '{path}' must show segments that are in the JSON file, got number "
            f"{numbers[row, column]} at row {row}, column {column}. Use the PNG and JSON files of "
            "one release."
        )
    label: LabelMap = np.array([known[key] for key in keys.tolist()], palette.kind)[places]
    return label


class _Shape(NamedTuple):
    """An annotation to be drawn."""

    label: int
    runs: Runs
    is_beneath: bool
    """Whether it is drawn before all others."""


def _shape_of(annotation: Annotation, size: tuple[int, int], palette: Palette, name: str) -> _Shape:
    """Read an annotation; one without an outline is as large as its box, or as the image."""
    outline, box = annotation.get("segmentation"), annotation.get("bbox")
    num_pixels = size[0] * size[1]
    is_crowd = bool(annotation.get("iscrowd"))
    palette.label_of(annotation, is_crowd, name)
    try:
        if isinstance(outline, dict) and tuple(outline["size"]) != size:
            raise ValueError(f"run lengths of size {outline['size']} for {list(size)}")
        runs = _unpack(outline["counts"]) if isinstance(outline, dict) else _fill(outline, size)
        is_beneath = runs is None or is_crowd
        if runs is None and box:
            x, y, width, height = box
            runs = _fill([x, y, x + width, y, x + width, y + height, x, y + height], size)
        if runs is None:
            runs = np.array([num_pixels])
        if runs.sum() != num_pixels or runs.min() < 0:
            raise ValueError(f"run lengths of {runs.sum()} pixels")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise LabelError(
            f"Annotation {annotation.get('id')} of '{name}' must be polygons [x, y, ...], "
            f"run lengths or a box, got '{error}'. Correct it or export the file again."
        ) from None
    return _Shape(palette.label_of(annotation, is_beneath, name), runs, is_beneath)


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


def _unpack(counts: str | list[int]) -> Runs:
    """Unpack COCO's compressed run lengths; plain ones stay as they are.

    A number is a row of characters of 5 bits each, the lowest first; a sixth bit says that more
    follow, and the highest bit of the last one is the sign. From the fourth number on, only the
    difference to the one before last is stored. pycocotools unpacks them too, but takes run
    lengths that are too short for good and leaves the other pixels to chance.

    Source: rleFrString in cocoapi/common/maskApi.c.
    """
    if not isinstance(counts, str):
        return np.array(counts, np.int64)
    codes = np.frombuffer(counts.encode(), np.uint8).astype(np.int64) - 48
    is_last = (codes & 32) == 0
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or not is_last[-1]:
        raise ValueError("damaged run lengths")
    starts = np.flatnonzero(np.r_[True, is_last[:-1]])
    lengths = np.diff(np.r_[starts, len(codes)])
    if lengths.max() > 12:
        raise ValueError("damaged run lengths")
    places = np.arange(len(codes)) - np.repeat(starts, lengths)
    runs = np.add.reduceat((codes & 31) << (5 * places), starts)
    runs -= np.where((codes[is_last] & 16) > 0, 1 << (5 * lengths), 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs
