"""Line charts as SVG, drawn without a plotting library so that a report is one small file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 520, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 36, 40
COLOURS = ("#2f6fde", "#d9622b", "#2a9d6f", "#8c5bd6", "#b8860b")

Number = int | float
Points = Sequence[tuple[Number, Number]]


def line_chart(title: str, curves: Mapping[str, Points], x_label: str) -> str:
    """Draw curves over a common x axis as an SVG element.

    Args:
        title: what is drawn.
        curves: points (x, y) of every curve; curves without points are left out.
        x_label: what x counts.

    Returns:
        the element, or nothing where there is no point to draw.
    """
    curves = {name: points for name, points in curves.items() if points}
    if not curves:
        return ""
    xs = [x for points in curves.values() for x, _ in points]
    ys = [y for points in curves.values() for _, y in points]
    x_ticks, y_ticks = nice_ticks(min(xs), max(xs)), nice_ticks(min(ys), max(ys))
    frame = _Frame((min(xs), max(xs)), (y_ticks[0], y_ticks[-1]))
    body = [f'<text class="title" x="{_LEFT}" y="18">{escape(title)}</text>']
    body += _draw_axes(frame, [x for x in x_ticks if min(xs) <= x <= max(xs)], y_ticks, x_label)
    for index, (name, points) in enumerate(curves.items()):
        body += _draw_curve(frame, index, name, points)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">\n' + "\n".join(body) + "\n</svg>"


def nice_ticks(low: Number, high: Number, count: int = 5) -> list[float]:
    """Return evenly spaced round numbers whose range covers low to high.

    Args:
        low: smallest value to cover.
        high: largest value to cover.
        count: about how many steps to make.
    """
    if high <= low:
        margin = abs(low) / 2 or 0.5
        low, high = low - margin, high + margin
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


class _Frame:
    """Maps values to positions in the picture."""

    def __init__(self, x_range: tuple[Number, Number], y_range: tuple[Number, Number]) -> None:
        self.x_range = x_range
        self.y_range = y_range

    def x(self, value: Number) -> float:
        low, high = self.x_range
        share = (value - low) / (high - low) if high > low else 0.5
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: Number) -> float:
        low, high = self.y_range
        share = (value - low) / (high - low)
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 1)


def _draw_axes(
    frame: _Frame, x_ticks: Sequence[Number], y_ticks: Sequence[Number], x_label: str
) -> list[str]:
    bottom = HEIGHT - _BOTTOM
    lines = []
    for tick in y_ticks:
        y = frame.y(tick)
        lines.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        lines.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{tick:g}</text>'
        )
    for tick in x_ticks:
        label = f"{tick:,.0f}" if tick == int(tick) else f"{tick:g}"
        lines.append(
            f'<text class="tick" x="{frame.x(tick)}" y="{bottom + 16}" text-anchor="middle">'
            f"{label}</text>"
        )
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    lines.append(
        f'<text class="tick" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">'
        f"{escape(x_label)}</text>"
    )
    return lines


def _draw_curve(frame: _Frame, index: int, name: str, points: Points) -> list[str]:
    colour = COLOURS[index % len(COLOURS)]
    path = " ".join(f"{frame.x(x)},{frame.y(y)}" for x, y in points)
    left = WIDTH - _RIGHT - 110 * (index + 1)
    lines = [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        f'<rect x="{left}" y="10" width="12" height="3" fill="{colour}"/>',
        f'<text class="tick" x="{left + 18}" y="16">{escape(name)}</text>',
    ]
    # Dots show where few values were measured; on long curves they would only thicken the line.
    if len(points) <= 60:
        lines += [
            f'<circle cx="{frame.x(x)}" cy="{frame.y(y)}" r="3" fill="{colour}">'
            f"<title>{escape(name)} at {x:,.0f}: {y:.4g}</title></circle>"
            for x, y in points
        ]
    return lines
