"""What context gained and cost, as pages of HTML and Markdown, as JSON and as sheets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from parsenet.data.base import SegmentationDataset
from parsenet.figures.context import Gain, Side, gains_of
from parsenet.figures.context_drawings import PANEL, Panels, draw_sheet, panels_of
from parsenet.files import write_bytes_atomically
from parsenet.inference.drawing import name_of, write_image
from parsenet.metrics.record import Evaluation, compare_scored
from parsenet.metrics.statistics import Resampling
from parsenet.reports.html import data_uri, html_table, page
from parsenet.reports.tables import (
    SUMMARY,
    comparison_cells,
    comparison_note,
    comparison_table,
    percent,
)
from parsenet.taxonomy import VOID_COLOUR, Taxonomy

_TITLE = "What global context gains"
_SECTIONS = {
    "gained": ("Images that gained most", "No image is better with context."),
    "cost": ("Images that lost most", "No image is worse with context."),
}
_STYLE = f"""\
.four {{ display: grid; grid-template-columns: repeat(4, 1fr); gap: .6rem; align-items: end; }}
.four figure {{ margin: 0; max-width: {PANEL}px; }}
.four figcaption {{ overflow-wrap: anywhere; }}
.four img {{ display: block; width: 100%; }}
@media (max-width: 640px) {{ .four {{ grid-template-columns: repeat(2, 1fr); }} }}
.four + .four {{ margin-top: 1rem; }}
"""


def write_context(
    out_dir: Path,
    dataset: SegmentationDataset,
    split: str,
    sides: tuple[Side, Side],
    shown: int = 6,
) -> list[Path]:
    """Write scores, the table of classes, and what context gained and cost image by image.

    Args:
        out_dir: folder of the results; scores of the two go to `with` and `without` in it.
        dataset: the images.
        split: their name.
        sides: with context, and without.
        shown: images that gained most, and that lost most.

    Returns:
        `context.html`, `context.md`, `context.json`, and the sheets.
    """
    scored = []
    for name, side in zip(("with", "without"), sides, strict=True):
        evaluation = Evaluation.of(side.images, dataset.taxonomy, split, side.checkpoint)
        evaluation.write(out_dir / name)
        scored.append(evaluation)
    record = compare_scored(scored[1], scored[0], Resampling()).to_dict(scored[0].names)
    gains = gains_of(dataset, sides[0].images, sides[1].images)
    chosen = {
        "gained": [gain for gain in gains if gain.gain > 0][:shown],
        "cost": [gain for gain in gains[::-1] if gain.gain < 0][:shown],
    }
    panels = {
        title: [panels_of(dataset, gain, sides) for gain in some] for title, some in chosen.items()
    }
    sheets = []
    for title, some in panels.items():
        path = out_dir / f"context_{title}.png"
        path.unlink(missing_ok=True)
        if some:
            write_image(path, draw_sheet(some, dataset.taxonomy))
            sheets.append(path)
    images = [
        {"id": g.id, "with": g.with_context, "without": g.without, "gain": g.gain} for g in gains
    ]
    content = json.dumps(record | {"images": images}, indent=1) + "\n"
    heads = [
        f"A, without context, {_name(sides[1])}: {scored[1].card}.",
        f"B, with context, {_name(sides[0])}: {scored[0].card}.",
    ]
    written = {
        "context.html": html_page(record, heads, gains, panels, dataset.taxonomy),
        "context.md": markdown_page(record, heads, gains, sheets),
        "context.json": content,
    }
    for name, text in written.items():
        write_bytes_atomically(out_dir / name, text.encode())
    return [*(out_dir / name for name in written), *sheets]


def _name(side: Side) -> str:
    """Name a checkpoint by its run too: every run has a `model.safetensors`."""
    return "/".join(side.checkpoint.parts[-2:])


def markdown_page(
    record: Mapping[str, Any], heads: Sequence[str], gains: Sequence[Gain], sheets: Sequence[Path]
) -> str:
    """Write the scores and every class, and link the sheets.

    Args:
        record: what `comparison_record` returns, A without context and B with it.
        heads: a sentence on each of the two.
        gains: all images.
        sheets: images in the same folder.
    """
    parts = [f"# {_TITLE}", *heads, comparison_table(record), _summary(gains)]
    parts += [f"![{path.stem}]({path.name})" for path in sheets]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def html_page(
    record: Mapping[str, Any],
    heads: Sequence[str],
    gains: Sequence[Gain],
    panels: Mapping[str, Sequence[Panels]],
    taxonomy: Taxonomy,
) -> str:
    """Write a page with everything in it: scores, classes by gain, images side by side.

    Args:
        record: what `comparison_record` returns, A without context and B with it.
        heads: a sentence on each of the two.
        gains: all images, most gained first.
        panels: the images that are shown, `gained` and `cost`.
        taxonomy: names and colours.
    """
    scores = {name: entry for name, entry in record["scores"].items() if name in SUMMARY}
    classes = {name: entry for name, entry in record["scores"].items() if name not in SUMMARY}
    ranked = dict(sorted(classes.items(), key=lambda item: _rank(item[1]["difference"]["value"])))
    sections = [f"<h1>{_TITLE}</h1>", f"<p>{escape(_summary(gains))}</p>"]
    sections += [f'<p class="quiet">{escape(head)}</p>' for head in heads]
    for title, some in (("Scores", scores), ("Classes, by gain", ranked)):
        _, rows = comparison_cells({"scores": some})
        table = html_table(["", "without", "with", "gain", "p", "images"], rows)
        sections += [f"<h2>{title}</h2>", f'<div class="wide">{table}</div>']
    sections.append(f'<p class="quiet">Per cent. {escape(comparison_note(record))}</p>')
    for kind, (title, nothing) in _SECTIONS.items():
        sections += [f"<h2>{title}</h2>", *_shown(panels[kind], taxonomy, nothing)]
    rows = [
        [g.id, percent(g.without), percent(g.with_context), f"{100 * g.gain:+.2f}"] for g in gains
    ]
    table = html_table(["image", "without", "with", "gain"], rows)
    sections.append(f"<details><summary>All images, by gain</summary>{table}</details>")
    return page(_TITLE, sections, _STYLE)


def _rank(gain: float | None) -> tuple[bool, float]:
    """Sort by gain, most first; what was not scored comes last."""
    return gain is None, -(gain or 0.0)


def _shown(panels: Sequence[Panels], taxonomy: Taxonomy, nothing: str) -> list[str]:
    if not panels:
        return [f"<p>{nothing}</p>"]
    present = sorted({value for one in panels for value in one.present})
    swatches = []
    for value in present:
        colour = VOID_COLOUR if value == taxonomy.void else taxonomy.palette[value]
        name = escape(name_of(value, taxonomy))
        swatches.append(f'<span><i style="background: rgb{colour}"></i>{name}</span>')
    rows = [
        '<div class="four">'
        + "".join(
            f"<figure><figcaption>{escape(title)}</figcaption>"
            f'<img src="{data_uri(layer)}" alt="{escape(title)}" loading="lazy"></figure>'
            for title, layer in zip(one.titles, one.layers, strict=True)
        )
        + "</div>"
        for one in panels
    ]
    note = "Mean IoU over the classes of the image's own ground truth, per cent."
    return [
        f'<p class="quiet">{note} What is void in the truth does not count.</p>',
        f'<p class="legend">{"".join(swatches)}</p>',
        *rows,
    ]


def _summary(gains: Sequence[Gain]) -> str:
    better = sum(gain.gain > 0 for gain in gains)
    worse = sum(gain.gain < 0 for gain in gains)
    return (
        f"Of {len(gains):,} images {better:,} are better with context and {worse:,} worse, by "
        "the mean IoU over the classes of their own ground truth."
    )
