"""Line charts as SVG, drawn without a plotting library so that a report is one small file."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

from parsenet.reports.tables import scientific

WIDTH, HEIGHT = 520, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 36, 40
COLOURS = (
    "#2f6fde", "#d9622b", "#2a9d6f", "#8c5bd6", "#b8860b", "#c2417c", "#4a5a6a", "#17a2b8",
)  # fmt: skip
_TITLE_LETTER, _LETTER, _SWATCH, _LINE, _TICK = 8, 6, 30, 13, 44
"""Pixels: about a letter of the title and one of a name, what a name takes besides, a line, the
label of a rate."""

_STYLE = """\
text { font-family: sans-serif; fill: #1c2126; }
.title { font-weight: 600; font-size: 14px; }
.tick { font-size: 11px; fill: #5f6b76; }
.grid { stroke: #dfe4e8; }
"""
"""How a chart looks outside a page, on white."""

Number = int | float
Points = Sequence[tuple[Number, Number]]


def line_chart(
    title: str,
    curves: Mapping[str, Points],
    x_label: str,
    log: str = "",
    cover: Sequence[Number] = (),
) -> str:
    """Draw curves over a common x axis as an SVG element.

    Args:
        title: what is drawn.
        curves: points (x, y) of every curve; curves without points are left out.
        x_label: what x counts.
        log: axes with a logarithmic scale, `x`, `y` or `xy`; points at 0 and below are left out.
        cover: values that a y axis without logarithms holds at least; the same for charts that
            are to be compared.

    Returns:
        the element, or nothing where there is no point to draw.
    """
    curves = {name: _scaled(points, log) for name, points in curves.items()}
    curves = {name: points for name, points in curves.items() if points}
    if not curves:
        return ""
    xs = [x for points in curves.values() for x, _ in points]
    ys = [y for points in curves.values() for _, y in points] + ([] if "y" in log else [*cover])
    x_ticks = nice_ticks(min(xs), max(xs), whole="x" in log)
    x_ticks = [x for x in x_ticks if min(xs) <= x <= max(xs)]
    x_ticks = _with_own(x_ticks, xs) if "x" in log else x_ticks
    y_ticks = log_ticks(min(ys), max(ys)) if "y" in log else nice_ticks(min(ys), max(ys))
    names, top = _draw_names(title, list(curves))
    frame = _Frame((min(xs), max(xs)), (y_ticks[0], y_ticks[-1]), top)
    body = [
        *names,
        *_draw_axes(frame, x_ticks, y_ticks, log),
    ]
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    body.append(
        f'<text class="tick" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">'
        f"{escape(x_label)}</text>"
    )
    for index, (name, points) in enumerate(curves.items()):
        body += _draw_curve(frame, index, name, points, log)
    return _element(body)


def row_chart(
    title: str, rows: Sequence[str], series: Mapping[str, Sequence[tuple[float, float] | None]]
) -> str:
    """Draw values with their uncertainty over named rows, as an SVG element.

    Args:
        title: what is drawn.
        rows: names of the places along the x axis.
        series: for every row a value and the half of its interval, or None where there is none.

    Returns:
        the element, or nothing where there is no value to draw.
    """
    known = [pair for pairs in series.values() for pair in pairs if pair is not None]
    if not known:
        return ""
    y_ticks = nice_ticks(min(y - half for y, half in known), max(y + half for y, half in known))
    names, top = _draw_names(title, list(series))
    frame = _Frame((-0.5, len(rows) - 0.5), (y_ticks[0], y_ticks[-1]), top)
    body = [*names, *_draw_axes(frame, [], y_ticks, "")]
    letters = max(3, (WIDTH - _LEFT - _RIGHT) // len(rows) // _LETTER - 1)
    for place, row in enumerate(rows):
        lines = textwrap.wrap(row, letters, max_lines=2, placeholder="…")
        body += [
            f'<text class="tick" x="{frame.x(place)}" y="{HEIGHT - _BOTTOM + 16 + _LINE * line}" '
            f'text-anchor="middle">{escape(text)}<title>{escape(row)}</title></text>'
            for line, text in enumerate(lines)
        ]
    for index, (name, pairs) in enumerate(series.items()):
        shift = 0.08 * (index - (len(series) - 1) / 2)  # intervals beside one another
        points = [(place + shift, pair[0]) for place, pair in enumerate(pairs) if pair is not None]
        body += _draw_curve(frame, index, name, points, "")
        body += [
            f'<line stroke="{_colour(index)}" stroke-width="1.5" x1="{frame.x(place + shift)}" '
            f'x2="{frame.x(place + shift)}" y1="{frame.y(pair[0] - pair[1])}" '
            f'y2="{frame.y(pair[0] + pair[1])}"/>'
            for place, pair in enumerate(pairs)
            if pair is not None
        ]
    return _element(body)


def as_file(chart: str) -> str:
    """Turn a chart of a page into an image of its own, with its own colours, on white."""
    head, _, rest = chart.partition(">\n")
    return (
        f'{head} xmlns="http://www.w3.org/2000/svg">\n<style>{_STYLE}</style>\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n{rest}\n'
    )


def nice_ticks(low: Number, high: Number, count: int = 5, whole: bool = False) -> list[float]:
    """Return evenly spaced round numbers whose range covers low to high.

    Args:
        low: smallest value to cover.
        high: largest value to cover.
        count: about how many steps to make.
        whole: whole numbers only.
    """
    if high <= low:
        margin = abs(low) / 2 or 0.5
        low, high = low - margin, high + margin
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    step = max(1.0, math.ceil(step)) if whole else step
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def log_ticks(low: Number, high: Number) -> list[float]:
    """Return logarithms of round numbers whose range covers low to high.

    Args:
        low: smallest logarithm to base 10 to cover.
        high: largest one.
    """
    if high - low >= 2:
        return nice_ticks(low, high, whole=True)
    exponents = range(math.floor(low), math.ceil(high + 1e-9) + 1)
    ticks = [exponent + math.log10(digit) for exponent in exponents for digit in (1, 2, 5)]
    first = max(index for index, tick in enumerate(ticks) if tick <= low + 1e-9)
    last = min(index for index, tick in enumerate(ticks) if tick >= high - 1e-9)
    return ticks[first : max(last, first + 1) + 1]


def _with_own(ticks: list[float], values: Sequence[Number]) -> list[float]:
    """Mark the values themselves too, where the labels of all have room side by side."""
    both = sorted({round(value, 9) for value in (*ticks, *values)})
    room = (WIDTH - _LEFT - _RIGHT) / max(both[-1] - both[0], 1e-9)
    has_room = all(room * (after - before) >= _TICK for before, after in pairwise(both))
    return both if has_room else ticks


class _Frame:
    """Maps values to positions in the image, below `top`."""

    def __init__(
        self, x_range: tuple[Number, Number], y_range: tuple[Number, Number], top: int
    ) -> None:
        self.x_range = x_range
        self.y_range = y_range
        self.top = top

    def x(self, value: Number) -> float:
        low, high = self.x_range
        share = (value - low) / (high - low) if high > low else 0.5
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: Number) -> float:
        low, high = self.y_range
        share = (value - low) / (high - low)
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - self.top - _BOTTOM), 1)


def _element(body: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">\n' + "\n".join(body) + "\n</svg>"


def _scaled(points: Points, log: str) -> Points:
    """Take the logarithm to base 10 along the axes that have it."""

    def scale(value: Number, axis: str) -> Number:
        return math.log10(value) if axis in log else value

    return [
        (scale(x, "x"), scale(y, "y"))
        for x, y in points
        if (x > 0 or "x" not in log) and (y > 0 or "y" not in log)
    ]


def _draw_axes(
    frame: _Frame, x_ticks: Sequence[Number], y_ticks: Sequence[Number], log: str
) -> list[str]:
    bottom = HEIGHT - _BOTTOM
    lines = []
    plain = [f"{tick:,.0f}" if tick == int(tick) else f"{tick:g}" for tick in x_ticks]
    x_labels = _powers(x_ticks) if "x" in log else plain
    y_labels = _powers(y_ticks) if "y" in log else [f"{tick:g}" for tick in y_ticks]
    for tick, label in zip(y_ticks, y_labels, strict=True):
        y = frame.y(tick)
        lines.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        lines.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{label}</text>'
        )
    for tick, label in zip(x_ticks, x_labels, strict=True):
        lines.append(
            f'<text class="tick" x="{frame.x(tick)}" y="{bottom + 16}" text-anchor="middle">'
            f"{label}</text>"
        )
    return lines


def _powers(exponents: Sequence[Number]) -> list[str]:
    """Write the marks of a log axis: all as `0.01` and `100` where none is long, else as `1e-4`."""
    values = [10.0**exponent for exponent in exponents]
    short = all(0.0009 < value < 900_000 for value in values)
    return [f"{value:g}" if short else scientific(value) for value in values]


def _draw_names(title: str, names: Sequence[str]) -> tuple[list[str], int]:
    """Draw the title and the curves' names; return them, and where the axes may begin.

    The names stand beside the title where there is room, else in lines of their own.
    """
    widths = [_SWATCH + _LETTER * len(name) for name in names]
    left, right, top = WIDTH - _RIGHT - sum(widths), WIDTH - _RIGHT, 10
    if left < _LEFT + _TITLE_LETTER * (len(title) + 2):
        left, top = _LEFT, 26
    lines = [f'<text class="title" x="{_LEFT}" y="18">{escape(title)}</text>']
    for index, (name, width) in enumerate(zip(names, widths, strict=True)):
        if left + width > right + _SWATCH and left > _LEFT:
            left, top = _LEFT, top + _LINE
        lines += [
            f'<rect x="{left}" y="{top}" width="12" height="3" fill="{_colour(index)}"/>',
            f'<text class="tick" x="{left + 16}" y="{top + 6}">{escape(name)}</text>',
        ]
        left += width
    return lines, max(_TOP, top + 10 + (top > 26) * 2)


def _draw_curve(frame: _Frame, index: int, name: str, points: Points, log: str) -> list[str]:
    colour = _colour(index)
    path = " ".join(f"{frame.x(x)},{frame.y(y)}" for x, y in points)
    lines = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    # Dots show where few values were measured; on long curves they would only thicken the line.
    if len(points) <= 60:
        lines += [
            f'<circle cx="{frame.x(x)}" cy="{frame.y(y)}" r="3" fill="{colour}">'
            f"<title>{escape(name)} at {_original(x, 'x', log)}: {_original(y, 'y', log)}</title>"
            "</circle>"
            for x, y in points
        ]
    return lines


def _original(value: Number, axis: str, log: str) -> str:
    if axis in log:
        return f"{10.0**value:.4g}"
    return f"{value:,.0f}" if axis == "x" else f"{value:.4g}"


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]
