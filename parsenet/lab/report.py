"""The report of a grid: one summary of plain values, as HTML, Markdown, LaTeX and JSON."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
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

    Returns:
        the path of `report.html`.
    """
    summary = summarise(grid, results)
    charts, tables = draw_charts(summary), list_tables(summary)
    drawn: dict[str, list[str]] = defaultdict(list)
    for name, chart in charts.items():
        write_chart(out_dir / "charts" / f"{name}.svg", chart)
        drawn[name.partition("_")[0]].append(svg_element(chart))
    values = {"title": summary["title"], "grid": summary, "tables": tables}
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
    return {
        "name": grid.path.stem,
        "title": grid.title,
        "score": grid.score.title,
        "metric": None if grid.score.classes else grid.score.metric,
        "classes": list(grid.score.classes),
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
        "origins": _origins(list(runs.values())),
        "cells": [_summarise_cell(grid, stand) for stand in stands],
    }


def _origins(runs: Sequence[Record]) -> list[str]:
    """Say on what the runs were made: machines, commits, days; a line for each combination."""
    counts: Counter[str] = Counter()
    for run in runs:
        machine = run["machine"]
        commit, threads = machine["git_commit"], machine["num_threads"]
        counts[
            f"{run['date'][:10]}, {machine['device']}, {threads} thread{'s'[: threads != 1]}, "
            f"{run['precision']}, torch {machine['versions']['torch']}, commit "
            f"{commit[:7] + commit[40:] if commit else 'unknown'}"
        ] += 1
    return [f"{count} runs: {word}" for word, count in sorted(counts.items())]


def _summarise_cell(grid: Grid, stand: Standing) -> Record:
    runs = stand.runs
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
                "highest_loss": max((run["highest_loss"] or 0.0 for run in found), default=None),
            }
            for lr, found in stand.sweep.items()
        ],
        "is_swept": stand.is_swept,
        "working": list(stand.working),
        "decades": stand.decades,
        "score": asdict(estimate([figure(run, grid.score) for run in runs])),
        "paper_collapsed": stand.cell in grid.paper_collapsed,
    }
    paper = grid.paper.get(stand.cell, {})
    for metric in SUMMARY:
        values = [run["scores"][metric] for run in runs if run["scores"][metric] is not None]
        theirs = paper[metric] / 100 if metric in paper else None
        record[metric] = asdict(estimate(values)) | {"paper": theirs}
    if runs:  # the first seed's run stands for the cell in curves and images
        shown = {name: runs[0][name] for name in ("samples", "curve", "norms", "scales")}
        record |= {"shown": runs[0]["key"]} | shown
    record |= _collapse(stand)
    return record


def _collapse(stand: Standing) -> Record:
    """Return what is known of the first run above the best rate that is seen to collapse."""
    for lr, found in stand.sweep.items():
        for run in found:
            is_seen = any(len(points) > 1 for points in run["norms"].values())
            if run["collapsed"] and is_seen and lr > (stand.best_lr or 0):
                return {"collapse": {"lr": lr, "norms": run["norms"]}}
    return {}


def list_tables(summary: Record) -> dict[str, Table]:
    """Make the tables of the report, by title."""
    cells, lrs = summary["cells"], summary["lrs"]
    names = [[cell["row"], cell["column"]] for cell in cells]

    def table(note: str, heads: Sequence[str], rows: Sequence[list[str]], sides: str = "") -> Table:
        rows = [[*name, *row] for name, row in zip(names, rows, strict=True)]
        return note, ["", "", *heads], rows, "ll" + (sides or "r" * len(heads))

    tables = {
        "Every cell at its best rate": table(
            _SPREAD,
            [summary["score"], "n", "best lr", "rates that work", "decades", "collapsed"],
            [_best(cell) for cell in cells],
            "rrrlrr",
        ),
        "The four scores": table(
            _SPREAD,
            list(SUMMARY.values()),
            [[_spread(cell[metric]) for metric in SUMMARY] for cell in cells],
        ),
        "Every rate": table(
            "Per cent by learning rate, means over the seeds of the sweep; a star marks collapse.",
            [scientific(lr) for lr in lrs],
            [_rates(cell, lrs) for cell in cells],
        ),
    }
    for metric, title in SUMMARY.items():
        if any(cell[metric]["paper"] is not None for cell in cells):
            rows = [_against_paper(cell, metric) for cell in cells]
            heads = ["paper", "ours", "difference"]
            tables[f"Against the paper: {title}"] = table(_SPREAD, heads, rows)
    return tables


