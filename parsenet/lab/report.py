"""The report of a grid as Markdown, LaTeX and JSON; `page.py` writes the HTML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parsenet.files import write_bytes_atomically
from parsenet.lab.drawings import draw_charts
from parsenet.lab.grid import Grid
from parsenet.lab.page import html_page
from parsenet.lab.results import Result
from parsenet.lab.summary import Summary, summarise
from parsenet.lab.words import best_rate, headline, how_to_read, rates, spread, table_note, verdicts
from parsenet.reports.drawer import as_file
from parsenet.reports.tables import SUMMARY, markdown_table, percent, scientific

Table = tuple[list[str], list[list[str]], str]
"""Heads, rows, and the side of each column."""


def write_grid_report(grid: Grid, results: Mapping[str, Result], out_dir: Path) -> Path:
    """Write `report.html`, `.md`, `.tex` and `.json`, and `charts/` for `report.md`.

    Args:
        grid: what was asked for.
        results: finished runs by key.
        out_dir: folder to write to; `samples/` in it holds the labels that are shown.

    Returns:
        the path of `report.html`.
    """
    summary = summarise(grid, results)
    charts = draw_charts(summary)
    for name, chart in charts.items():
        write_bytes_atomically(out_dir / "charts" / f"{name}.svg", as_file(chart).encode())
    path = out_dir / "report.html"
    tables = list_tables(summary)
    write_bytes_atomically(out_dir / "report.json", _to_json(summary).encode())
    write_bytes_atomically(out_dir / "report.md", markdown(summary, tables, list(charts)).encode())
    write_bytes_atomically(out_dir / "report.tex", latex(summary).encode())
    page = html_page(summary, tables, charts, out_dir / "samples")
    write_bytes_atomically(path, page.encode())
    return path


def list_tables(summary: Summary) -> dict[str, Table]:
    """Make the tables of the report, by title."""
    tables = {
        "Every cell at its best rate": _cells(summary),
        "The four scores": _scores(summary),
        "Every rate": _sweep(summary),
    }
    for metric, title in SUMMARY.items():
        if any(cell[metric]["paper"] is not None for cell in summary["cells"]):
            tables[f"Against the paper: {title}"] = _against_paper(summary, metric)
    return tables


def markdown(summary: Summary, tables: Mapping[str, Table], charts: list[str]) -> str:
    """Write the report for a repository; its charts lie beside it."""
    parts = [f"# {summary['title']}", headline(summary), how_to_read(summary)]
    for title, table in tables.items():
        parts += [f"## {title}", table_note(title), markdown_table(*table)]
    parts += ["## Collapsed runs at a best rate", *_list(verdicts(summary), "None at a best rate.")]
    parts += ["## Charts", *(f"![{name}](charts/{name}.svg)" for name in charts)]
    parts += ["## How it was made", *_list(summary["origins"], "No run yet.")]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def latex(summary: Summary) -> str:
    """Write the table of rows and columns, the paper's figures in brackets where there are some."""
    lines = [
        f"% {summary['title']}: {summary['score']}, per cent; mean and half of the 95 % t-interval",
        "% over seeds at each cell's best rate; in brackets the paper's figure.",
        r"\begin{tabular}{l" + "r" * len(summary["columns"]) + "}",
        r"\hline",
        " & ".join(["", *map(_escape, summary["columns"])]) + r" \\",
        r"\hline",
    ]
    by_place = {(cell["row"], cell["column"]): cell for cell in summary["cells"]}
    for row in summary["rows"]:
        texts = [
            _latex_cell(by_place.get((row, column)), summary["metric"])
            for column in summary["columns"]
        ]
        lines.append(" & ".join([_escape(row), *texts]) + r" \\")
    return "\n".join([*lines, r"\hline", r"\end{tabular}"]) + "\n"


def _cells(summary: Summary) -> Table:
    heads = ["", "", summary["score"], "n", "best lr", "rates that work", "decades", "collapsed"]
    rows = [
        [
            cell["row"],
            cell["column"],
            spread(cell["score"]),
            str(cell["score"]["count"]),
            best_rate(cell["best_lr"], cell["is_swept"]),
            rates(cell["working"]),
            "-" if cell["decades"] is None else f"{cell['decades']:.1f}",
            f"{cell['num_collapsed']} of {cell['score']['count']}",
        ]
        for cell in summary["cells"]
    ]
    return heads, rows, "llrrrlrr"


def _scores(summary: Summary) -> Table:
    rows = [
        [cell["row"], cell["column"], *(spread(cell[metric]) for metric in SUMMARY)]
        for cell in summary["cells"]
    ]
    return ["", "", *SUMMARY.values()], rows, "llrrrr"


def _sweep(summary: Summary) -> Table:
    rows = []
    for cell in summary["cells"]:
        found = {point["lr"]: point for point in cell["sweep"]}
        texts = [
            percent(found[lr]["score"]) + ("*" if found[lr]["collapsed"] else "")
            if lr in found
            else "-"
            for lr in summary["lrs"]
        ]
        rows.append([cell["row"], cell["column"], *texts])
    return ["", "", *map(scientific, summary["lrs"])], rows, "ll" + "r" * len(summary["lrs"])


def _against_paper(summary: Summary, metric: str) -> Table:
    rows = []
    for cell in summary["cells"]:
        paper, ours = cell[metric]["paper"], cell[metric]["mean"]
        both = paper is not None and ours is not None
        word = "collapsed" if cell["paper_collapsed"] else percent(paper)
        rows.append([
            cell["row"], cell["column"], word, spread(cell[metric]),
            f"{100 * (ours - paper):+.2f}" if both else "-",
        ])  # fmt: skip
    return ["", "", "paper", "ours", "difference"], rows, "llrrr"


def _latex_cell(cell: Mapping[str, Any] | None, metric: str | None) -> str:
    """Write a cell's figure; the paper's stands beside it where it is of the same metric."""
    if cell is None:
        return ""
    score = cell["score"]
    if score["mean"] is None:
        text = "--"
    else:
        text = f"{100 * score['mean']:.2f}"
        if score["half_width"] is not None:
            text = rf"${text} \pm {100 * score['half_width']:.2f}$"
    if cell["paper_collapsed"]:
        return f"{text} (collapsed)"
    paper = None if metric is None else cell[metric]["paper"]
    return text if paper is None else f"{text} ({100 * paper:.1f})"


def _escape(text: str) -> str:
    for mark in r"\&%$#_{}":
        text = text.replace(mark, "\\" + mark)
    return text


def _list(lines: list[str], nothing: str) -> list[str]:
    return ["\n".join(f"- {line}" for line in lines)] if lines else [nothing]


def _to_json(summary: Summary) -> str:
    return json.dumps(summary, indent=1) + "\n"
