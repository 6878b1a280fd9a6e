"""Annotations in COCO's form: outlines or panoptic PNGs, drawn as label maps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
        self.taxonomy = taxonomy
        self.transform = transform
        self._file = _read_file(path)
        self._palette = _palette_of(self._file.categories, path, root, layout, taxonomy)
        self._segments = root / fill_template(layout.segments, "coco.segments", split=split)
        if not self._file.is_panoptic:
            require_pycocotools("`dataset: coco`")
        folder = root / fill_template(layout.images, "coco.images", split=split)
        self._paths = [_find(name, folder, root, path.parent) for name in self._file.names]
        lone = [place for place in self._paths if not place.is_file()]
        if lone:
            raise DataNotFoundError(
                f"Every image in '{path}' must exist, got {len(lone)} of {len(self._paths)} "
                f"missing, the first is '{lone[0]}'. Copy them there or set `data.coco.images`."
            )
        self.ids = _ids_of(self._file.names)

    def read(self, index: int) -> Sample:
        """Read the image and draw its label."""
        return Sample(read_image(self._paths[index]), self.read_label(index), self.ids[index])

    def read_label(self, index: int) -> LabelMap:
        """Draw the label."""
        size = self._file.sizes[index] or read_size(self._paths[index])
        annotations: list[dict[str, Any]] = json.loads(self._file.annotations[index])
        with _of_form(self._file.path):
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
    """Tell the classes: the category map's, or background and every category of the split."""
    if layout.categories:
        return read_label_set(_map_path(root, layout)).taxonomy
    path = _annotation_path(root, split, layout)
    stat = path.stat() if path.is_file() else None
    names = _read_names(path, stat and (stat.st_mtime_ns, stat.st_size))
    if BACKGROUND not in names:
        names = (BACKGROUND, *names)
    return Taxonomy.from_dict({"name": "coco", "names": names})


def require_pycocotools(purpose: str) -> None:
    """Refuse to begin what needs pycocotools, such as `purpose`, without it."""
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


@contextmanager
def _of_form(path: Path) -> Iterator[None]:
    """Turn what a JSON file of another form raises into one sentence."""
    try:
        yield
    except (TypeError, AttributeError, KeyError, IndexError) as error:
        raise LabelError(
            f"'{path}' must hold lists `images`, `annotations` and `categories`, as COCO's files "
            f"do, got {type(error).__name__} '{error}' in it. Export it as 'COCO'."
        ) from None


def _read_file(path: Path) -> _File:
    """Read instances, stuff or panoptic annotations."""
    with _of_form(path):
        record = _load(path)
        categories = _category_names(record["categories"], path)
        images, annotations = record["images"], record.get("annotations", [])
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
            of_image[number].append(annotation)
        sizes = [(image.get("height"), image.get("width")) for image in images]
        return _File(
            path,
            categories,
            [str(image["file_name"]) for image in images],
            [(int(height), int(width)) if height and width else None for height, width in sizes],
            [json.dumps(of_image[x["id"]], separators=(",", ":")).encode() for x in images],
            bool(annotations) and "segments_info" in annotations[0],
        )


# The names alone are kept: they are asked for before the data set is built.
@lru_cache(maxsize=8)
def _read_names(path: Path, version: tuple[int, int] | None) -> tuple[str, ...]:
    """Read the names of the categories; the version tells a file from its later self."""
    with _of_form(path):
        return tuple(_category_names(_load(path)["categories"], path).values())


def _load(path: Path) -> Any:  # noqa: ANN401 - nothing is known of it yet
    if not path.is_file():
        raise DataNotFoundError(
            f"The annotation file '{path}' must exist. Check `data.root`, the split and "
            "`data.coco.annotations`."
        )
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise LabelError(
            f"'{path}' must be a JSON file, got '{error}'. Export or copy it again."
        ) from None


def _category_names(entries: list[dict[str, Any]], path: Path) -> dict[int, str]:
    listed = sorted((entry["id"], str(entry["name"])) for entry in entries)
    names = [name for _, name in listed]
    if repeated(names) or len(dict(listed)) < len(names):
        raise ConfigError(
            f"The categories in '{path}' must have names and ids of their own, got "
            f"'{repeated(names) or names[0]}' twice. Rename one in the annotation tool and export "
            "again."
        )
    return dict(listed)


def _palette_of(
    categories: dict[int, str], path: Path, root: Path, layout: CocoConfig, taxonomy: Taxonomy
) -> Palette:
    """Tell the class of every category of a file."""
    numbers = {name: number for number, name in categories.items()}
    has_background = BACKGROUND in taxonomy.names
    if layout.unmapped == "background" and not has_background:
        raise ConfigError(
            f"`data.coco.unmapped` must be `void` without a class called '{BACKGROUND}', got "
            f"`background`. Set it, or add '{BACKGROUND}' to the `names` of '{taxonomy.name}'."
        )
    mapped: dict[str, Any] = {}
    if layout.categories:
        mapped = read_record(_map_path(root, layout)).get("map") or {}
    for name in mapped:
        if name not in taxonomy.names:
            raise ConfigError(
                f"`map` must list classes of `names`, got '{name}'. "
                f"{suggest(str(name), taxonomy.names)}"
            )
    givers: dict[int, str] = {}
    for name in taxonomy.names:
        listed = mapped.get(name, [name] if name in numbers else [])
        for category in listed if isinstance(listed, list) else [listed]:
            number = category if category in categories else numbers.get(category)
            if number is None:
                raise ConfigError(
                    f"`map` must name categories of '{path}', got '{category}'. "
                    f"{suggest(str(category), numbers)}"
                )
            if givers.setdefault(number, name) != name:
                raise ConfigError(
                    f"`map` must give a category to one class, got '{categories[number]}' for "
                    f"both '{givers[number]}' and '{name}'. Take it from one of them."
                )
    rest = taxonomy.names.index(BACKGROUND) if has_background else taxonomy.void
    unmapped = rest if layout.unmapped == "background" else taxonomy.void
    classes = dict.fromkeys(categories, unmapped)
    classes |= {number: taxonomy.names.index(name) for number, name in givers.items()}
    return Palette(taxonomy, classes, rest)


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
