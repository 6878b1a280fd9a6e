"""Charts by matplotlib, as SVG or PNG: lines, points over names, bars and matrices.

Each function returns a `Figure` of its own, never one of pyplot's; `write_chart` makes a file of it
and `svg_element` a part of a page. Every series has a colour, a line and a mark of its own, so that
a chart reads in black and white too. Importing this imports matplotlib, which takes a while.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np
from cycler import cycler
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from parsenet.files import write_bytes_atomically
from parsenet.reports import tables

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, which colour-blind readers tell apart too."""

MOST = 40
"""Classes that a bar chart or a matrix shows at most; it says how many it leaves out."""

_MOST_NAMES, _MOST_MARKS = 16, 60
_WIDTH, _HEIGHT = 6.4, 3.2
_STYLE: dict[Any, Any] = {  # matplotlib types each of its keys
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "parsenet",  # the same chart has the same bytes
    "text.parse_math": False,  # a dollar in a name is a dollar
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dfe4e8",
    "legend.frameon": False,
    "lines.markersize": 4,
    "axes.prop_cycle": cycler(
        color=COLOURS, linestyle=["-", "--", "-.", ":", "-", "--", "-."], marker=[*"osD^vPX"]
    ),
}
styled = rc_context(_STYLE)
"""Decorator of a function that draws: it sets how charts look."""


class Line(NamedTuple):
    """A series of a line chart."""

    points: Sequence[tuple[float, float]]
    """(x, y), in the order in which they are joined."""
    best: float | None = None
    """x of the point that gets a ring, such as the best learning rate."""


@styled
def line_chart(
    title: str,
    lines: Mapping[str, Line],
    x_label: str,
    log: str = "",
    cover: Sequence[int | float] = (),
) -> Figure | None:
    """Draw lines over a common x axis; None where there is no point to draw.

    Args:
        title: what is drawn.
        lines: each series by its name; those without points are left out.
        x_label: what x counts.
        log: axes with a logarithmic scale, `x`, `y` or `xy`; points at 0 and below are left out.
        cover: values that the y axis holds at least, for charts to be compared.
    """
    figure, axes = _one_panel(title)
    for name, line in lines.items():
        table = np.reshape(np.asarray(line.points, np.float64), (-1, 2))
        table = table[(table[:, ["xy".index(letter) for letter in log]] > 0).all(1)]
        if not len(table):
            continue
        (drawn,) = axes.plot(*table.T, label=name)
        if len(table) > _MOST_MARKS:
            drawn.set_marker("")
        best = table[table[:, 0] == line.best].T
        axes.plot(*best, "o", ms=11, mfc="none", color=drawn.get_color())
    if not axes.lines:
        return None
    if cover:
        axes.update_datalim([(0, value) for value in cover], updatex=False)
    axes.set_xlabel(x_label)
    for letter in log:
        log_scale(axes, letter)
    _add_names(figure, axes)
    return figure


