"""Annotations in COCO's form: outlines or panoptic PNGs, drawn as label maps."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, final

from parsenet.config import CocoConfig
from parsenet.data.base import SegmentationDataset
from parsenet.data.coco_masks import Annotation, Palette, draw_outlines, draw_segments
from parsenet.data.labels import LabelMap
from parsenet.data.lists import fill_template, repeated
from parsenet.data.reading import read_image, read_size
from parsenet.data.sample import Sample, Transform
from parsenet.errors import ConfigError, DataNotFoundError, LabelError, suggest
from parsenet.taxonomy import Taxonomy
from parsenet.taxonomy.files import read_label_set, read_record

_LOGGER = logging.getLogger(__name__)

BACKGROUND = "background"
"""The class of pixels without an annotation, where there is a class of this name."""


@final
class CocoDataset(SegmentationDataset):
    """Images with a JSON file of annotations: COCO, COCO-Stuff, exports of labelme and CVAT.

    | fact | value |
    |---|---|
    | splits | whatever the templates find for `{split}` |
    | COCO 2017 | train2017 118,287; val2017 5,000; 80 things, 91 stuff, 133 panoptic categories |
    | images | what Pillow reads |
    | labels | polygons, run lengths (plain or compressed), or panoptic PNG files |
    | void | crowds, and objects that have a box but no outline |
    | licence | COCO: annotations CC BY 4.0, images Flickr terms of use |
    | source | Lin et al., ECCV 2014; Caesar et al., CVPR 2018; Kirillov et al., CVPR 2019 |

    Where outlines overlap, the smaller one is on top. Pixels without an annotation are the class
    `background`, or void where there is none of this name.

    Args:
        root: folder that the templates are relative to.
        split: what `{split}` stands for, such as `val2017`.
        layout: where annotations and images lie, and what becomes of other categories.
        taxonomy: the classes, from `coco_taxonomy`.
        transform: changes samples while training.

    Raises:
        ConfigError: a template, or the map from categories to classes, is wrong; or pycocotools
            is not installed.
        DataNotFoundError: the annotation file or an image is missing.
        LabelError: the annotation file is damaged.
    """

    def __init__(
        self,
        root: Path,
        split: str,
        layout: CocoConfig,
        taxonomy: Taxonomy,
        transform: Transform | None = None,
    ) -> None:
        path = _annotation_path(root, split, layout)
        try:
            file = _read_file(path)
        except (TypeError, AttributeError, KeyError) as error:
            raise LabelError(
                f"'{path}' must be of COCO's form, got {type(error).__name__} '{error}' in it. "
                "Export the file again."
            ) from None
        self.taxonomy = taxonomy
        self.transform = transform
        self._file = file
        self._palette = _palette_of(file, root, layout, taxonomy)
        self._segments = root / fill_template(layout.segments, "coco.segments", split=split)
        if not file.is_panoptic:
            require_pycocotools("`dataset: coco`")
        folder = root / fill_template(layout.images, "coco.images", split=split)
        self._paths = [_find(name, folder, root, path.parent) for name in file.names]
        lone = [place for place in self._paths if not place.is_file()]
        if lone:
            raise DataNotFoundError(
                f"Every image in '{path}' must exist, got {len(lone)} of {len(self._paths)} "
                f"missing, the first is '{lone[0]}'. Copy them there or set `data.coco.images`."
            )
        self.ids = _ids_of(file.names)
        rest = BACKGROUND if BACKGROUND in taxonomy.names else "void"
        if empty := file.annotations.count(b"[]"):
            _LOGGER.warning(
                "%d of %d images in '%s' have no annotation: they are '%s' all over.",
                empty, len(self.ids), path.name, rest,
            )  # fmt: skip

    def read(self, index: int) -> Sample:
        """Read the image and draw its label."""
        return Sample(read_image(self._paths[index]), self.read_label(index), self.ids[index])

    def read_label(self, index: int) -> LabelMap:
        """Draw the label."""
        size = self._file.sizes[index] or read_size(self._paths[index])
        annotations: list[dict[str, Any]] = json.loads(self._file.annotations[index])
        if not self._file.is_panoptic or not annotations:
            return draw_outlines(annotations, size, self._palette, self.label_name(index))
        path = self._segments / annotations[0]["file_name"]
        segments = annotations[0]["segments_info"]
        return draw_segments(path, segments, size, self._palette, self.label_name(index))

    def label_name(self, index: int) -> str:
        """Name the annotation file and the image in it."""
        return f"{self._file.path.name}: {self.ids[index]}"

    def image_path(self, index: int) -> Path:
        """Name the image's file."""
        return self._paths[index]


def coco_taxonomy(root: Path, split: str, layout: CocoConfig) -> Taxonomy:
    """Tell the classes: those of the category map, or background and every category of the file.

    Args:
        root: folder that the templates are relative to.
        split: whose annotation file is asked for its categories when there is no map.
        layout: names the map.

    Raises:
        ConfigError: the map is wrong.
        DataNotFoundError: there is no map, and no annotation file either.
        LabelError: the annotation file is damaged.
    """
    if layout.categories:
        return read_label_set(_map_path(root, layout)).taxonomy
    path = _annotation_path(root, split, layout)
    stat = _require(path).stat()
    names = _read_names(path, stat.st_mtime_ns, stat.st_size)
    if BACKGROUND not in names:
        names = (BACKGROUND, *names)
    return Taxonomy.from_dict({"name": "coco", "names": names})


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


