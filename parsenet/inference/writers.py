"""Predictions as files: each kind of result of an image, and the tables of a whole folder."""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from parsenet.data.labels import LabelMap
from parsenet.files import natural_key, write_bytes_atomically
from parsenet.inference.drawing import (
    add_legend,
    blend,
    legend_of,
    measure_areas,
    write_image,
)
from parsenet.inference.inputs import PLACES, Frame
from parsenet.inference.job import RunConfig
from parsenet.inference.predictor import Prediction
from parsenet.reports.page import contact_sheet
from parsenet.taxonomy import Taxonomy

_COLUMNS, _PAGE, _TILE = 5, 30, 240
"""Of a contact sheet: images in a row and in all, pixels of a thumbnail's longer side."""
_JPEG_QUALITY = 90
_PNG_LEVEL = 3


class Result(NamedTuple):
    """An image and what a network says about it."""

    frame: Frame
    prediction: Prediction
    taxonomy: Taxonomy
    config: RunConfig
    """How overlays look."""

    def draw(self) -> UInt8[np.ndarray, "h w 3"]:
        """Draw the image under its labels' colours."""
        opacity = 0.5 if self.config.overlay is None else self.config.overlay
        return blend(self.frame.image, self.prediction.label, self.taxonomy, opacity)


def write_label(path: Path, label: LabelMap, taxonomy: Taxonomy) -> None:
    """Write a label map as a palette PNG: pixel values are class indices, shown in their colours.

    This is the form of PASCAL VOC's own label files. With more than 255 classes it is a grey PNG
    of 16 bits.
    """
    image = Image.fromarray(label.astype(taxonomy.label_type, copy=False))
    if taxonomy.label_type == "uint8":  # a palette has no more than 256 colours
        image.putpalette(taxonomy.pillow_palette())
    # Labels are runs of equal values: looking only for runs takes less than half of the time of
    # zlib's default, and files are a fifth larger.
    write_image(path, image, compress_type=zlib.Z_RLE)


def write_result(kind: str, path: Path, result: Result) -> None:
    """Write one kind of result of an image, one of `PLACES` but `video`, atomically."""
    prediction, label = result.prediction, result.prediction.label
    if kind == "label":
        write_label(path, label, result.taxonomy)
    elif kind == "overlay":
        drawn = Image.fromarray(result.draw())
        if not result.config.no_legend:
            drawn = add_legend(drawn, measure_areas(label), result.taxonomy)
        write_image(path, drawn, quality=_JPEG_QUALITY)
    elif kind == "probabilities":
        # As they are: packing takes a second for a VOC image and saves little.
        content = io.BytesIO()
        maps, names = prediction.probabilities, np.array(result.taxonomy.names)
        np.savez(content, probabilities=maps, classes=names)  # type: ignore[arg-type]
        write_bytes_atomically(path, content.getvalue())
    elif kind == "entropy":
        assert prediction.entropy is not None
        grey = (prediction.entropy * 255 + 0.5).clip(0, 255).astype(np.uint8)
        write_image(path, Image.fromarray(grey), compress_level=_PNG_LEVEL)
    elif kind == "sheet":
        _write_thumbnail(path, result)
    else:
        record: dict[str, Any] = {"height": label.shape[0], "width": label.shape[1]}
        source = result.frame.source.path
        if kind == "areas":
            record = {"image": result.frame.name, "source": str(source)} | record
            record["classes"] = describe_areas(label, result.taxonomy)
        else:
            record = {"file_name": Path(source).name} | record
            record["regions"] = _regions(label, prediction.probabilities, result.taxonomy)
        write_bytes_atomically(path, json.dumps(record).encode("ascii"))


def _regions(
    label: LabelMap, probabilities: np.ndarray | None, taxonomy: Taxonomy
) -> list[dict[str, Any]]:
    """Encode every class but the background; its score is its pixels' mean probability, or 1."""
    from pycocotools import mask as coco

    regions = []
    for index in sorted(_categories(taxonomy).keys() & set(np.unique(label).tolist())):
        mask = label == index
        packed = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
        score = 1.0 if probabilities is None else float(probabilities[index][mask].mean(dtype="f4"))
        runs = {"size": list(label.shape), "counts": packed["counts"].decode("ascii")}
        regions.append({"category_id": index, "score": round(score, 4), "segmentation": runs})
    return regions


def _write_thumbnail(path: Path, result: Result) -> None:
    """Write an image under its labels, small; pages are made of them at the end of a run."""
    image = Image.fromarray(result.frame.image)
    image.thumbnail((_TILE, _TILE), Image.Resampling.BILINEAR)
    rows, columns = (
        np.arange(small) * large // small
        for small, large in zip(image.size[::-1], result.prediction.label.shape, strict=True)
    )
    small = Prediction(result.prediction.label[rows[:, None], columns])
    frame = result.frame._replace(image=np.asarray(image))
    drawn = result._replace(frame=frame, prediction=small).draw()
    present = json.dumps(np.unique(result.prediction.label).tolist())  # for the legend of its page
    write_image(path, Image.fromarray(drawn), quality=_JPEG_QUALITY, comment=present)


