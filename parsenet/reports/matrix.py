"""The confusion matrix as an image: where the pixels of each class went."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

_CELL = 24
_MARGIN = 110
_TOP = 130
_INK, _PAPER, _FULL = "#1c2126", (255, 255, 255), (23, 78, 166)


def confusion_chart(metrics: Mapping[str, Any]) -> str:
    """Draw the confusion matrix as an SVG element with its own colours, on white.

    A row is a true class, a column a predicted one; a cell is as dark as its share of the row, so
    that small classes show as well as large ones. Cells name their pixels when pointed at.

    Args:
        metrics: the contents of `metrics.json`.
    """
    names = [str(entry["name"]) for entry in metrics["classes"]]
    # The last name leans out to the right.
    width, height = _MARGIN + _CELL * len(names) + 60, _TOP + _CELL * len(names) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="{_TOP - 8}" fill="{_INK}" font-size="10">truth / taken for, %</text>',
    ]
    for index, name in enumerate(names):
        middle = round((index + 0.7) * _CELL, 1)
        x, y = _MARGIN + middle, _TOP + middle
        parts.append(
            f'<text x="{_MARGIN - 6}" y="{y}" fill="{_INK}" text-anchor="end">{escape(name)}</text>'
        )
        parts.append(
            f'<text x="{x}" y="{_TOP - 6}" fill="{_INK}" transform="rotate(-60 {x} {_TOP - 6})">'
            f"{escape(name)}</text>"
        )
    for row, pixels in enumerate(metrics["confusion"]):
        parts += _draw_row(names, row, pixels)
    return "\n".join([*parts, "</svg>"])


def _draw_row(names: list[str], row: int, pixels: list[int]) -> list[str]:
    total = sum(pixels)
    y = _TOP + row * _CELL
    if not total:  # no ground truth: no shares
        width = _CELL * len(names)
        return [f'<rect x="{_MARGIN}" y="{y}" width="{width}" height="{_CELL}" fill="#eeeeee"/>']
    parts = []
    for column, number in enumerate(pixels):
        share = number / total
        # The square root keeps confusions of a few per cent visible.
        colour = "#" + "".join(
            f"{round(paper + (full - paper) * share**0.5):02x}"
            for paper, full in zip(_PAPER, _FULL, strict=True)
        )
        x = _MARGIN + column * _CELL
        parts.append(
            f'<rect x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" fill="{colour}" '
            f'stroke="#e8ebee"><title>{escape(names[row])} taken for {escape(names[column])}: '
            f"{number:,} pixels, {100 * share:.2f} %</title></rect>"
        )
        if share >= 0.005:
            ink = "#ffffff" if share > 0.3 else _INK
            parts.append(
                f'<text x="{x + _CELL / 2}" y="{y + 16}" fill="{ink}" font-size="9" '
                f'text-anchor="middle" pointer-events="none">{100 * share:.0f}</text>'
            )
    return parts
