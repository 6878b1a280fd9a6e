"""The report of a grid: one summary of plain values, as HTML, Markdown, LaTeX and JSON."""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from parsenet.files import write_bytes_atomically
from parsenet.lab.grid import Grid
from parsenet.lab.options import Record
from parsenet.lab.results import WORKS, Standing, estimate, figure, standing
from parsenet.reports.charts import Line, line_chart, row_chart, svg_element, write_chart
from parsenet.reports.page import contact_sheet, image_uri, render_page
from parsenet.reports.tables import SUMMARY, markdown_table, percent, scientific

Table = tuple[str, list[str], list[list[str]], str]
"""A note, heads, rows, and the side of each column."""

_SPREAD = "Per cent; behind ± half of the 95 % t-interval over n seeds."


def write_grid_report(grid: Grid, results: Mapping[str, Record], out_dir: Path) -> Path:
    """Write `report.html`, `.md`, `.tex` and `.json`, and `charts/` for `report.md`.

    Args:
        grid: what was asked for.
        results: finished runs by key.
        out_dir: folder to write to; `samples/` in it holds the labels that are shown.
    """
    summary = summarise(grid, results)
    charts = draw_charts(summary)
    drawn: dict[str, list[str]] = defaultdict(list)
    for name, chart in charts.items():
        write_chart(out_dir / "charts" / f"{name}.svg", chart)
        drawn[name.partition("_")[0]].append(svg_element(chart))
    values = {"title": summary["title"], "grid": summary, "tables": list_tables(summary)}
    samples = draw_samples(summary, out_dir / "samples")
    texts = {
        "json": json.dumps(summary, indent=1) + "\n",
        "md": render_page("grid.md.j2", charts=charts, markdown_table=markdown_table, **values),
        "tex": latex(summary),
        "html": render_page("grid.html.j2", charts=drawn, samples=samples, **values),
    }
    for ending, text in texts.items():
        write_bytes_atomically(out_dir / f"report.{ending}", text.encode())
    return out_dir / "report.html"


def summarise(grid: Grid, results: Mapping[str, Record]) -> Record:
    """Put together what is known of every cell, as plain values; scores in [0, 1]."""
    stands = [standing(grid, cell, results) for cell in grid.cells]
    runs = {
        run["key"]: run  # the sweep's run at the best rate is one of the cell's
        for stand in stands
        for found in (*stand.sweep.values(), stand.runs)
        for run in found
    }
    origins, (metric, classes) = Counter(map(_origin, runs.values())), grid.score
    return {
        "name": grid.path.stem,
        "title": grid.title,
        "score": f"mean IoU of {len(classes)} classes" if classes else SUMMARY[metric],
        "metric": None if classes else metric,
        "classes": list(classes),
        "rows": list(grid.rows),
        "columns": list(grid.columns),
        "lrs": list(grid.lrs),
        "seeds": list(grid.seeds),
        "sweep_seeds": list(grid.sweep_seeds),
        "works": WORKS,
        "num_runs": grid.num_runs,
        "num_done": len(runs),
        "num_collapsed": sum(run["collapsed"] for run in runs.values()),
        "seconds": sum(run["seconds"] for run in runs.values()),
        "origins": [f"{count} runs: {origin}" for origin, count in sorted(origins.items())],
        "cells": [_summarise_cell(grid, stand) for stand in stands],
    }


def _origin(run: Record) -> str:
    """Say on what a run was made: day, machine, versions, commit."""
    machine = run["machine"]
    commit, threads = machine["git_commit"], machine["num_threads"]
    return (
        f"{run['date'][:10]}, {machine['device']}, {threads} thread{'s'[: threads != 1]}, "
        f"{run['precision']}, torch {machine['versions']['torch']}, commit "
        f"{commit[:7] + commit[40:] if commit else 'unknown'}"
    )


