"""A run as one page: scores, classes, curves, images, and how it was made.

`report.html` needs no other file and no network; `report.md` says the same for a repository.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from parsenet.files import write_bytes_atomically
from parsenet.reports.drawer import line_chart
from parsenet.reports.matrix import confusion_chart
from parsenet.reports.runs import Run, read_run
from parsenet.reports.style import STYLE
from parsenet.reports.tables import (
    SUMMARY,
    class_cells,
    class_table,
    confusions,
    percent,
    protocol_sentence,
    summary_table,
)

MAX_SAMPLES = 12
"""Sample images on the page; all of them stay in the run folder."""

WORST = "Lowest mean IoU over the classes in the image's own ground truth; the name ends in it."
"""What the gallery of the worst images shows."""

MATRIX_NAME = "confusion.svg"
"""The confusion matrix as an image of its own, which `report.md` shows."""

_FACTS = {
    "started": "started",
    "finished": "finished",
    "seconds": "time",
    "device": "device",
    "precision": "precision",
    "seed": "seed",
    "num_parameters": "parameters",
    "git_commit": "commit",
}


def write_report(run_dir: Path) -> Path:
    """Write `report.html` and `report.md` into a run folder.

    Args:
        run_dir: folder that `parsenet fit`, `validate` or `test` wrote.

    Returns:
        the path of `report.html`.

    Raises:
        DataNotFoundError: it is no run folder.
    """
    run = read_run(run_dir)
    path = run_dir / "report.html"
    write_bytes_atomically(path, html_page(run).encode())
    write_bytes_atomically(run_dir / "report.md", markdown_page(run).encode())
    if run.metrics.get("confusion"):
        write_bytes_atomically(run_dir / MATRIX_NAME, confusion_chart(run.metrics).encode())
    return path


def markdown_page(run: Run) -> str:
    """Write a run as Markdown that links its sample images."""
    parts = [f"# {run.name}"]
    if run.metrics:
        parts += [protocol_sentence(run.metrics), summary_table(run.metrics)]
        parts += ["## Classes", "In per cent; a dash marks a class without ground truth."]
        parts += [class_table(run.metrics)]
        if run.metrics.get("confusion"):
            parts += ["## Confusions", f"![confusion matrix]({MATRIX_NAME})"]
    for title, paths, note in (
        ("Worst images", run.worst, WORST),
        ("Samples", run.samples, ""),
    ):
        if paths:
            parts += [f"## {title}", *([note] if note else [])]
            parts += [f"![{x.stem}]({x.parent.name}/{x.name})" for x in paths[:MAX_SAMPLES]]
    parts += ["## How it was made"] if run.record else []
    parts += [f"    {run.record['command']}"] if run.record.get("command") else []
    parts += ["\n".join(f"- {name}: {value}" for name, value in facts(run.record))]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def html_page(run: Run) -> str:
    """Write a run as a page of HTML with everything in it."""
    sections = [
        f"<h1>{escape(run.name)}</h1>",
        _scores(run.metrics),
        _curves(run),
        _classes(run.metrics),
        _gallery("Worst images", run.worst, WORST),
        _gallery("Samples", run.samples, ""),
        _origin(run),
    ]
    return page(run.name, sections)


def page(title: str, sections: Iterable[str], style: str = "") -> str:
    """Write a whole page of HTML around its sections, empty ones left out; `style` is CSS."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)} - ParseNet</title>\n<style>\n{STYLE}{style}</style>\n"
        "</head>\n<body>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body>\n</html>\n"
    )


def facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List what a record says about machine, time and versions, ready to print."""
    rows = [
        (title, _fact(key, record[key]))
        for key, title in _FACTS.items()
        if record.get(key) is not None
    ]
    return rows + [(name, str(version)) for name, version in record.get("versions", {}).items()]


def _fact(key: str, value: object) -> str:
    if key == "seconds" and isinstance(value, int | float):
        hours, rest = divmod(round(value), 3600)
        return f"{hours} h {rest // 60:02d} min" if hours else f"{rest // 60} min {rest % 60:02d} s"
    return f"{value:,}" if key == "num_parameters" and isinstance(value, int) else str(value)


def _scores(metrics: Mapping[str, Any]) -> str:
    if not metrics:
        return '<p class="quiet">This run has no scores: it ended before its evaluation.</p>'
    cards = "".join(
        f"<div><b>{percent(metrics.get(key))}</b><span>{title}, %</span></div>"
        for key, title in SUMMARY.items()
    )
    return (
        f'<div class="cards">{cards}</div>\n<p class="quiet">'
        f"{escape(protocol_sentence(metrics))}</p>"
    )


def _curves(run: Run) -> str:
    def ending(*ends: str) -> dict[str, list[tuple[int, float]]]:
        return {name: run.curves[name] for name in sorted(run.curves) if name.endswith(ends)}

    charts = line_chart("Loss", ending("loss", "loss_epoch"), "iteration")
    charts += line_chart("Mean IoU", ending("mIoU"), "iteration")
    return f'<h2>Training</h2>\n<div class="charts">{charts}</div>' if charts else ""


def _classes(metrics: Mapping[str, Any]) -> str:
    if not metrics:
        return ""
    heads, rows = class_cells(metrics)
    parts = ["<h2>Classes</h2>", html_table(heads, rows, bar_column=1)]
    parts.append('<p class="quiet">In per cent; a dash marks a class without ground truth.</p>')
    mistakes = confusions(metrics)
    if mistakes:
        parts += ["<h2>Confusions</h2>", confusion_chart(metrics), "<h3>Most frequent</h3>"]
        parts.append(
            html_table(["truth", "taken for", "pixels", "share of the class"], mistakes, sides="ll")
        )
    return "\n".join(parts)


def html_table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    bar_column: int | None = None,
    sides: str = "",
) -> str:
    """Write a table.

    Args:
        heads: names of the columns.
        rows: their cells.
        bar_column: cells of this column get a bar as long as their per cent.
        sides: `l` or `r` for each column, as Markdown tables have them; the first is always `l`,
            those beyond its end are `r`.
    """

    def cell(tag: str, index: int, text: str) -> str:
        style = ' class="name"' if index and sides[index : index + 1] == "l" else ""
        if tag == "td" and index == bar_column and text[0].isdigit():
            style = f' class="bar" style="--share: {text}%"'
        return f"<{tag}{style}>{escape(text)}</{tag}>"

    def line(tag: str, texts: Sequence[str]) -> str:
        return "<tr>" + "".join(cell(tag, i, text) for i, text in enumerate(texts)) + "</tr>"

    body = "\n".join(line("td", row) for row in rows)
    return f"<table>\n<thead>{line('th', heads)}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _gallery(title: str, paths: Sequence[Path], note: str) -> str:
    if not paths:
        return ""
    figures = "\n".join(
        f'<figure><img src="{data_uri(path)}" alt="{escape(path.stem)}" loading="lazy">'
        f"<figcaption>{escape(path.stem)}</figcaption></figure>"
        for path in paths[:MAX_SAMPLES]
    )
    return f'<h2>{title}</h2>\n<p class="quiet">{note}</p>\n{figures}'


def data_uri(image: Path | Image.Image) -> str:
    """Inline an image as JPEG: a tenth of the PNG's bytes, and the PNG stays in the folder."""
    if isinstance(image, Path):
        with Image.open(image) as opened:
            return data_uri(opened.convert("RGB"))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _origin(run: Run) -> str:
    if not run.record:
        return ""
    parts = ["<h2>How it was made</h2>"]
    if run.record.get("command"):
        parts.append(f"<pre>{escape(str(run.record['command']))}</pre>")
    parts.append(html_table(["", ""], facts(run.record)))
    if run.config:
        parts.append(
            "<details><summary>Resolved configuration</summary>"
            f"<pre>{escape(run.config)}</pre></details>"
        )
    return "\n".join(parts)