def write_areas(out_dir: Path, names: Iterable[str]) -> None:
    """Write `areas.csv`, a line per image and class in it, and the same as `areas.json`."""
    records = [json.loads(path.read_bytes()) for _, path in _parts(out_dir, "areas", names)]
    table = io.StringIO()
    lines = csv.writer(table, lineterminator="\n")
    lines.writerow(["image", "index", "class", "pixels", "share"])
    for record in records:
        lines.writerows([record["image"], *area.values()] for area in record["classes"])
    listed = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    for name, text in (("areas.csv", table.getvalue()), ("areas.json", f"[\n{listed}\n]\n")):
        # File names that are no Unicode become escapes.
        write_bytes_atomically(out_dir / name, text.encode(errors="backslashreplace"))


def write_coco(out_dir: Path, names: Iterable[str], taxonomy: Taxonomy) -> None:
    """Write `coco.json`, the results, and `coco_images.json`, the images and classes they name.

    `COCO("coco_images.json").loadRes("coco.json")` reads both. A label map has no instances, so
    all pixels of a class in an image are one entry, as in COCO-Stuff.
    """
    parts = _parts(out_dir, "coco", names)
    images, results = [], []
    for number, (_, path) in zip(number_images([x for x, _ in parts]), parts, strict=True):
        record = json.loads(path.read_bytes())
        # As text, an entry takes a tenth of the memory of its lists of numbers.
        results += [json.dumps({"image_id": number} | x) for x in record.pop("regions")]
        images.append({"id": number} | record)
    categories = [{"id": index, "name": name} for index, name in _categories(taxonomy).items()]
    skeleton = {"info": {}, "images": images, "categories": categories, "annotations": []}
    # COCO reads its files in the machine's own encoding: plain ASCII suits every one.
    listed = ",\n".join(results)
    write_bytes_atomically(out_dir / "coco.json", f"[{listed}]\n".encode("ascii"))
    write_bytes_atomically(out_dir / "coco_images.json", json.dumps(skeleton).encode("ascii"))


def write_sheets(out_dir: Path, names: Iterable[str], taxonomy: Taxonomy) -> None:
    """Lay thumbnails out on pages of thirty, `sheet/01.png` and so on; older pages are removed."""
    for old in (out_dir / "sheet").glob("*.png"):
        old.unlink()
    parts = _parts(out_dir, "sheet", names)
    digits = max(2, len(str(-(-len(parts) // _PAGE))))
    for number, first in enumerate(range(0, len(parts), _PAGE), start=1):
        present: set[int] = set()
        images, captions = [], []
        for name, path in parts[first : first + _PAGE]:
            with Image.open(path) as thumbnail:
                present.update(json.loads(thumbnail.info["comment"]))
                images.append(np.asarray(thumbnail.convert("RGB")))
            captions.append(name)
        starts = range(0, len(images), _COLUMNS)
        sheet = contact_sheet(
            [images[at : at + _COLUMNS] for at in starts],
            [captions[at : at + _COLUMNS] for at in starts],
            tile=_TILE,
            legend=legend_of(sorted(present), taxonomy),
        )
        write_image(out_dir / "sheet" / f"{number:0{digits}d}.png", Image.fromarray(sheet))


def describe_areas(label: LabelMap, taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """Say for every class of a label map its name, pixels and share, the largest first."""
    areas = measure_areas(label).items()
    return [
        {"index": i, "class": taxonomy.names[i], "pixels": x, "share": round(x / label.size, 6)}
        for i, x in areas
    ]


def number_images(names: Sequence[str]) -> list[int]:
    """Give every image the id that COCO's own files have: the number that its name is.

    Where a name is no number, or two are the same number, all are counted from 1.
    """
    stems = [name.rpartition("/")[2] for name in names]
    if all(stem.isascii() and stem.isdigit() for stem in stems):
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers):
            return numbers
    return list(range(1, len(names) + 1))


def _parts(out_dir: Path, kind: str, names: Iterable[str]) -> list[tuple[str, Path]]:
    """List names and files of a kind of result, of videos those of their frames."""
    found: dict[str, Path] = {}
    for name in names:
        path = out_dir / PLACES[kind].format(name)
        found |= {name: path} if path.is_file() else {}
        frames = path.parent / Path(name).name
        found |= {f"{name}/{frame.stem}": frame for frame in frames.glob("[0-9]*.*")}
    return sorted(found.items(), key=lambda part: natural_key(Path(part[0])))


def _categories(taxonomy: Taxonomy) -> dict[int, str]:
    """Return the classes that are things to find; a class 0 called background is not."""
    return {i: name for i, name in enumerate(taxonomy.names) if i or name != "background"}
