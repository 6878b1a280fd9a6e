"""Scores as Markdown tables; in per cent, as papers print them. Knows nothing of torch."""

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


def scientific(value: float) -> str:
    """Write a number, such as a learning rate, by its power of ten in short: `1e-4`, `2.5e-3`."""
    mantissa, exponent = f"{value:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def summary_table(metrics: Mapping[str, Any]) -> str:
    """Write the four scores of a run as a Markdown table of one row.

    Args:
        metrics: the contents of `metrics.json`.
    """
    return markdown_table(
        list(SUMMARY.values()), [[percent(metrics.get(key)) for key in SUMMARY]], "r" * len(SUMMARY)
    )


def class_table(metrics: Mapping[str, Any]) -> str:
    """Write the scores and ground-truth pixels of every class as a Markdown table.

    A class without ground truth shows a dash: it has no score and leaves the means.

    Args:
        metrics: the contents of `metrics.json`.
    """
    return markdown_table(*class_cells(metrics), "lrrrrrr")


def class_cells(metrics: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the heads and the rows of the table of classes.

    Args:
        metrics: the contents of `metrics.json`.
    """
    heads = ["class", "IoU", "accuracy", "precision", "Dice", "pixels", "share"]
    total = sum(entry["pixels"] for entry in metrics["classes"])
    rows = [
        [
            entry["name"],
            percent(entry["iou"]),
            percent(entry["accuracy"]),
            percent(entry.get("precision")),  # older runs have neither
            percent(entry.get("dice")),
            f"{entry['pixels']:,}",
            percent(entry["pixels"] / total if total else None),
        ]
        for entry in metrics["classes"]
    ]
    return heads, rows


def confusions(metrics: Mapping[str, Any], count: int = 8) -> list[list[str]]:
    """List the pairs of classes that most pixels were confused between, worst first.

    Args:
        metrics: the contents of `metrics.json`.
        count: pairs to list at most.

    Returns:
        rows of true class, predicted class, pixels, and their share of the true class.
    """
    names = [entry["name"] for entry in metrics["classes"]]
    pairs = [
        (pixels, pixels / sum(row), names[i], names[j])
        for i, row in enumerate(metrics.get("confusion") or [])
        for j, pixels in enumerate(row)
        if i != j and pixels
    ]
    worst = sorted(pairs, key=lambda pair: -pair[0])[:count]
    return [[true, found, f"{pixels:,}", percent(share)] for pixels, share, true, found in worst]


def protocol_sentence(metrics: Mapping[str, Any]) -> str:
    """Say what was scored, and over how many classes the means go.

    Args:
        metrics: the contents of `metrics.json`.
    """
    if "card" in metrics:
        return f"{metrics['protocol']}."
    known = sum(entry["iou"] is not None for entry in metrics["classes"])
    protocol = metrics.get("protocol")
    return (
        f"{metrics['dataset']}, split {metrics['split']}, {metrics['num_images']:,} images. "
        f"Means over the {known} of {len(metrics['classes'])} classes that have ground truth."
        + (f" Protocol: {protocol}." if protocol else "")
    )


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """Write a Markdown table whose columns line up in plain text too.

    Args:
        heads: column heads.
        rows: cells, row by row.
        align: one letter per column, `l` or `r`.
    """
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (heads, *rows)]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(heads))]
    rule = [
        "-" * (width - 1) + ":" if side == "r" else "-" * width
        for width, side in zip(widths, align, strict=True)
    ]
    lines = [cells[0], rule, *cells[1:]]
    padded = [
        [
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(line, widths, align, strict=True)
        ]
        for line in lines
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in padded) + "\n"


def percent(share: float | None) -> str:
    """Write a share in [0, 1] in per cent with two decimals; None and nan become a dash."""
    return "-" if share is None or math.isnan(share) else f"{100 * share:.2f}"
