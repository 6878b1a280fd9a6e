"""Label maps as a COCO results file: one entry per image and class.

A semantic label has no instances, so all pixels of a class in an image are one entry, as in
COCO-Stuff. `COCO("coco_images.json").loadRes("coco.json")` reads both files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float16

from parsenet.data.labels import LabelMap
from parsenet.files import write_bytes_atomically
from parsenet.inference.polygons import trace_polygons
from parsenet.taxonomy import Taxonomy

CocoForm = Literal["rle", "polygons"]


def encode_regions(
    label: LabelMap,
    probabilities: Float16[np.ndarray, "k h w"] | None,
    taxonomy: Taxonomy,
    form: CocoForm,
) -> list[dict[str, Any]]:
    """Encode every class in a label map but the background.

    Args:
        label: class indices.
        probabilities: give each entry its score, the mean over its pixels; None scores 1.
        taxonomy: says which class is the background.
        form: `rle` (exact, small), or `polygons` along the pixels' edges.
    """
    from pycocotools import mask as coco

    regions = []
    for index in np.unique(label).tolist():
        if index not in _categories(taxonomy):
            continue
        mask = label == index
        packed = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
        score = 1.0 if probabilities is None else float(probabilities[index][mask].mean(dtype="f4"))
        region = {"category_id": index, "score": round(score, 4)}
        if form == "rle":
            counts = packed["counts"].decode("ascii")
            region["segmentation"] = {"size": list(label.shape), "counts": counts}
        else:
            region["segmentation"] = trace_polygons(mask)
            # With a box, `loadRes` takes polygons; with RLE it would take the box's area.
            region["bbox"] = [float(value) for value in coco.toBbox(packed)]
        regions.append(region)
    return regions


def write_coco(
    out_dir: Path, entries: Iterable[Mapping[str, Any]], form: CocoForm, taxonomy: Taxonomy
) -> None:
    """Write `coco.json`, the results, and `coco_images.json`, the images and classes they name.

    Args:
        out_dir: folder of both files.
        entries: lines of the journal in the order of the images; those without regions of that
            form are left out.
        form: of the regions.
        taxonomy: gives the categories.
    """
    names: list[str] = []
    images: list[dict[str, Any]] = []
    regions: list[tuple[int, str]] = []
    for entry in (entry for entry in entries if form in entry):
        height, width = entry["size"]
        names.append(entry["name"])
        images.append({"file_name": Path(entry["source"]).name, "height": height, "width": width})
        # As text, an entry takes a tenth of the memory of its lists of numbers.
        regions += [(len(images) - 1, json.dumps(region)[1:]) for region in entry[form]]
    ids = number_images(names)
    images = [{"id": number, **image} for number, image in zip(ids, images, strict=True)]
    results = ",\n".join(f'{{"image_id": {ids[at]}, {region}' for at, region in regions)
    categories = [{"id": index, "name": name} for index, name in _categories(taxonomy).items()]
    skeleton = {"info": {}, "images": images, "categories": categories, "annotations": []}
    # COCO reads its files in the machine's own encoding: plain ASCII suits every one.
    write_bytes_atomically(out_dir / "coco.json", f"[{results}]\n".encode("ascii"))
    write_bytes_atomically(out_dir / "coco_images.json", json.dumps(skeleton).encode("ascii"))


def number_images(names: Sequence[str]) -> list[int]:
    """Give every image the id that COCO's own files have: the number that its name is.

    Where a name is no number, or two are the same number, all are counted from 1.

    Args:
        names: of the results, in order.
    """
    stems = [name.rpartition("/")[2] for name in names]
    if all(stem.isascii() and stem.isdigit() for stem in stems):
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers):
            return numbers
    return list(range(1, len(names) + 1))


def _categories(taxonomy: Taxonomy) -> dict[int, str]:
    """Return the classes that are things to find; a class 0 called background is not."""
    return {i: name for i, name in enumerate(taxonomy.names) if i or name != "background"}
