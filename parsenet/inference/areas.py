"""How much of an image each class covers, and the tables that say so."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from parsenet.files import write_bytes_atomically
from parsenet.inference.drawing import name_of
from parsenet.taxonomy import Taxonomy


def describe_areas(entry: Mapping[str, Any], taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """Say for every class of a journal entry its name, pixels and share, the largest first.

    Args:
        entry: a line of the journal.
        taxonomy: gives the names.
    """
    height, width = entry["size"]
    return [
        {
            "index": int(index),
            "class": name_of(int(index), taxonomy),
            "pixels": pixels,
            "share": round(pixels / (height * width), 6),
        }
        for index, pixels in entry["areas"].items()
    ]


def write_areas(out_dir: Path, entries: Iterable[Mapping[str, Any]], taxonomy: Taxonomy) -> None:
    """Write `areas.csv`, a line per image and class in it, and the same as `areas.json`.

    Args:
        out_dir: folder of both files.
        entries: lines of the journal, in the order of the tables.
        taxonomy: gives the names.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["image", "index", "class", "pixels", "share"])
    records = []
    for entry in entries:
        areas = describe_areas(entry, taxonomy)
        height, width = entry["size"]
        for area in areas:
            table.writerow([entry["name"], *area.values()])
        record = {"image": entry["name"], "source": entry["source"]}
        record |= {"height": height, "width": width, "classes": areas}
        records.append(json.dumps(record, ensure_ascii=False))
    # File names that are no Unicode become escapes.
    csv_content = text.getvalue().encode(errors="backslashreplace")
    json_content = ("[\n" + ",\n".join(records) + "\n]\n").encode(errors="backslashreplace")
    write_bytes_atomically(out_dir / "areas.csv", csv_content)
    write_bytes_atomically(out_dir / "areas.json", json_content)