def _summarise_cell(grid: Grid, stand: Standing) -> Record:
    runs, working = stand.runs, stand.working
    paper = grid.paper.get(stand.cell)
    record: Record = {
        **stand.cell._asdict(),
        "best_lr": stand.best_lr,
        "num_collapsed": sum(run["collapsed"] for run in runs),
        "reasons": sorted({run["reason"] for run in runs if run["collapsed"]}),
        "sweep": [
            {
                "lr": lr,
                "score": fmean(figure(run, grid.score) for run in found),
                "collapsed": any(run["collapsed"] for run in found),
                "highest_loss": max(run["highest_loss"] or 0.0 for run in found),
            }
            for lr, found in stand.sweep.items()
        ],
        "working": list(working),
        "decades": math.log10(working[-1] / working[0]) if working else None,
        "score": estimate([figure(run, grid.score) for run in runs]),
        "paper_collapsed": paper == {},
    }
    for metric in SUMMARY:
        values = [run["scores"][metric] for run in runs if run["scores"][metric] is not None]
        theirs = paper[metric] / 100 if paper and metric in paper else None
        record[metric] = estimate(values) | {"paper": theirs}
    if runs:  # the first seed's run stands for the cell in curves and images
        shown = {name: runs[0][name] for name in ("samples", "curve", "norms", "scales")}
        record |= {"shown": runs[0]["key"]} | shown
    collapses = [
        {"lr": lr, "norms": run["norms"]}
        for lr, found in stand.sweep.items()
        for run in found
        if run["collapsed"]
        and lr > (stand.best_lr or 0)
        and any(x[1:] for x in run["norms"].values())
    ]
    if collapses:  # the first above the best rate that is seen to collapse
        record["collapse"] = collapses[0]
    return record


def list_tables(summary: Record) -> dict[str, Table]:
    """Make the tables of the report, by title."""
    cells = summary["cells"]

    def table(note: str, columns: Mapping[str, Sequence[str]], sides: str = "") -> Table:
        rows = [
            [cell["row"], cell["column"], *(texts[index] for texts in columns.values())]
            for index, cell in enumerate(cells)
        ]
        return note, ["", "", *columns], rows, "ll" + (sides or "r" * len(columns))

    best = {
        summary["score"]: [_spread(cell["score"]) for cell in cells],
        "n": [str(cell["score"]["num_runs"]) for cell in cells],
        "best lr": [scientific(x["best_lr"]) if x["best_lr"] else "-" for x in cells],
        "rates that work": [_range(cell["working"]) for cell in cells],
        "decades": ["-" if x["decades"] is None else f"{x['decades']:.1f}" for x in cells],
        "collapsed": [f"{cell['num_collapsed']} of {cell['score']['num_runs']}" for cell in cells],
    }
    spreads = {metric: [_spread(cell[metric]) for cell in cells] for metric in SUMMARY}
    swept = [
        {x["lr"]: percent(x["score"]) + "*" * x["collapsed"] for x in cell["sweep"]}
        for cell in cells
    ]
    rates = {scientific(lr): [found.get(lr, "-") for found in swept] for lr in summary["lrs"]}
    tables = {
        "Every cell at its best rate": table(_SPREAD, best, "rrrlrr"),
        "The four scores": table(_SPREAD, {SUMMARY[x]: spreads[x] for x in SUMMARY}),
        "Every rate": table(
            "Per cent by learning rate, means over the seeds of the sweep; a star marks collapse.",
            rates,
        ),
    }
    for metric, title in SUMMARY.items():
        if any(cell[metric]["paper"] is not None for cell in cells):
            columns = {
                "paper": [
                    "collapsed" if cell["paper_collapsed"] else percent(cell[metric]["paper"])
                    for cell in cells
                ],
                "ours": spreads[metric],
                "difference": [_difference(cell[metric]) for cell in cells],
            }
            tables[f"Against the paper: {title}"] = table(_SPREAD, columns)
    return tables


def _range(rates: Sequence[float]) -> str:
    return " to ".join(dict.fromkeys(map(scientific, (*rates[:1], *rates[-1:])))) or "none"


def _difference(found: Record) -> str:
    both = found["paper"] is not None and found["mean"] is not None
    return f"{100 * (found['mean'] - found['paper']):+.2f}" if both else "-"


def _spread(found: Record, sign: str = "±") -> str:
    """Write a mean with half of its interval, per cent."""
    if found["half_width"] is None:
        return percent(found["mean"])
    return f"{percent(found['mean'])} {sign} {percent(found['half_width'])}"


