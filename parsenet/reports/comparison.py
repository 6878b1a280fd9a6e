"""Two scores side by side, one score in all dialects, scores near contours: Markdown, per cent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parsenet.reports.tables import SUMMARY, markdown_table, percent


def comparison_table(record: Mapping[str, Any]) -> str:
    """Write two checkpoints' scores with their intervals and the test of the difference.

    Args:
        record: what `evaluation.comparison.comparison_record` returns.
    """
    heads, rows = comparison_cells(record)
    return markdown_table(heads, rows, "lrrrrr") + f"\n{comparison_note(record)}\n"


def comparison_cells(record: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the heads and the rows of the table.

    Args:
        record: what `evaluation.comparison.comparison_record` returns.
    """
    rows = [
        [
            SUMMARY.get(name, name.replace("IoU_", "IoU ")),
            _bounded(entry["a"]),
            _bounded(entry["b"]),
            _bounded(entry["difference"], "+"),
            "-" if entry["p_value"] is None else f"{entry['p_value']:.4f}",
            "" if entry["num_images"] is None else str(entry["num_images"]),
        ]
        for name, entry in record["scores"].items()
    ]
    return ["", "A", "B", "B - A", "p", "images"], rows


def comparison_note(record: Mapping[str, Any]) -> str:
    """Say what the table's intervals and p are.

    Args:
        record: what `evaluation.comparison.comparison_record` returns.
    """
    drawn = record["resampling"]
    return (
        f"In brackets: {100 * drawn['level']:g} % bootstrap intervals over images. p: paired "
        f"permutation test, corrected over the classes (Holm). {drawn['resamples']:,} resamples, "
        f"seed {drawn['seed']}. Neither covers how a score moves from one training to the next; "
        "the limits of a class that few images show are too narrow."
    )


def dialect_table(record: Mapping[str, Any]) -> str:
    """Write what every codebase would report, and the reason of each.

    Args:
        record: what `evaluation.comparison.dialect_record` returns; our own rule comes first.
    """
    ours = next(iter(record.values()))["mean_iou"]
    rows = []
    for name, entry in record.items():
        known = entry["mean_iou"] is not None and ours is not None
        apart = f"{100 * (entry['mean_iou'] - ours):+.2f}" if known else "-"
        others = ("pixel_accuracy", "mean_accuracy", "frequency_weighted_iou")
        mean_iou = "nan" if entry["mean_iou"] is None else percent(entry["mean_iou"])
        rows.append([name, mean_iou, apart, *(percent(entry[other]) for other in others)])
    heads = ["codebase", "mean IoU", "to ours", "pixel acc.", "mean acc.", "f.w. IoU"]
    reasons = [f"- {name}: {entry['reason']}\n" for name, entry in record.items()]
    return markdown_table(heads, rows, "lrrrrr") + "\n" + "".join(reasons)


def contour_table(record: Mapping[str, Any]) -> str:
    """Write boundary IoU and the trimap curve.

    Args:
        record: the contents of `boundary.json`.
    """
    bands = record["trimap_mean_iou"]
    heads = ["boundary mean IoU", *(f"trimap {width} px" for width in bands)]
    values = [percent(record["boundary_mean_iou"]), *map(percent, bands.values())]
    return markdown_table(heads, [values], "r" * len(heads))


def _bounded(bounds: Mapping[str, float | None], sign: str = "") -> str:
    value, low, high = (bounds[name] for name in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return "-"
    return f"{100 * value:{sign}.2f} [{100 * low:{sign}.2f}, {100 * high:{sign}.2f}]"
