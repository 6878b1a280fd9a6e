"""Pages by hand, for those that have no template yet."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from PIL import Image

from parsenet.reports.style import STYLE


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


def data_uri(image: Path | Image.Image) -> str:
    """Inline an image as JPEG: a tenth of the PNG's bytes, and the PNG stays in the folder."""
    if isinstance(image, Path):
        with Image.open(image) as opened:
            return data_uri(opened.convert("RGB"))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
