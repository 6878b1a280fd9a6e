"""The sentences of a grid's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from parsenet.lab.summary import Summary
from parsenet.reports.tables import percent, scientific


def headline(summary: Summary) -> str:
    """Say how much of the grid is there."""
    done, total = summary["num_done"], summary["num_runs"]
    state = "All" if done >= total else f"{done} of"
    hours = summary["seconds"] / 3600
    time = f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"
    return (
        f"{state} {total} runs are there, {summary['num_collapsed']} of them collapsed; "
        f"{time} of runs in all."
    )


def how_to_read(summary: Summary) -> str:
    """Say what the figures are."""
    classes = f" ({', '.join(summary['classes'])})" if summary["classes"] else ""
    sweep = ", ".join(map(str, summary["sweep_seeds"]))
    return (
        f"The figure of a run is its {summary['score']}{classes}, scored once after the last "
        f"iteration. Every rate is run with seed {sweep}; a cell's best rate is the one with the "
        "best figure there, and further seeds are run with it alone. Means are over the n seeds at "
        "that rate (the sweep's among them, which favours the mean a little) with half of their 95 "
        "% t-interval. A rate works when no run of the sweep collapsed at it and its figure is at "
        f"least {100 * summary['works']:.0f} % of the cell's best; told are those around the best "
        "up to one that does not, and decades are log10 of the highest over the lowest of them. "
        "A run is collapsed when its loss is not finite or one class is predicted on at least 99.9 "
        "% of the pixels; it counts with the figure that it got. A star marks collapsed runs."
    )


def verdicts(summary: Summary) -> list[str]:
    """Say why runs at a best rate collapsed, cell by cell."""
    return [
        f"{cell['row']}, {cell['column']}: {'; '.join(cell['reasons'])}"
        for cell in summary["cells"]
        if cell["reasons"]
    ]


def table_note(title: str) -> str:
    """Say what the cells of a table of the report are.

    Args:
        title: of the table.
    """
    if title == "Every rate":
        return (
            "Per cent by learning rate, means over the seeds of the sweep; a star marks collapse."
        )
    return "Per cent; behind ± half of the 95 % t-interval over n seeds."


def spread(estimate: Mapping[str, Any]) -> str:
    """Write a mean with half of its interval, per cent."""
    if estimate["mean"] is None or estimate["half_width"] is None:
        return percent(estimate["mean"])
    return f"{percent(estimate['mean'])} ± {percent(estimate['half_width'])}"


def best_rate(rate: float | None, is_swept: bool) -> str:
    """Write a cell's best rate, and whether others are still to be tried."""
    if rate is None:
        return "-"
    return scientific(rate) + ("" if is_swept else " so far")


def rates(working: Sequence[float]) -> str:
    """Write the range of the rates that work."""
    if not working:
        return "none"
    low, high = scientific(working[0]), scientific(working[-1])
    return low if low == high else f"{low} to {high}"
