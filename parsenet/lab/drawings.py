"""The charts of a grid's report."""

from __future__ import annotations

from parsenet.lab.summary import Summary
from parsenet.reports.drawer import Points, line_chart, row_chart


def draw_charts(summary: Summary) -> dict[str, str]:
    """Draw scores over rows and rates, losses and feature norms, as SVG elements by file name.

    Args:
        summary: what `summarise` returns.
    """
    charts = {"rows": _draw_rows(summary)}
    scores = [100 * point["score"] for cell in summary["cells"] for point in cell["sweep"]]
    cover = [0.0, max(scores, default=0.0)]
    for index, column in enumerate(summary["columns"]):
        cells = [cell for cell in summary["cells"] if cell["column"] == column]
        sweeps: dict[str, Points] = {
            cell["row"]: [(point["lr"], 100 * point["score"]) for point in cell["sweep"]]
            for cell in cells
        }
        losses: dict[str, Points] = {
            cell["row"]: [(x, y) for x, y in cell["curve"] if y is not None]
            for cell in cells
            if "curve" in cell
        }
        title = f"{column}: {summary['score']}, %"
        charts[f"sweep_{index}"] = line_chart(title, sweeps, "learning rate", "x", cover)
        charts[f"loss_{index}"] = line_chart(f"{column}: loss", losses, "iteration", log="y")
    for index, cell in enumerate(summary["cells"]):
        norms: dict[str, Points] = {
            name: [(x, y) for x, y in points if y is not None]
            for name, points in cell.get("norms", {}).items()
        }
        title = f"{cell['row']}, {cell['column']}: feature norms"
        charts[f"norms_{index}"] = line_chart(title, norms, "iteration", log="y")
    return {name: chart for name, chart in charts.items() if chart}


def _draw_rows(summary: Summary) -> str:
    """Draw the cells' figures at their best rates, a curve per column."""
    by_place = {(cell["row"], cell["column"]): cell["score"] for cell in summary["cells"]}
    series: dict[str, list[tuple[float, float] | None]] = {}
    for column in summary["columns"]:
        scores = [by_place.get((row, column)) for row in summary["rows"]]
        series[column] = [
            (100 * score["mean"], 100 * (score["half_width"] or 0.0))
            if score is not None and score["mean"] is not None
            else None
            for score in scores
        ]
    return row_chart(f"{summary['score']}, %, at each cell's best rate", summary["rows"], series)
