"""A COCO annotation file: read once, checked, and kept small."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from parsenet.errors import ConfigError, DataNotFoundError, LabelError


class CocoImage(NamedTuple):
    """An image of the file; its size is None where the file does not tell it."""

    number: int | str
    file_name: str
    size: tuple[int, int] | None
    """(height, width) in pixels."""
    annotations: bytes
    """Its annotations as JSON: as Python objects they would take ten times the memory, and be
    copied into every loader process by and by."""


@dataclass(frozen=True)
class CocoFile:
    """Images with annotations, and the names of the categories."""

    path: Path
    categories: dict[int, str]
    """Names by id, in order of the ids."""
    images: tuple[CocoImage, ...]
    is_panoptic: bool
    """Whether segments lie in PNG files; otherwise they are outlines in the file."""


def read_coco(path: Path) -> CocoFile:
    """Read an annotation file: instances, stuff or panoptic.

    Raises:
        DataNotFoundError: the file is missing, or has no images.
        LabelError: it is no JSON of this form, or an annotation names what is not in it.
    """
    _stamp(path)
    try:
        return _read(path)
    except (TypeError, AttributeError, KeyError) as error:
        raise LabelError(
            f"'{path}' must be of COCO's form, got {type(error).__name__} '{error}' in it. Export "
            "the file again."
        ) from None


def read_categories(path: Path) -> tuple[str, ...]:
    """Return the names of the categories of an annotation file, in order of their ids.

    Raises:
        DataNotFoundError: the file is missing.
        LabelError: it is no JSON of this form.
    """
    return _read_names(path, *_stamp(path))


def _stamp(path: Path) -> tuple[int, int]:
    """Tell a file from its later self, so that what was read of it can be kept."""
    if not path.is_file():
        raise DataNotFoundError(
            f"The annotation file '{path}' must exist. Check `data.root`, the split and "
            "`data.coco.annotations`."
        )
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


# The names alone are kept: they are asked for before the data set is built.
@lru_cache(maxsize=8)
def _read_names(path: Path, changed: int, size: int) -> tuple[str, ...]:
    return tuple(_category_names(_load(path), path).values())


def _read(path: Path) -> CocoFile:
    record = _load(path)
    categories = _category_names(record, path)
    annotations = record.get("annotations", [])
    is_panoptic = any("segments_info" in annotation for annotation in annotations[:1])
    of_image: dict[int | str, list[dict[str, Any]]] = {}
    for image in record["images"]:
        of_image[image["id"]] = []
    for annotation in annotations:
        number = annotation.get("image_id")
        if number not in of_image:
            raise LabelError(
                f"'{path}' must have an image for every annotation, got none for 'image_id' "
                f"{number} of annotation {annotation.get('id')}. Export the file again."
            )
        if is_panoptic:
            _require_segments(annotation, path)
        of_image[number].append(annotation)
    images = tuple(
        CocoImage(
            image["id"],
            str(image["file_name"]),
            _size_of(image),
            json.dumps(of_image[image["id"]], separators=(",", ":")).encode(),
        )
        for image in record["images"]
    )
    if not images:
        raise DataNotFoundError(f"'{path}' must name at least one image, got none.")
    if len(of_image) < len(images):
        raise LabelError(f"Every image in '{path}' must have an id of its own, got one twice.")
    return CocoFile(path, categories, images, is_panoptic)


def _require_segments(annotation: dict[str, Any], path: Path) -> None:
    segments = annotation.get("segments_info")
    is_whole = segments is not None and all("id" in segment for segment in segments)
    if not is_whole or "file_name" not in annotation:
        raise LabelError(
            f"Every annotation in '{path}' must have `file_name` and `segments_info` with ids, got "
            f"one of 'image_id' {annotation.get('image_id')} without. Export the file again."
        )


def _load(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise LabelError(
            f"'{path}' must be a JSON file, got '{error}'. Export or copy it again."
        ) from None
    found: dict[str, Any] = record if isinstance(record, dict) else {}
    if not all(isinstance(found.get(key), list) for key in ("images", "categories")):
        raise LabelError(
            f"'{path}' must hold lists `images`, `annotations` and `categories`, as COCO's files "
            f"do, got {', '.join(found)[:100] or 'none of them'}. Export it as 'COCO'."
        )
    for image in found["images"]:
        if not isinstance(image, dict) or not {"id", "file_name"} <= set(image):
            raise LabelError(f"Every image in '{path}' must have `id` and `file_name`.")
    return found


def _category_names(record: dict[str, Any], path: Path) -> dict[int, str]:
    try:
        listed = sorted((entry["id"], str(entry["name"])) for entry in record["categories"])
    except (KeyError, TypeError):
        raise LabelError(f"Every category in '{path}' must have `id` and `name`.") from None
    names = [name for _, name in listed]
    if len(set(names)) < len(names) or len(dict(listed)) < len(names):
        twice = next((name for name in names if names.count(name) > 1), names[0])
        raise ConfigError(
            f"The categories in '{path}' must have names and ids of their own, got '{twice}' twice."
            " Rename one in the annotation tool and export again."
        )
    return dict(listed)


def _size_of(image: dict[str, Any]) -> tuple[int, int] | None:
    """Return (height, width); some exports leave them out, or write 0."""
    height, width = image.get("height"), image.get("width")
    return (int(height), int(width)) if height and width else None