@styled
def row_chart(
    title: str, rows: Sequence[str], series: Mapping[str, Sequence[tuple[float, float] | None]]
) -> Figure | None:
    """Draw values with their uncertainty over named places; None where there is no value.

    Args:
        title: what is drawn.
        rows: names of the places along the x axis.
        series: for every row a value and the half of its interval, or None where there is none.
    """
    if not any(pair for pairs in series.values() for pair in pairs):
        return None
    figure, axes = _one_panel(title)
    for index, (name, pairs) in enumerate(series.items()):
        shift = 0.1 * (index - (len(series) - 1) / 2)  # intervals beside one another
        known = [(place + shift, *pair) for place, pair in enumerate(pairs) if pair]
        axes.errorbar(*np.reshape(known, (-1, 3)).T, label=name, capsize=3)
    letters = max(8, 84 // len(rows) - 2)
    broken = ["\n".join(wrap(row, letters, max_lines=3, placeholder="…")) for row in rows]
    axes.set_xticks(range(len(rows)), broken, rotation=90 if len(rows) > 10 else 0)
    _add_names(figure, axes)
    return figure


@styled
def bar_chart(title: str, values: Mapping[str, float | None]) -> Figure | None:
    """Draw shares in [0, 1] as horizontal bars in per cent; None where there is no value.

    Args:
        title: what is drawn; of more than `MOST` names the lowest are drawn, and it says so.
        values: one for each name, in their order; None where there is none.
    """
    known = sorted((value, name) for name, value in values.items() if value is not None)
    if not known:
        return None
    if len(values) > MOST:
        title += f" (the {MOST} lowest of {len(values)})"
        values = {name: value for value, name in known[:MOST]}
    figure, axes = _one_panel(title, 0.9 + 0.2 * len(values))
    bars = axes.barh(range(len(values)), [100 * (value or 0) for value in values.values()])
    axes.bar_label(bars, [tables.percent(value) for value in values.values()], padding=3)
    axes.set_yticks(range(len(values)), [_shorten(name, 28) for name in values])
    axes.invert_yaxis()
    axes.margins(x=0.08, y=0.01)
    return figure


@styled
def matrix_chart(title: str, names: Sequence[str], counts: Sequence[Sequence[int]]) -> Figure:
    """Draw a confusion matrix: rows are the ground truth, columns the prediction.

    A cell is as dark as its share of the row, so that small classes show as well as large ones; a
    row without ground truth is grey. Of more than `MOST` classes the most confused are drawn.

    Args:
        title: what is drawn.
        names: classes.
        counts: pixels by true and predicted class.
    """
    pixels = np.asarray(counts, np.float64)
    with np.errstate(invalid="ignore"):  # a class without ground truth has no shares
        shares = 100 * pixels / pixels.sum(1, keepdims=True)
    wrong = pixels.sum(0) + pixels.sum(1) - 2 * pixels.diagonal()
    kept = np.sort(np.argsort(-wrong, kind="stable")[:MOST])
    if len(names) > MOST:
        title += f" (the {MOST} most confused of {len(names)} classes)"
    shares, side = shares[np.ix_(kept, kept)], max(3.5, 0.26 * len(kept) + 2)
    figure, ((axes,),) = panels(1, 1, (side, side))
    axes.set_facecolor("#e3e6e9")
    # The square root keeps confusions of a few per cent visible.
    axes.pcolormesh(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 100), edgecolors="white", lw=0.5)
    for row, column in np.argwhere(np.nan_to_num(shares) >= 0.5):
        share, place = shares[row, column], (column + 0.5, row + 0.5)
        ink = "white" if share > 30 else "black"
        axes.text(*place, f"{share:.0f}", size=7, color=ink, ha="center", va="center")
    ticks, shown = np.arange(len(kept)) + 0.5, [_shorten(names[index], 24) for index in kept]
    axes.set_xticks(ticks, shown, rotation=60, ha="left", rotation_mode="anchor")
    axes.set_yticks(ticks, shown)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.grid(visible=False)
    axes.set(xlabel="prediction, % of the row", ylabel="ground truth", aspect="equal")
    axes.invert_yaxis()
    figure.suptitle(title)
    return figure


def panels(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, Any]:
    """Make an empty figure, its size in inches, and its axes by row and column."""
    figure = Figure(size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def log_scale(axes: Axes, letter: str) -> None:
    """Make the axis `x` or `y` of what was drawn logarithmic, its numbers written out."""
    axes.set(**{f"{letter}scale": "log"})
    axis, limits = (axes.xaxis, axes.get_xlim) if letter == "x" else (axes.yaxis, axes.get_ylim)
    low, high = limits()
    axis.set_major_locator(LogLocator(subs=(1.0,) if high / low >= 100 else (1.0, 2.0, 5.0)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))


def write_chart(path: Path, figure: Figure) -> None:
    """Write a chart to an `.svg` or `.png`; the same chart has the same bytes."""
    write_bytes_atomically(path, _render(figure, path.suffix[1:]))


def svg_element(figure: Figure) -> Markup:
    """Turn a chart into an SVG element for a page, whose text can be searched and copied."""
    text = _render(figure, "svg").decode()
    return Markup(text[text.index("<svg") :])


@styled
def _render(figure: Figure, kind: str) -> bytes:
    content = io.BytesIO()
    names = {"svg": ("Date", "Creator", "Format", "Type"), "png": ("Software",)}[kind]
    figure.savefig(content, format=kind, dpi=120, metadata=dict.fromkeys(names))
    return content.getvalue()


def _one_panel(title: str, height: float = _HEIGHT) -> tuple[Figure, Axes]:
    figure, ((axes,),) = panels(1, 1, (_WIDTH, height))
    axes.set_title(title)
    return figure, axes


def _add_names(figure: Figure, axes: Axes) -> None:
    """Write the names of the series below, in as many columns as fit; of very many the first."""
    handles, names = axes.get_legend_handles_labels()
    if len(names) > _MOST_NAMES:
        names[_MOST_NAMES - 1 :] = [f"and {len(names) - _MOST_NAMES + 1} more"]
    names = [_shorten(name, 44) for name in names]
    columns = min(len(names), max(1, 80 // (max(map(len, names)) + 8)))
    handles = handles[: len(names)]
    figure.legend(handles, names, loc="outside lower left", ncols=columns, handlelength=3)
    figure.set_figheight(figure.get_figheight() + 0.2 * -(-len(names) // columns))


def _shorten(name: str, most: int) -> str:
    """Cut a name in its middle: its end tells it apart."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-(most - most // 2 - 1) :]}"
