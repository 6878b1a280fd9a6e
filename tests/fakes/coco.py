"""Annotations in COCO's form, tiny: outlines of every kind, or panoptic PNGs."""

import json
from pathlib import Path

import numpy as np
from pycocotools import mask

from tests.fakes.voc import write_list, write_noise, write_png

CATEGORIES = ((1, "person", "human"), (3, "car", "vehicle"), (90, "toothbrush", "indoor"))
"""(id, name, supercategory); the ids have gaps, as in COCO."""

SIZE = (12, 16)


def write_coco(root: Path) -> dict[str, np.ndarray]:
    """Write `annotations/instances_{split}.json` and the images of `train` and `val`.

    Every image has a person as a polygon, a car as plain run lengths before it, and a toothbrush
    as compressed ones on top of both.

    Returns:
        labels by id: 0 background, then the categories in order of their ids.
    """
    generator = np.random.default_rng(0)
    labels = {}
    for split in ("train", "val"):
        record = start_record()
        for number in range(3):
            name = f"{split}_{number:012d}"
            left = int(generator.integers(1, 5))
            label = np.zeros(SIZE, np.uint8)
            label[1:11, left : left + 9] = 1
            car, brush = np.zeros((2, *SIZE), np.uint8)
            car[5:10, left : left + 4] = 1
            brush[6:8, left + 1 : left + 7] = 1
            label[car > 0], label[brush > 0] = 2, 3
            image = add_image(record, f"{name}.jpg")
            add(record, image, 90, {"size": list(SIZE), "counts": compressed(brush)})
            add(record, image, 3, {"size": list(SIZE), "counts": plain(car)})
            add(record, image, 1, [rectangle(1, left, 11, left + 9)])
            write_image(root / split / f"{name}.jpg", generator)
            labels[name] = label
        write_record(root / "annotations" / f"instances_{split}.json", record)
    return labels


def write_panoptic(root: Path) -> dict[str, np.ndarray]:
    """Write panoptic JSON and PNG files; return labels by id: 255 unlabelled or crowd, 0..2."""
    generator = np.random.default_rng(0)
    labels = {}
    for split in ("train", "val"):
        record = start_record()
        folder = root / "annotations" / f"panoptic_{split}"
        for number in range(3):
            name = f"{split}_{number:012d}"
            image = add_image(record, f"{name}.jpg")
            # Numbers of segments above 65535 need all three channels.
            segments = {70000: (1, 0, 0), 300: (3, 0, 1), 9: (90, 0, 2), 10: (1, 1, 255)}
            numbers = np.array([0, *segments])[generator.integers(0, 5, SIZE)]
            png = np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16], -1)
            write_png(folder / f"{name}.png", png)
            infos = [
                {"id": number, "category_id": category, "iscrowd": crowd}
                for number, (category, crowd, _) in segments.items()
            ]
            made = {"image_id": image, "file_name": f"{name}.png", "segments_info": infos}
            record["annotations"].append(made)
            write_image(root / split / f"{name}.jpg", generator)
            label = np.full(SIZE, 255, np.uint8)
            for number, (_, _, index) in segments.items():
                label[numbers == number] = index
            labels[name] = label
        write_record(root / "annotations" / f"panoptic_{split}.json", record)
    return labels


def start_record() -> dict:
    categories = [
        {"id": number, "name": name, "supercategory": above} for number, name, above in CATEGORIES
    ]
    return {"images": [], "annotations": [], "categories": categories}


def add_image(record: dict, file_name: str, size: tuple[int, int] = SIZE) -> int:
    """Add an image; return its number."""
    number = 100 + len(record["images"])
    sizes = dict(zip(("height", "width"), size, strict=True))
    record["images"].append({"id": number, "file_name": file_name} | sizes)
    return number


def add(record: dict, image: int, category: int, outline: object, **more: object) -> None:
    """Add an annotation."""
    record["annotations"].append({
        "id": len(record["annotations"]) + 1,
        "image_id": image,
        "category_id": category,
        "segmentation": outline,
        "iscrowd": 0,
        **more,
    })


def rectangle(top: float, left: float, bottom: float, right: float) -> list[float]:
    """Return the polygon of a rectangle of pixels."""
    return [left, top, right, top, right, bottom, left, bottom]


def plain(shape: np.ndarray) -> list[int]:
    """Return run lengths down the columns, beginning with the background's."""
    flat = shape.ravel(order="F") > 0
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *ends, flat.size]).tolist()
    return [0, *runs] if flat[0] else runs


def compressed(shape: np.ndarray) -> str:
    return mask.encode(np.asfortranarray(shape))["counts"].decode()


def write_record(path: Path, record: dict) -> None:
    write_list(path, [json.dumps(record)])


def write_image(path: Path, generator: np.random.Generator | None = None) -> None:
    """Write an image of noise."""
    write_noise(path, generator or np.random.default_rng(0), SIZE)