def latex(summary: Record) -> str:
    """Write the table of rows and columns, the paper's figures in brackets where there are some."""
    by_place = {(cell["row"], cell["column"]): cell for cell in summary["cells"]}
    columns, metric = summary["columns"], summary["metric"]
    lines = [["", *map(_escape, columns)]] + [
        [_escape(row), *(_latex_cell(by_place.get((row, x)), metric) for x in columns)]
        for row in summary["rows"]
    ]
    heads, *rows = [" & ".join(line) + r" \\" for line in lines]
    return "\n".join([
        f"% {summary['title']}: {summary['score']}, per cent; mean and half of the 95 % t-interval",
        "% over seeds at each cell's best rate; in brackets the paper's figure.",
        r"\begin{tabular}{l" + "r" * len(columns) + "}",
        *(r"\hline", heads, r"\hline", *rows, r"\hline", r"\end{tabular}", ""),
    ])


def _latex_cell(cell: Record | None, metric: str | None) -> str:
    """Write a cell's figure; the paper's stands beside it where it is of the same metric."""
    if cell is None:
        return ""
    text = "--" if cell["score"]["mean"] is None else _spread(cell["score"], r"\pm")
    text = f"${text}$" if r"\pm" in text else text
    paper = "collapsed" if cell["paper_collapsed"] else ""
    if metric is not None and cell[metric]["paper"] is not None:
        paper = f"{100 * cell[metric]['paper']:.1f}"
    return f"{text} ({paper})" if paper else text


def _escape(text: str) -> str:
    return re.sub(r"([\\&%$#_{}])", r"\\\1", text)


def draw_charts(summary: Record) -> dict[str, Figure]:
    """Draw scores over rows and rates, losses and feature norms, by the names of their files."""
    score, cells = summary["score"], summary["cells"]
    known = {
        (cell["row"], cell["column"]): (100 * found["mean"], 100 * (found["half_width"] or 0.0))
        for cell in cells
        if (found := cell["score"])["mean"] is not None
    }
    intervals = {x: [known.get((row, x)) for row in summary["rows"]] for x in summary["columns"]}
    title = f"{score}, %, at each cell's best rate"
    charts = {"rows": row_chart(title, summary["rows"], intervals)}
    cover = [0, *(100 * point["score"] for cell in cells for point in cell["sweep"])]
    for index, column in enumerate(summary["columns"]):
        own = {cell["row"]: cell for cell in cells if cell["column"] == column}
        sweeps = {row: [(x["lr"], 100 * x["score"]) for x in own[row]["sweep"]] for row in own}
        lines = {row: Line(points, best=own[row]["best_lr"]) for row, points in sweeps.items()}
        losses = {row: cell.get("curve", []) for row, cell in own.items()}
        charts[f"sweep_{index}"] = line_chart(
            f"{column}: {score}, %", lines, "learning rate", log="x", cover=cover
        )
        charts[f"loss_{index}"] = _over_iterations(f"{column}: loss", losses)
    for index, cell in enumerate(cells):
        name = f"{cell['row']}, {cell['column']}"
        norms = cell.get("norms", {})
        charts[f"norms_{index}"] = _over_iterations(f"{name}: feature norms", norms)
        if "collapse" in cell:
            title = f"{name}, collapsing at {scientific(cell['collapse']['lr'])}: feature norms"
            charts[f"collapse_{index}"] = _over_iterations(title, cell["collapse"]["norms"])
    return {name: chart for name, chart in charts.items() if chart is not None}


def _over_iterations(title: str, series: Mapping[str, Sequence[Any]]) -> Figure | None:
    """Draw what was measured now and then; what was not finite is left out."""
    lines = {
        name: Line([(x, y) for x, y in points if y is not None]) for name, points in series.items()
    }
    return line_chart(title, lines, "iteration", log="y")


def draw_samples(summary: Record, folder: Path) -> str | None:
    """Lay the same images out, a column for each cell, from a folder with labels by run."""
    cells = [cell for cell in summary["cells"] if "shown" in cell]
    columns = {"image": "image", "ground truth": "ground_truth"}
    columns |= {f"{cell['row']}, {cell['column']}": cell["shown"] for cell in cells}
    rows = []
    for name in sorted({name for cell in cells for name in cell["samples"]}):
        paths = [folder / place / f"{name}.png" for place in columns.values()]
        if any(path.is_file() for path in paths):
            rows.append([_read_image(path) for path in paths])
    sheet = contact_sheet(rows, [[""] * len(columns)] * len(rows), [*columns]) if rows else None
    return None if sheet is None else image_uri(sheet)


def _read_image(path: Path) -> np.ndarray:
    """Read a sample; white stands for one that is not there."""
    if not path.is_file():
        return np.full((1, 1, 3), 255, np.uint8)
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))
