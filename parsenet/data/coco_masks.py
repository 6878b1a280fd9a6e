"""COCO's outlines and panoptic PNGs drawn as label maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Int64, UInt8

from parsenet.data.reading import read_image
from parsenet.errors import ConfigError, LabelError

Runs: TypeAlias = Int64[np.ndarray, " r"]
"""A mask as lengths of runs, down the columns: outside, inside, outside and so on."""

_FAR = 100
"""Coordinates beyond so many image sides are taken for damage."""


class Palette(NamedTuple):
    """What pixels become."""

    classes: Mapping[int, int]
    """Class index, or void, of every category id."""
    rest: int
    """Class index, or void, of pixels that no annotation covers."""
    void: int
    """Label of crowds, and of objects that have a box and no outline."""


class _Shape(NamedTuple):
    """An annotation to be drawn."""

    runs: Runs
    label: int
    area: int
    """In pixels."""
    is_beneath: bool
    """Whether it is drawn before all others."""


class Frame(NamedTuple):
    """What is drawn on, and its name in messages."""

    size: tuple[int, int]
    """(height, width) in pixels."""
    name: str


def require_pycocotools(purpose: str) -> None:
    """Refuse to begin what needs pycocotools without it.

    Args:
        purpose: what needs it, for the message.

    Raises:
        ConfigError: pycocotools is not installed.
    """
    if find_spec("pycocotools") is None:
        raise ConfigError(
            f"`pycocotools` must be installed for {purpose}, got no such package. "
            "Run `pip install 'parsenet[coco]'`."
        )


def draw_outlines(
    annotations: Iterable[Mapping[str, Any]], frame: Frame, palette: Palette
) -> UInt8[np.ndarray, "h w"]:
    """Draw polygons and run-length masks; where two overlap, the smaller one is on top.

    Crowds, and objects with a box but no outline, are void, beneath everything else. Equal sizes
    are drawn in the file's order.

    Args:
        annotations: those of one image.
        frame: the image's size.
        palette: what each category becomes.

    Raises:
        LabelError: an annotation is damaged, or of an unknown category.
    """
    shapes = [_shape_of(annotation, frame, palette) for annotation in annotations]
    height, width = frame.size
    label = np.full(width * height, palette.rest, np.uint8)  # down the columns, as the runs go
    for shape in sorted(shapes, key=lambda shape: (not shape.is_beneath, -shape.area)):
        ends = shape.runs.cumsum().tolist()
        # Outlines have few runs: this is five times as fast as making a mask.
        for start, end in zip(ends[::2], ends[1::2], strict=False):
            label[start:end] = shape.label
    return np.ascontiguousarray(label.reshape(width, height).T)


def draw_segments(
    path: Path, segments: Iterable[Mapping[str, Any]], frame: Frame, palette: Palette
) -> UInt8[np.ndarray, "h w"]:
    """Turn a panoptic PNG, whose colours are the numbers of segments, into a label map.

    Args:
        path: the PNG; a segment's number is red + 256 green + 65536 blue, and 0 is unlabelled.
        segments: `segments_info` of the image.
        frame: the image's size.
        palette: what each category becomes.

    Raises:
        LabelError: the PNG has another size, or a segment that is not described.
        ImageError: the PNG cannot be read.
    """
    numbers = read_image(path).astype(np.int32) @ np.array([1, 256, 65536], np.int32)
    if numbers.shape != frame.size:
        raise LabelError(
            f"The label '{path}' must be as large as its image {frame.size}, got "
            f"{numbers.shape}. Sizes are (height, width)."
        )
    known = {0: palette.rest}
    for segment in segments:
        index = _class_of(segment, palette, frame)
        known[segment["id"]] = _unless_rest(index, palette) if segment.get("iscrowd") else index
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
    label: UInt8[np.ndarray, "h w"] = np.array([known[key] for key in keys.tolist()], np.uint8)[
        places
    ]
    return label


def _class_of(annotation: Mapping[str, Any], palette: Palette, frame: Frame) -> int:
    category = annotation.get("category_id")
    if not isinstance(category, int) or category not in palette.classes:
        raise LabelError(
            f"Annotation {annotation.get('id')} of '{frame.name}' must be of a category in the "
            f"file's list, got 'category_id' {category}. Export the file again."
        )
    return palette.classes[category]


def _unless_rest(index: int, palette: Palette) -> int:
    """Make a class void; what counts as background stays background."""
    return index if index == palette.rest else palette.void


def _shape_of(annotation: Mapping[str, Any], frame: Frame, palette: Palette) -> _Shape:
    """Read an annotation; one without an outline is as large as its box, or nothing."""
    index = _class_of(annotation, palette, frame)
    outline, box = annotation.get("segmentation"), annotation.get("bbox")
    try:
        runs = _runs_of(outline) if isinstance(outline, dict) else _fill(outline, frame)
        is_beneath = runs is None or bool(annotation.get("iscrowd"))
        if runs is None and box:
            runs = _fill([_corners(box)], frame)
        if isinstance(outline, dict) and tuple(outline["size"]) != frame.size:
            raise ValueError(f"run lengths of size {outline['size']} for {list(frame.size)}")
        if runs is None:
            runs = np.array([frame.size[0] * frame.size[1]])
        if runs.sum() != frame.size[0] * frame.size[1] or runs.min() < 0:
            raise ValueError(f"run lengths of {runs.sum()} pixels")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise LabelError(
            f"Annotation {annotation.get('id')} of '{frame.name}' must be polygons [x, y, ...], "
            f"run lengths or a box, got '{error}'. Correct it or export the file again."
        ) from None
    area = int(runs[1::2].sum())
    return _Shape(runs, _unless_rest(index, palette) if is_beneath else index, area, is_beneath)


def _fill(outline: object, frame: Frame) -> Runs | None:
    """Turn polygons into run lengths; None where there is none of three points."""
    listed = outline if isinstance(outline, list) else []
    # Some tools write one polygon without the list around it, or points as pairs.
    if listed and (not isinstance(listed[0], list) or all(len(part) == 2 for part in listed)):
        listed = [listed]
    polygons = [np.asarray(polygon, np.float64).ravel() for polygon in listed]
    # Two points would be taken for a box.
    polygons = [_within(polygon, frame) for polygon in polygons if len(polygon) >= 6]
    if not polygons:
        return None
    from pycocotools import mask as masks  # only this kind of data needs it

    filled = masks.merge(masks.frPyObjects([part.tolist() for part in polygons], *frame.size))
    return _unpack(filled["counts"])


def _corners(box: Sequence[int | float]) -> list[int | float]:
    """Turn a box (x, y, width, height) into a polygon."""
    x, y, width, height = box
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def _within(numbers: np.ndarray, frame: Frame) -> np.ndarray:
    """Refuse coordinates that no image has: drawing them takes memory for every pixel."""
    if len(numbers) % 2 or not np.isfinite(numbers).all():
        raise ValueError("coordinates that are not pairs of numbers")
    if abs(numbers).max() > _FAR * max(frame.size):
        raise ValueError(f"the coordinate {abs(numbers).max():g}")
    return numbers


def _runs_of(outline: Mapping[str, Any]) -> Runs:
    counts = outline["counts"]
    return _unpack(counts.encode()) if isinstance(counts, str) else np.array(counts, np.int64)


def _unpack(packed: bytes) -> Runs:
    """Unpack COCO's compressed run lengths.

    A number is a row of characters of 5 bits each, the lowest first; a sixth bit says that more
    follow, and the highest bit of the last one is the sign. From the fourth number on, only the
    difference to the one before last is stored. pycocotools unpacks them too, but takes run
    lengths that are too short for good and leaves the other pixels to chance.

    Source: rleFrString in cocoapi/common/maskApi.c.
    """
    codes = np.frombuffer(packed, np.uint8).astype(np.int64) - 48
    is_last = (codes & 32) == 0
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or not is_last[-1]:
        raise ValueError("damaged run lengths")
    starts = np.flatnonzero(np.r_[True, is_last[:-1]])
    lengths = np.diff(np.r_[starts, len(codes)])
    places = np.arange(len(codes)) - np.repeat(starts, lengths)
    if lengths.max() > 12:
        raise ValueError("damaged run lengths")
    runs = np.add.reduceat((codes & 31) << (5 * places), starts)
    is_negative = (codes[is_last] & 16) > 0
    runs -= np.where(is_negative, 1 << (5 * lengths), 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs
