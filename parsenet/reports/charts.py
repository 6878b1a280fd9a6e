"""Charts by matplotlib: lines with bands, points over names, bars and matrices, as SVG or PNG.

Each function returns a `Figure` of its own, never one of pyplot's; `write_chart` makes a file of it
and `svg_element` a part of a page. Every series has a colour, a line and a mark of its own, so that
a chart reads in black and white too. Importing this imports matplotlib, which takes a while.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from math import log10
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from parsenet.files import write_bytes_atomically
from parsenet.reports.tables import scientific

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's colours, told apart by colour-blind readers too; the darkest come first."""

MARKS, DASHES = "osD^vPX*", ("-", "--", "-.", ":")

MOST = 40
"""Classes that a bar chart or a matrix shows at most; the rest is left out and said so."""

_MOST_NAMES = 16
_MOST_MARKS = 60
"""Marks show where few values were measured; on long curves they would only thicken the line."""

_WIDTH, _HEIGHT = 6.4, 3.2
_TICK = 0.5
"""Inches that the label of a learning rate takes."""

_STYLE: dict[Any, Any] = {  # matplotlib types each of its keys
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "parsenet",  # the same chart has the same bytes
    "text.parse_math": False,  # a dollar in a name is a dollar
    "font.size": 9,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#dfe4e8",
    "legend.frameon": False,
}

Number = int | float
Points = Sequence[tuple[Number, Number]]


@dataclass(frozen=True)
class Line:
    """A series of a line chart."""

    points: Points
    """(x, y), in the order in which they are joined."""
    half_widths: Sequence[Number] = ()
    """Half of the confidence interval at each point, drawn as a band; empty for none."""
    best: Number | None = None
    """x of the point that gets a ring, such as the best learning rate."""


def line_chart(
    title: str,
    lines: Mapping[str, Line],
    x_label: str,
    y_label: str = "",
    log: str = "",
    cover: Sequence[Number] = (),
) -> Figure | None:
    """Draw lines over a common x axis.

    Args:
        title: what is drawn.
        lines: each series by its name; those without points are left out.
        x_label: what x counts.
        y_label: what y counts, where the title does not say it.
        log: axes with a logarithmic scale, `x`, `y` or `xy`; points at 0 and below are left out.
        cover: values that the y axis holds at least; the same for charts that are to be compared.

    Returns:
        the chart, or None where there is no point to draw.
    """
    lines = {name: _above_zero(line, log) for name, line in lines.items()}
    lines = {name: line for name, line in lines.items() if line.points}
    if not lines:
        return None
    with style():
        figure, axes = _one_panel(title, _HEIGHT)
        for index, (name, line) in enumerate(lines.items()):
            _draw_line(axes, index, name, line)
        _scale(axes, lines, log)
        kept = [value for value in cover if value > 0 or "y" not in log]
        if kept:
            axes.update_datalim([(axes.dataLim.x0, value) for value in kept])
            axes.autoscale_view(scalex=False)
        axes.set(xlabel=x_label, ylabel=y_label)
        _add_names(figure, axes)
    return figure


def row_chart(
    title: str,
    rows: Sequence[str],
    series: Mapping[str, Sequence[tuple[Number, Number] | None]],
    y_label: str = "",
) -> Figure | None:
    """Draw values with their uncertainty over named places, side by side for each series.

    Args:
        title: what is drawn.
        rows: names of the places along the x axis.
        series: for every row a value and the half of its interval, or None where there is none.
        y_label: what the values are, where the title does not say it.

    Returns:
        the chart, or None where there is no value to draw.
    """
    if not any(pair for pairs in series.values() for pair in pairs):
        return None
    with style():
        figure, axes = _one_panel(title, _HEIGHT)
        for index, (name, pairs) in enumerate(series.items()):
            shift = 0.1 * (index - (len(series) - 1) / 2)  # intervals beside one another
            known = [(place + shift, *pair) for place, pair in enumerate(pairs) if pair]
            if known:
                x, y, half = zip(*known, strict=True)
                axes.errorbar(x, y, half, **_look(index), label=name, capsize=3)
        letters = max(8, 84 // len(rows) - 2)
        broken = [wrap(row, letters, max_lines=3, placeholder="…") for row in rows]
        turned = 90 if len(rows) > 10 else 0
        axes.set_xticks(range(len(rows)), map("\n".join, broken), rotation=turned)
        axes.set(xlim=(-0.5, len(rows) - 0.5), ylabel=y_label)
        _add_names(figure, axes)
    return figure


def bar_chart(
    title: str,
    values: Mapping[str, float | None],
    x_label: str,
    colours: Sequence[tuple[int, int, int]] = (),
) -> Figure | None:
    """Draw a horizontal bar for each name, in their order; of more than `MOST` the extremes.

    Args:
        title: what is drawn.
        values: one for each name; None where there is none.
        x_label: what the values are.
        colours: RGB in [0, 255] of each bar; empty for one colour.

    Returns:
        the chart, or None where there is no value to draw.
    """
    names, numbers = [*values], [*values.values()]
    known = sorted((number, index) for index, number in enumerate(numbers) if number is not None)
    if not known:
        return None
    kept, note = [*range(len(values))], ""
    if len(values) > MOST:
        half = MOST // 2
        kept = [index for _, index in (*known[:half], *known[-half:])]
        note = f" (the {half} lowest and {half} highest of {len(values)})"
    with style():
        figure, axes = _one_panel(title + note, 0.9 + 0.2 * len(kept))
        bars = axes.barh(
            range(len(kept)),
            [numbers[index] or 0.0 for index in kept],
            color=[np.divide(colours[index], 255) if colours else COLOURS[0] for index in kept],
            edgecolor="#444444",
            linewidth=0.5,
            height=0.7,
        )
        texts = ["-" if numbers[index] is None else f"{numbers[index]:.1f}" for index in kept]
        axes.bar_label(bars, texts, padding=3, fontsize=8)
        axes.set_yticks(range(len(kept)), [_shorten(names[index], 28) for index in kept])
        axes.set_ylim(len(kept) - 0.5, -0.5)
        axes.margins(x=0.08)
        axes.grid(visible=True, axis="x")
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(x_label)
    return figure


def matrix_chart(title: str, names: Sequence[str], counts: Sequence[Sequence[int]]) -> Figure:
    """Draw a confusion matrix: rows are the ground truth, columns the prediction.

    A cell is as dark as its share of the row, so that small classes show as well as large ones; a
    row without ground truth is grey. Of more than `MOST` classes those are shown that most pixels
    were confused with.

    Args:
        title: what is drawn.
        names: classes.
        counts: pixels by true and predicted class.
    """
    pixels = np.asarray(counts, np.float64)
    with np.errstate(invalid="ignore"):  # a class without ground truth has no shares
        shares = 100 * pixels / pixels.sum(1, keepdims=True)
    kept, note = [*range(len(names))], ""
    if len(names) > MOST:
        wrong = pixels.sum(0) + pixels.sum(1) - 2 * pixels.diagonal()
        kept = sorted(np.argsort(-wrong, kind="stable")[:MOST].tolist())
        note = f" (the {MOST} most confused of {len(names)} classes)"
    shares = shares[np.ix_(kept, kept)]
    shown = [_shorten(names[index], 24) for index in kept]
    side = 0.26 * len(kept)
    with style():
        figure, axes = panels(1, 1, (max(4.0, side + 2), max(3.0, side + 2)))
        axes = axes[0, 0]
        axes.set_facecolor("#e3e6e9")
        # The square root keeps confusions of a few per cent visible.
        norm = PowerNorm(0.5, 0, 100)
        axes.pcolormesh(shares, cmap="Blues", norm=norm, edgecolors="#ffffff", linewidth=0.5)
        for row, column in zip(*np.nonzero(np.nan_to_num(shares) >= 0.5), strict=True):
            share = shares[row, column]
            ink = "#ffffff" if share > 30 else "#1c2126"
            text = f"{share:.0f}"
            axes.text(column + 0.5, row + 0.5, text, size=7, color=ink, ha="center", va="center")
        ticks = np.arange(len(kept)) + 0.5
        axes.set_xticks(ticks, shown, rotation=60, ha="left", rotation_mode="anchor")
        axes.set_yticks(ticks, shown)
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.set(xlabel="prediction, % of the row", ylabel="ground truth", aspect="equal")
        axes.invert_yaxis()
        figure.suptitle(title + note, fontsize=11, fontweight="bold")
    return figure


def panels(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, Any]:
    """Make an empty figure for drawings that no chart here is; draw on it within `style`.

    Args:
        rows: of panels.
        columns: of panels.
        size: (width, height) in inches.

    Returns:
        the figure, and an array of its axes by row and column.
    """
    figure = Figure(size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def style() -> AbstractContextManager[None]:
    """Set how charts look for the drawing within it."""
    return rc_context(_STYLE)


def write_chart(path: Path, figure: Figure) -> None:
    """Write a chart as SVG or PNG, by the file's name; the same chart has the same bytes.

    Args:
        path: file to write, ending in `.svg` or `.png`.
        figure: the chart.
    """
    write_bytes_atomically(path, _render(figure, path.suffix[1:]))


def svg_element(figure: Figure) -> Markup:
    """Turn a chart into an SVG element for a page, whose text can be searched and copied."""
    text = _render(figure, "svg").decode()
    return Markup(text[text.index("<svg") :])


def _render(figure: Figure, kind: str) -> bytes:
    content = io.BytesIO()
    names = {"svg": ("Date", "Creator"), "png": ("Software",)}[kind]
    with style():
        figure.savefig(content, format=kind, dpi=120, metadata=dict.fromkeys(names))
    return content.getvalue()


def _one_panel(title: str, height: float) -> tuple[Figure, Axes]:
    figure, axes = panels(1, 1, (_WIDTH, height))
    axes[0, 0].set_title(title)
    return figure, axes[0, 0]


def _look(index: int) -> dict[str, Any]:
    """Return colour, line and mark of a series."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": DASHES[index % len(DASHES)],
        "marker": MARKS[index % len(MARKS)],
        "markersize": 4,
        "linewidth": 1.6,
    }


def _draw_line(axes: Axes, index: int, name: str, line: Line) -> None:
    x, y = np.asarray(line.points, np.float64).T
    look = _look(index) | ({"marker": ""} if len(x) > _MOST_MARKS else {})
    axes.plot(x, y, **look, label=name)
    if line.half_widths:
        half = np.asarray(line.half_widths, np.float64)
        axes.fill_between(x, y - half, y + half, color=look["color"], alpha=0.15, linewidth=0)
    if line.best is not None and line.best in x:
        place = int(np.flatnonzero(x == line.best)[0])
        axes.plot(x[place], y[place], "o", ms=11, mfc="none", mec=look["color"], mew=1.6)


def _above_zero(line: Line, log: str) -> Line:
    """Leave out what has no logarithm."""
    kept = [
        index
        for index, (x, y) in enumerate(line.points)
        if (x > 0 or "x" not in log) and (y > 0 or "y" not in log)
    ]
    halves = [line.half_widths[index] for index in kept] if line.half_widths else ()
    return Line([line.points[index] for index in kept], halves, line.best)


def _scale(axes: Axes, lines: Mapping[str, Line], log: str) -> None:
    """Set logarithmic scales, and plain numbers at the ticks."""
    for letter, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        axis.set_major_formatter(FuncFormatter(_plain))
        if letter not in log:
            continue
        place = "xy".index(letter)
        values = sorted({float(point[place]) for x in lines.values() for point in x.points})
        (axes.set_xscale if letter == "x" else axes.set_yscale)("log")
        decades = log10(values[-1] / values[0])
        axis.set_major_locator(LogLocator(subs=(1.0,) if decades >= 2 else (1.0, 2.0, 5.0)))
        axis.set_minor_locator(NullLocator())
        room = _WIDTH * 0.8 / max(decades, 1e-9)
        if letter == "x" and all(room * log10(b / a) >= _TICK for a, b in pairwise(values)):
            axis.set_ticks(values)  # such as the rates of a sweep
        axis.set_major_formatter(FuncFormatter(_power))


def _plain(value: float, place: int) -> str:
    del place
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _power(value: float, place: int) -> str:
    del place
    return f"{value:,g}" if 0.009 < value < 99_999 else scientific(value)


def _add_names(figure: Figure, axes: Axes) -> None:
    """Write the names of the series below, in as many columns as fit; of very many the first."""
    handles, names = axes.get_legend_handles_labels()
    if len(names) > _MOST_NAMES:
        names[_MOST_NAMES - 1] = f"and {len(names) - _MOST_NAMES + 1} more"
        handles, names = handles[:_MOST_NAMES], names[:_MOST_NAMES]
    names = [_shorten(name, 44) for name in names]
    columns = min(len(names), max(1, 80 // (max(map(len, names)) + 8)))
    figure.legend(handles, names, loc="outside lower left", ncols=columns, handlelength=3)
    figure.set_figheight(figure.get_figheight() + 0.2 * -(-len(names) // columns))


def _shorten(name: str, most: int) -> str:
    """Cut a name in its middle: its end tells it apart."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-(most - most // 2 - 1) :]}"
