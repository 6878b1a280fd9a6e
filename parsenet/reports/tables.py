"""Scores as Markdown tables; in per cent, as papers print them. Knows nothing of torch.

`metrics` is the contents of a `metrics.json`.
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


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """Write a Markdown table whose columns line up in plain text too.

    Args:
        heads: column heads.
        rows: cells, row by row.
        align: one letter per column, `l` or `r`.
    """
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (heads, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    columns = list(zip(widths, align, strict=True))
    cells.insert(1, ["-" * (width - 1) + "-:"[side == "r"] for width, side in columns])
    lines = [
        [cell.rjust(n) if side == "r" else cell.ljust(n) for cell, (n, side) in pairs]
        for pairs in (zip(line, columns, strict=True) for line in cells)
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def percent(share: float | None) -> str:
    """Write a share in [0, 1] in per cent with two decimals; None and nan become a dash."""
    return "-" if share is None or math.isnan(share) else f"{100 * share:.2f}"


def scientific(value: float) -> str:
    """Write a number, such as a learning rate, by its power of ten in short: `1e-4`, `2.5e-3`."""
    mantissa, exponent = f"{value:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def summary_table(metrics: Mapping[str, Any]) -> str:
    """Write the four scores of a run as a Markdown table of one row."""
    row = [percent(metrics.get(key)) for key in SUMMARY]
    return markdown_table(list(SUMMARY.values()), [row], "r" * len(SUMMARY))


def class_table(metrics: Mapping[str, Any]) -> str:
    """Write the scores and ground-truth pixels of every class as a Markdown table.

    A class without ground truth shows a dash: it has no score and leaves the means.
    """
    return markdown_table(*class_cells(metrics), "lrrrrrr")


def class_cells(metrics: Mapping[str, Any]) -> Cells:
    """Return the heads and the rows of the table of classes."""
    total = sum(entry["pixels"] for entry in metrics["classes"])
    scores = ("iou", "accuracy", "precision", "dice")  # older runs lack the last two
    rows = [
        [
            entry["name"],
            *(percent(entry.get(score)) for score in scores),
            f"{entry['pixels']:,}",
            percent(entry["pixels"] / total if total else None),
        ]
        for entry in metrics["classes"]
    ]
    return ["class", "IoU", "accuracy", "precision", "Dice", "pixels", "share"], rows


def confusions(metrics: Mapping[str, Any], count: int = 8) -> list[list[str]]:
    """List the pairs of classes that most pixels were confused between, worst first.

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
    """Say what was scored, and over how many classes the means go."""
    protocol = metrics.get("protocol")
    if "card" in metrics:
        return f"{protocol}."
    known = sum(entry["iou"] is not None for entry in metrics["classes"])
    return (
        f"{metrics['dataset']}, split {metrics['split']}, {metrics['num_images']:,} images. "
        f"Means over the {known} of {len(metrics['classes'])} classes that have ground truth."
        + (f" Protocol: {protocol}." if protocol else "")
    )


def comparison_table(record: Mapping[str, Any]) -> str:
    """Write two checkpoints' scores with their intervals and the test of the difference.

    Args:
        record: what `metrics.statistics.Comparison.to_dict` returns.
    """
    return markdown_table(*comparison_cells(record), "lrrrrr") + f"\n{comparison_note(record)}\n"


def comparison_cells(record: Mapping[str, Any]) -> Cells:
    """Return the heads and the rows of that table."""
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


def dialect_table(record: Mapping[str, Any]) -> str:
    """Write what every codebase would report, and the reason of each.

    Args:
        record: what `metrics.dialects.in_all_dialects` returns; our own rule comes first.
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
