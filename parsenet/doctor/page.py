"""A diagnosis as one page of HTML that needs no other file and no network."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from parsenet.doctor.diagnosis import Diagnosis
from parsenet.doctor.drawings import WRONG_COLOUR, draw_case
from parsenet.doctor.findings import Case, Finding, number
from parsenet.doctor.text import (
    class_cells,
    guessed_options,
    histogram,
    split_lines,
    weights_yaml,
)
from parsenet.files import write_bytes_atomically
from parsenet.reports.html import data_uri, html_table, page

MAX_DRAWN = 3
"""Cases of a finding that are drawn."""

MAX_CLASSES = 40
"""Classes of a legend."""

_IMAGES_ALONE = frozenset({"leak", "similar-leak", "duplicate", "similar"})
"""Findings whose cases are drawn without labels."""

_OWN_STYLE = """\
.finding { margin: 0 0 1.2rem; padding: .9rem 1rem; border-radius: 8px; background: var(--card);
  border-left: 5px solid var(--line); }
.finding.error { border-left-color: #d33f49; }
.finding.warning { border-left-color: #d9930d; }
.finding.note { border-left-color: #4a90d9; }
.finding h3 { margin: 0 0 .3rem; }
.finding p { margin: .3rem 0; }
.finding li { overflow-wrap: anywhere; font-size: .9rem; }
.tag { padding: .1rem .5rem; border-radius: 4px; color: #fff; font-size: .8rem; }
.tag.error { background: #c02f3a; }
.tag.warning { background: #9a6700; }
.tag.note { background: #2f6fb3; }
.pair { display: flex; flex-wrap: wrap; gap: .5rem; margin: .6rem 0; }
.pair img { width: min(100%, 320px); height: auto; image-rendering: pixelated; }
.pair figcaption { flex-basis: 100%; overflow-wrap: anywhere; }
.legend i.void { background: repeating-linear-gradient(45deg, #ebebeb 0 3px, #5a5a5a 3px 6px); }
code { overflow-wrap: anywhere; }
"""


def write_page(diagnosis: Diagnosis, folder: Path, show: int = 5) -> Path:
    """Write `report.html`.

    Args:
        diagnosis: what was found.
        folder: where to; made if it is missing.
        show: files to name for each finding.

    Returns:
        the page's path.
    """
    path = folder / "report.html"
    title = f"Doctor: {_name(diagnosis)}"
    sections = [f"<h1>{escape(title)}</h1>", *_sections(diagnosis, show)]
    text = page(title, sections, _OWN_STYLE)
    write_bytes_atomically(path, text.encode(errors="backslashreplace"))
    return path


def _name(diagnosis: Diagnosis) -> str:
    config = diagnosis.source.config
    return config.dataset if config.root is None else f"{config.dataset} in {config.root}"


def _sections(diagnosis: Diagnosis, show: int) -> Iterator[str]:
    yield _cards(diagnosis)
    yield f'<p class="quiet">{_marked(diagnosis.source.told)}</p>'
    if guessed_options(diagnosis):
        yield f"<pre>{escape(guessed_options(diagnosis))}</pre>"
    if diagnosis.findings:
        yield "<h2>Findings</h2>"
        yield _legend(diagnosis)
        for finding in diagnosis.findings:
            yield _finding(diagnosis, finding, show)
    yield "<h2>Classes</h2>"
    heads, rows = class_cells(diagnosis)
    yield f'<div class="wide">{html_table(heads, rows)}</div>'
    yield f"<h3>Class weights</h3>\n<pre>{escape(weights_yaml(diagnosis))}</pre>"
    yield "<h2>Splits</h2>"
    for (name, line), sums in zip(split_lines(diagnosis), diagnosis.totals, strict=True):
        values = histogram(sums.values, sums.is_coloured)
        yield (
            f"<h3>{escape(name)}</h3>\n<p>{escape(line)}</p>\n"
            f'<p class="quiet">Values: {escape(values)}</p>'
        )


def _cards(diagnosis: Diagnosis) -> str:
    samples = sum(len(one.split.pairs) for one in diagnosis.surveyed)
    cards = [
        (diagnosis.count(x), number(diagnosis.count(x), x)) for x in ("error", "warning", "note")
    ]
    cards.append((samples, number(samples, "sample")))
    shown = "".join(
        f"<div><b>{count:,}</b><span>{escape(text.partition(' ')[2])}</span></div>"
        for count, text in cards
    )
    return f'<div class="cards">{shown}</div>'


def _legend(diagnosis: Diagnosis) -> str:
    taxonomy = diagnosis.surveyed[0].split.reading.taxonomy
    entries = [
        f'<span><i style="background: rgb{taxonomy.palette[index]}"></i>{escape(name)}</span>'
        for index, name in enumerate(diagnosis.names[:MAX_CLASSES])
    ]
    entries.append('<span><i class="void"></i>void</span>')
    entries.append(f'<span><i style="background: rgb{WRONG_COLOUR}"></i>no class</span>')
    more = len(diagnosis.names) - MAX_CLASSES
    entries += [f"<span>and {number(more, 'more class')}</span>"] if more > 0 else []
    return f'<p class="legend">{"".join(entries)}</p>'


def _finding(diagnosis: Diagnosis, finding: Finding, show: int) -> str:
    tag = f'<span class="tag {finding.severity}">{finding.severity}</span>'
    parts = [f'<section class="finding {finding.severity}">', f"<h3>{tag} {finding.code}</h3>"]
    parts.append(
        f"<p>{_marked(finding.title)}</p>\n<p><b>What to do:</b> {_marked(finding.fix)}</p>"
    )
    items = []
    for position, case in enumerate(finding.cases[:show]):
        figure = _figure(diagnosis, finding, case) if position < MAX_DRAWN else ""
        if figure:
            parts.append(figure)
        else:
            items.append(f"<li>{escape(str(case))}</li>")
    if items:
        parts.append(f"<ul>{''.join(items)}</ul>")
    if len(finding.cases) > show:
        parts.append(
            f'<p class="quiet">and {len(finding.cases) - show:,} more, see doctor.json</p>'
        )
    return "\n".join([*parts, "</section>"])


def _marked(text: str) -> str:
    """Escape a sentence and set what is between backticks as code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{x}</code>" if i % 2 else x for i, x in enumerate(pieces))


def _figure(diagnosis: Diagnosis, finding: Finding, case: Case) -> str:
    splits = {one.name: one.split for one in diagnosis.surveyed}
    with_label = finding.code not in _IMAGES_ALONE
    drawn = [
        one
        for place in case.places
        for one in draw_case(splits[place.split], place.index, with_label)
    ]
    if not drawn:
        return ""
    images = "".join(
        f'<img src="{data_uri(one)}" alt="{escape(Path(case.file).name)}" loading="lazy">'
        for one in drawn
    )
    caption = f"<figcaption>{escape(str(case))}</figcaption>"
    return f'<figure class="pair">{images}{caption}</figure>'