def _best(cell: Record) -> list[str]:
    count, best, working = cell["score"]["num_runs"], cell["best_lr"], cell["working"]
    ends = dict.fromkeys(map(scientific, (*working[:1], *working[-1:])))
    return [
        _spread(cell["score"]),
        str(count),
        "-" if best is None else scientific(best) + ("" if cell["is_swept"] else " so far"),
        " to ".join(ends) or "none",
        "-" if cell["decades"] is None else f"{cell['decades']:.1f}",
        f"{cell['num_collapsed']} of {count}",
    ]


def _rates(cell: Record, lrs: Sequence[float]) -> list[str]:
    found = {
        point["lr"]: percent(point["score"]) + "*" * point["collapsed"] for point in cell["sweep"]
    }
    return [found.get(lr, "-") for lr in lrs]


def _against_paper(cell: Record, metric: str) -> list[str]:
    paper, ours = cell[metric]["paper"], cell[metric]["mean"]
    word = "collapsed" if cell["paper_collapsed"] else percent(paper)
    both = paper is not None and ours is not None
    return [word, _spread(cell[metric]), f"{100 * (ours - paper):+.2f}" if both else "-"]


def _spread(found: Record, sign: str = "±") -> str:
    """Write a mean with half of its interval, per cent."""
    if found["half_width"] is None:
        return percent(found["mean"])
    return f"{percent(found['mean'])} {sign} {percent(found['half_width'])}"


def latex(summary: Record) -> str:
    """Write the table of rows and columns, the paper's figures in brackets where there are some."""
    by_place = {(cell["row"], cell["column"]): cell for cell in summary["cells"]}
    columns, metric = summary["columns"], summary["metric"]
    lines = [[_escape(column) for column in ("", *columns)]] + [
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
    if cell["paper_collapsed"]:
        return f"{text} (collapsed)"
    paper = None if metric is None else cell[metric]["paper"]
    return text if paper is None else f"{text} ({100 * paper:.1f})"


def _escape(text: str) -> str:
    for mark in r"\&%$#_{}":
        text = text.replace(mark, "\\" + mark)
    return text


def draw_charts(summary: Record) -> dict[str, Figure]:
    """Draw scores over rows and rates, losses and feature norms, by the names of their files."""
    score, cells = summary["score"], summary["cells"]
    by_place = {(cell["row"], cell["column"]): cell["score"] for cell in cells}
    intervals = {
        column: [_interval(by_place.get((row, column))) for row in summary["rows"]]
        for column in summary["columns"]
    }
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
        title = f"{name}: feature norms"
        charts[f"norms_{index}"] = _over_iterations(title, cell.get("norms", {}))
        if "collapse" in cell:
            title = f"{name}, collapsing at {scientific(cell['collapse']['lr'])}: feature norms"
            charts[f"collapse_{index}"] = _over_iterations(title, cell["collapse"]["norms"])
    return {name: chart for name, chart in charts.items() if chart is not None}


def _interval(found: Record | None) -> tuple[float, float] | None:
    if found is None or found["mean"] is None:
        return None
    return 100 * found["mean"], 100 * (found["half_width"] or 0.0)


def _over_iterations(title: str, series: Mapping[str, Sequence[Any]]) -> Figure | None:
    """Draw what was measured now and then; what was not finite is left out."""
    lines = {
        name: Line([(x, y) for x, y in points if y is not None]) for name, points in series.items()
    }
    return line_chart(title, lines, "iteration", log="y")


def draw_samples(summary: Record, folder: Path) -> str | None:
    """Lay the same images out for all cells, a row for each; None where there are none.

    Args:
        summary: what `summarise` returns.
        folder: has the labels by run, `image/` and `ground_truth/`.
    """
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
