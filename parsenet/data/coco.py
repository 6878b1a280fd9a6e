"""Annotations in COCO's form: outlines or panoptic PNGs, and the way from categories to classes."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, final

from parsenet.config import CocoConfig
from parsenet.data.base import SegmentationDataset
from parsenet.data.coco_file import CocoFile, CocoImage, read_categories, read_coco
from parsenet.data.coco_masks import (
    Frame,
    Palette,
    draw_outlines,
    draw_segments,
    require_pycocotools,
)
from parsenet.data.labels import LabelMap
from parsenet.data.reading import read_image, read_size
from parsenet.data.sample import Sample, Transform
from parsenet.errors import ConfigError, DataNotFoundError, suggest
from parsenet.taxonomy import Taxonomy, voc_colour_map
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
        file = read_coco(path)
        self.taxonomy = taxonomy
        self.transform = transform
        self._file_name = path.name
        self._images = file.images
        self._palette = _palette_of(file, root, layout, taxonomy)
        self._segments = root / _fill(layout.segments, split, "segments")
        self._is_panoptic = file.is_panoptic
        if not file.is_panoptic:
            require_pycocotools("`dataset: coco`")
        folder = root / _fill(layout.images, split, "images")
        self._paths = [_find(image.file_name, folder, root, path.parent) for image in file.images]
        self._require_images(path)
        self.ids = _ids_of(file.images)
        empty = sum(image.annotations == b"[]" for image in file.images)
        if empty:
            _LOGGER.warning(
                "%d of %d images in '%s' have no annotation: they are '%s' all over.",
                empty,
                len(file.images),
                path.name,
                BACKGROUND if BACKGROUND in taxonomy.names else "void",
            )

    def read(self, index: int) -> Sample:
        """Read the image and draw its label."""
        return Sample(read_image(self._paths[index]), self.read_label(index), self.ids[index])

    def read_label(self, index: int) -> LabelMap:
        """Draw the label."""
        image = self._images[index]
        frame = Frame(image.size or read_size(self._paths[index]), self.label_name(index))
        annotations: list[dict[str, Any]] = json.loads(image.annotations)
        if not self._is_panoptic or not annotations:
            return draw_outlines(annotations, frame, self._palette)
        (annotation,) = annotations[:1]
        path = self._segments / annotation["file_name"]
        return draw_segments(path, annotation["segments_info"], frame, self._palette)

    def label_name(self, index: int) -> str:
        """Name the annotation file and the image in it."""
        return f"{self._file_name}: {self.ids[index]}"

    def image_path(self, index: int) -> Path:
        """Name the image's file."""
        return self._paths[index]

    def _require_images(self, path: Path) -> None:
        lone = [place for place in self._paths if not place.is_file()]
        if lone:
            raise DataNotFoundError(
                f"Every image in '{path}' must exist, got {len(lone)} of {len(self._paths)} "
                f"missing, the first is '{lone[0]}'. Copy them there or set `data.coco.images`."
            )


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
    path = _map_path(root, layout)
    if path is not None:
        return read_label_set(path).taxonomy
    names = read_categories(_annotation_path(root, split, layout))
    if BACKGROUND not in names:
        names = (BACKGROUND, *names)
    return Taxonomy("coco", names, voc_colour_map(len(names)))


def _palette_of(file: CocoFile, root: Path, layout: CocoConfig, taxonomy: Taxonomy) -> Palette:
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
    path = _map_path(root, layout)
    mapped = (read_record(path).get("map") if path else None) or {}
    classes = dict.fromkeys(file.categories, unmapped)
    givers: dict[int, str] = {}
    for index, name in enumerate(taxonomy.names):
        listed = mapped.get(name, [name] if name in numbers else [])
        for category in listed if isinstance(listed, list) else [listed]:
            number = _number_of(category, numbers, file)
            if givers.setdefault(number, name) != name:
                raise ConfigError(
                    f"`map` must give a category to one class, got '{file.categories[number]}' for "
                    f"both '{givers[number]}' and '{name}'. Take it from one of them."
                )
            classes[number] = index
    _refuse_unknown_classes(mapped, taxonomy)
    return Palette(classes, rest, taxonomy.void)


def _number_of(category: object, numbers: dict[str, int], file: CocoFile) -> int:
    """Look up a category by its name, or by its id."""
    if isinstance(category, int) and category in file.categories:
        return category
    if category in numbers:
        return numbers[str(category)]
    raise ConfigError(
        f"`map` must name categories of '{file.path}', got '{category}'. "
        f"{suggest(str(category), numbers)}"
    )


def _refuse_unknown_classes(mapped: Iterable[str], taxonomy: Taxonomy) -> None:
    for name in mapped:
        if name not in taxonomy.names:
            raise ConfigError(
                f"`map` must list classes of `names`, got '{name}'. "
                f"{suggest(str(name), taxonomy.names)}"
            )


def _map_path(root: Path, layout: CocoConfig) -> Path | None:
    if not layout.categories:
        return None
    path = Path(layout.categories)
    return path if path.is_file() else root / path


def _annotation_path(root: Path, split: str, layout: CocoConfig) -> Path:
    return root / _fill(layout.annotations, split, "annotations")


def _fill(template: str, split: str, field: str) -> str:
    try:
        return template.format(split=split)
    except (KeyError, IndexError, ValueError):
        raise ConfigError(
            f"`coco.{field}` must use no placeholder but `{{split}}`, got '{template}'. "
            "Write '{{' for a brace."
        ) from None


def _find(file_name: str, folder: Path, root: Path, beside: Path) -> Path:
    """Find an image; exports write paths of the machine they were made on, or backslashes."""
    name = PurePosixPath(file_name.replace("\\", "/"))
    places = [folder / name, folder / name.name, root / name, beside / name, beside / name.name]
    return next((place for place in places if place.is_file()), folder / name.name)


def _ids_of(images: Iterable[CocoImage]) -> list[str]:
    """Name the images after their files, with folders where they would repeat without."""
    paths = [PurePosixPath(image.file_name.replace("\\", "/")).with_suffix("") for image in images]
    ids = [path.name for path in paths]
    if len(set(ids)) < len(ids):
        ids = ["/".join(part for part in path.parts if part not in ("..", "/")) for path in paths]
    if len(set(ids)) < len(ids):
        twice, _ = Counter(ids).most_common(1)[0]
        raise ConfigError(f"Images must have names of their own, got '{twice}' twice. Rename one.")
    return ids
