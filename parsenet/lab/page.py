"""The report of a grid as one page of HTML with everything in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from parsenet.lab.summary import Summary
from parsenet.lab.words import headline, how_to_read, table_note, verdicts
from parsenet.reports.html import data_uri, html_table, page

_GROUPS = {"rows": "Scores", "sweep": "Scores over rates", "loss": "Loss", "norms": "Feature norms"}
_STYLE = """\
.samples th, .samples td { padding: .25rem .3rem .25rem 0; text-align: left; }
.samples img { min-width: 150px; max-height: 240px; vertical-align: top; }
"""
_NOTES = {
    "rows": "Bars are 95 % t-intervals over seeds; a single seed has none.",
    "sweep": "Means over the seeds of the sweep, all charts to the same scale.",
    "loss": "The first seed at the cell's best rate; batches averaged in blocks.",
    "norms": "Mean length of a pixel's feature vector over a training batch, before any "
    "normalization; the first seed at the cell's best rate.",
}


def html_page(
    summary: Summary,
    tables: Mapping[str, tuple[list[str], list[list[str]], str]],
    charts: Mapping[str, str],
    samples_dir: Path,
) -> str:
    """Write the page.

    Args:
        summary: what `summarise` returns.
        tables: heads, rows and sides of every table, by title.
        charts: SVG elements by name.
        samples_dir: folder with the labels of the runs, `image/` and `truth/`.
    """
    sections = [f"<h1>{escape(summary['title'])}</h1>", f"<p>{escape(headline(summary))}</p>"]
    sections.append(f'<p class="quiet">{escape(how_to_read(summary))}</p>')
    for title, (heads, rows, sides) in tables.items():
        table = html_table(heads, rows, sides=sides)
        sections += [f"<h2>{escape(title)}</h2>", f'<p class="quiet">{table_note(title)}</p>']
        sections.append(f'<div class="wide">{table}</div>')
    sections.append(
        _list("Collapsed runs at a best rate", verdicts(summary), "None at a best rate.")
    )
    for group, title in _GROUPS.items():
        drawn = [chart for name, chart in charts.items() if name.startswith(group)]
        if drawn:
            note = f'<p class="quiet">{_NOTES[group]}</p>' if group in _NOTES else ""
            sections += [f"<h2>{title}</h2>", note, f'<div class="charts">{"".join(drawn)}</div>']
    sections.append(_samples(summary, samples_dir))
    sections.append(_list("How it was made", summary["origins"], "No run yet."))
    return page(summary["title"], sections, _STYLE)


def _samples(summary: Summary, samples_dir: Path) -> str:
    """Show the same images for all cells: a row of the table per image."""
    shown = [cell for cell in summary["cells"] if "shown" in cell]
    columns = [("image", samples_dir / "image"), ("truth", samples_dir / "truth")]
    columns += [(f"{cell['row']}, {cell['column']}", samples_dir / cell["shown"]) for cell in shown]
    names = sorted({name for cell in shown for name in cell["samples"]})
    rows = [
        "<tr>"
        + "".join(_sample(folder / f"{name}.png", title) for title, folder in columns)
        + "</tr>"
        for name in names
        if any((folder / f"{name}.png").is_file() for _, folder in columns)
    ]
    if not rows:
        return ""
    heads = "".join(f'<th class="name">{escape(title)}</th>' for title, _ in columns)
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    note = "What the first seed at each cell's best rate predicts."
    return f'<h2>Samples</h2>\n<p class="quiet">{note}</p>\n<div class="wide samples">{table}</div>'


def _sample(path: Path, title: str) -> str:
    if not path.is_file():
        return "<td></td>"
    return f'<td><img src="{data_uri(path)}" alt="{escape(title)}" loading="lazy"></td>'


def _list(title: str, lines: Sequence[str], nothing: str) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines) or f"<li>{nothing}</li>"
    return f"<h2>{title}</h2>\n<ul>{items}</ul>"
