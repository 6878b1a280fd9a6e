"""Scores as Markdown tables; in per cent, as papers print them. Knows nothing of torch.

`metrics` is the contents of a `metrics.json`. Functions called `*_cells` return heads and rows, for
a page as well as for `markdown_table`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

SUMMARY = {
    "pixel_accuracy": "pixel accuracy",
    "mean_accuracy": "mean accuracy",
    "mean_iou": "mean IoU",
    "frequency_weighted_iou": "frequency-weighted IoU",
}
"""The four scores of the paper: their keys in `metrics.json` and how they are printed."""

Cells = tuple[list[str], list[list[str]]]
"""Heads and rows of a table."""


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]], align: str = "") -> str:
    """Write a Markdown table whose columns line up in plain text too.

    Args:
        heads: column heads.
        rows: cells, row by row.
        align: one letter per column, `l` or `r`; empty sets the first to the left alone.
    """
    sides = (align or "l".ljust(len(heads), "r")).replace("l", "<").replace("r", ">")
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (heads, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    rule = ["-" * (n - 1) + "-:"[side == ">"] for n, side in zip(widths, sides, strict=True)]
    lines = [
        [f"{cell:{side}{n}}" for cell, side, n in zip(row, sides, widths, strict=True)]
        for row in (cells[0], rule, *cells[1:])
    ]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def percent(share: float | None) -> str:
    """Write a share in [0, 1] in per cent with two decimals; None and nan become a dash."""
    return "-" if share is None or math.isnan(share) else f"{100 * share:.2f}"


def scientific(value: float) -> str:
    """Write a number, such as a learning rate, by its power of ten in short: `1e-4`, `2.5e-3`."""
    mantissa, exponent = f"{value:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def summary_cells(metrics: Mapping[str, Any]) -> Cells:
    """List the four scores of a run, in one row."""
    return [*SUMMARY.values()], [[percent(metrics.get(key)) for key in SUMMARY]]


def class_cells(metrics: Mapping[str, Any]) -> Cells:
    """List the scores and ground-truth pixels of every class.

    A class without ground truth shows a dash: it has no score and leaves the means.
    """
    total = sum(entry["pixels"] for entry in metrics["classes"])
    rows = [
        [
            entry["name"],
            *(percent(entry[score]) for score in ("iou", "accuracy", "precision", "dice")),
            f"{entry['pixels']:,}",
            percent(entry["pixels"] / total if total else None),
        ]
        for entry in metrics["classes"]
    ]
    return ["class", "IoU", "accuracy", "precision", "Dice", "pixels", "share"], rows


def comparison_cells(record: Mapping[str, Any]) -> Cells:
    """List two checkpoints' scores with their intervals and the test of the difference.

    Args:
        record: what `metrics.statistics.Comparison.to_dict` returns.
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
    """Say what the intervals and p of that table are."""
    drawn = record["resampling"]
    return (
        f"In brackets: {100 * drawn['level']:g} % bootstrap intervals over images. p: paired "
        f"permutation test, corrected over the classes (Holm). {drawn['resamples']:,} resamples, "
        f"seed {drawn['seed']}. Neither covers how a score moves from one training to the next; "
        "the limits of a class that few images show are too narrow."
    )


def dialect_cells(record: Mapping[str, Any]) -> Cells:
    """List what every codebase would report.

    Args:
        record: what `metrics.dialects.in_all_dialects` returns; our own rule comes first.
    """
    ours = next(iter(record.values()))["mean_iou"]
    rows = []
    for name, entry in record.items():
        mean_iou = entry["mean_iou"]
        known = mean_iou is not None and ours is not None
        apart = f"{100 * (mean_iou - ours):+.2f}" if known else "-"
        others = ("pixel_accuracy", "mean_accuracy", "frequency_weighted_iou")
        told = "nan" if mean_iou is None else percent(mean_iou)
        rows.append([name, told, apart, *(percent(entry[other]) for other in others)])
    return ["codebase", "mean IoU", "to ours", "pixel acc.", "mean acc.", "f.w. IoU"], rows


def contour_cells(record: Mapping[str, Any]) -> Cells:
    """List boundary IoU and the trimap curve, the contents of `boundary.json`."""
    bands = record["trimap_mean_iou"]
    heads = ["boundary mean IoU", *(f"trimap {width} px" for width in bands)]
    return heads, [[percent(record["boundary_mean_iou"]), *map(percent, bands.values())]]


def _bounded(bounds: Mapping[str, float | None], sign: str = "") -> str:
    value, low, high = (bounds[name] for name in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return "-"
    return f"{100 * value:{sign}.2f} [{100 * low:{sign}.2f}, {100 * high:{sign}.2f}]"