class _File(NamedTuple):
    """An annotation file: read once, checked, and kept small. One entry per image."""

    path: Path
    categories: dict[int, str]
    """Names by id, in order of the ids."""
    names: list[str]
    """Names of the image files."""
    sizes: list[tuple[int, int] | None]
    """(height, width) in pixels; some exports leave them out, or write 0."""
    annotations: list[bytes]
    """As JSON: as Python objects they would take ten times the memory, and be copied into every
    loader process by and by."""
    is_panoptic: bool
    """Whether segments lie in PNG files; otherwise they are outlines in the file."""


def _read_file(path: Path) -> _File:
    """Read instances, stuff or panoptic annotations."""
    record = _load(_require(path))
    categories = _category_names(record, path)
    images, annotations = record["images"], record.get("annotations", [])
    is_panoptic = any("segments_info" in annotation for annotation in annotations[:1])
    of_image: dict[int | str, list[Annotation]] = {image["id"]: [] for image in images}
    if not images:
        raise DataNotFoundError(f"'{path}' must name at least one image, got none.")
    if len(of_image) < len(images):
        raise LabelError(f"Every image in '{path}' must have an id of its own, got one twice.")
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
    sizes = [(image.get("height"), image.get("width")) for image in images]
    return _File(
        path,
        categories,
        [str(image["file_name"]) for image in images],
        [(int(height), int(width)) if height and width else None for height, width in sizes],
        [json.dumps(of_image[x["id"]], separators=(",", ":")).encode() for x in images],
        is_panoptic,
    )


# The names alone are kept: they are asked for before the data set is built.
@lru_cache(maxsize=8)
def _read_names(path: Path, changed: int, size: int) -> tuple[str, ...]:
    """Read the names of the categories; `changed` and `size` tell a file from its later self."""
    return tuple(_category_names(_load(path), path).values())


def _require(path: Path) -> Path:
    if not path.is_file():
        raise DataNotFoundError(
            f"The annotation file '{path}' must exist. Check `data.root`, the split and "
            "`data.coco.annotations`."
        )
    return path


def _require_segments(annotation: Annotation, path: Path) -> None:
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
    if names and (repeated(names) or len(dict(listed)) < len(names)):
        raise ConfigError(
            f"The categories in '{path}' must have names and ids of their own, got "
            f"'{repeated(names) or names[0]}' twice. Rename one in the annotation tool and export "
            "again."
        )
    return dict(listed)


def _palette_of(file: _File, root: Path, layout: CocoConfig, taxonomy: Taxonomy) -> Palette:
    """Tell the class of every category of a file."""
    numbers = {name: number for number, name in file.categories.items()}
    has_background = BACKGROUND in taxonomy.names
    rest = taxonomy.names.index(BACKGROUND) if has_background else taxonomy.void
    unmapped = rest if layout.unmapped == "background" else taxonomy.void
    if layout.unmapped == "background" and not has_background:
        raise ConfigError(
            f"`data.coco.unmapped` must be `void` without a class called '{BACKGROUND}', got "
            f"`background`. Set it, or add '{BACKGROUND}' to the `names` of '{taxonomy.name}'."
        )
    record = read_record(_map_path(root, layout)) if layout.categories else {}
    mapped = record.get("map") or {}
    for name in mapped:
        if name not in taxonomy.names:
            raise ConfigError(
                f"`map` must list classes of `names`, got '{name}'. "
                f"{suggest(str(name), taxonomy.names)}"
            )
    classes = dict.fromkeys(file.categories, unmapped)
    givers: dict[int, str] = {}
    for index, name in enumerate(taxonomy.names):
        listed = mapped.get(name, [name] if name in numbers else [])
        for category in listed if isinstance(listed, list) else [listed]:
            number = category if category in file.categories else numbers.get(category)
            if number is None:
                raise ConfigError(
                    f"`map` must name categories of '{file.path}', got '{category}'. "
                    f"{suggest(str(category), numbers)}"
                )
            if givers.setdefault(number, name) != name:
                raise ConfigError(
                    f"`map` must give a category to one class, got '{file.categories[number]}' for "
                    f"both '{givers[number]}' and '{name}'. Take it from one of them."
                )
            classes[number] = index
    return Palette(classes, rest, taxonomy.void, taxonomy.label_type)


def _map_path(root: Path, layout: CocoConfig) -> Path:
    path = Path(layout.categories)
    return path if path.is_file() else root / path


def _annotation_path(root: Path, split: str, layout: CocoConfig) -> Path:
    return root / fill_template(layout.annotations, "coco.annotations", split=split)


def _find(file_name: str, folder: Path, root: Path, beside: Path) -> Path:
    """Find an image; exports write paths of the machine they were made on, or backslashes."""
    name = PurePosixPath(file_name.replace("\\", "/"))
    places = [folder / name, folder / name.name, root / name, beside / name, beside / name.name]
    return next((place for place in places if place.is_file()), folder / name.name)


def _ids_of(file_names: Iterable[str]) -> list[str]:
    """Name the images after their files, with folders where they would repeat without."""
    paths = [PurePosixPath(name.replace("\\", "/")).with_suffix("") for name in file_names]
    ids = [path.name for path in paths]
    if repeated(ids):
        ids = ["/".join(part for part in path.parts if part not in ("..", "/")) for path in paths]
    if twice := repeated(ids):
        raise ConfigError(f"Images must have names of their own, got '{twice}' twice. Rename one.")
    return ids
