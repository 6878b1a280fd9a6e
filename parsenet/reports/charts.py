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
    "figure.constrained_layout.h_pad": 0.1,  # inches
    "figure.constrained_layout.w_pad": 0.1,
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
    log: str = "",
    cover: Sequence[Number] = (),
) -> Figure | None:
    """Draw lines over a common x axis; None where there is no point to draw.

    Args:
        title: what is drawn.
        lines: each series by its name; those without points are left out.
        x_label: what x counts.
        log: axes with a logarithmic scale, `x`, `y` or `xy`; points at 0 and below are left out.
        cover: values that a y axis without logarithms holds at least, for charts to be compared.
    """
    tables = {name: table for name, x in lines.items() if len(table := _drawable(x, log))}
    if not tables:
        return None
    with style():
        figure, axes = _one_panel(title)
        for index, (name, table) in enumerate(tables.items()):
            look = _look(index) | ({"marker": ""} if len(table) > _MOST_MARKS else {})
            x, y, half = table.T
            axes.plot(x, y, **look, label=name)
            axes.fill_between(x, y - half, y + half, color=look["color"], alpha=0.15, lw=0)
            best = x == lines[name].best
            if best.any():
                axes.plot(x[best], y[best], "o", ms=11, mfc="none", mec=look["color"], mew=1.6)
        if cover:
            axes.update_datalim([(0, value) for value in cover], updatex=False)
        axes.set_xlabel(x_label)
        for letter, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
            if letter in log:
                values = [table[:, "xy".index(letter)] for table in tables.values()]
                log_scale(axes, letter, np.unique(np.concatenate(values)))
            else:
                axis.set_major_formatter(FuncFormatter(_write_tick))
        _add_names(figure, axes)
    return figure


def row_chart(
    title: str, rows: Sequence[str], series: Mapping[str, Sequence[tuple[Number, Number] | None]]
) -> Figure | None:
    """Draw values with their uncertainty over named places; None where there is no value.

    Args:
        title: what is drawn.
        rows: names of the places along the x axis.
        series: for every row a value and the half of its interval, or None where there is none.
    """
    if not any(pair for pairs in series.values() for pair in pairs):
        return None
    with style():
        figure, axes = _one_panel(title)
        for index, (name, pairs) in enumerate(series.items()):
            shift = 0.1 * (index - (len(series) - 1) / 2)  # intervals beside one another
            known = [(place + shift, *pair) for place, pair in enumerate(pairs) if pair]
            x, y, half = np.reshape(known, (-1, 3)).T
            axes.errorbar(x, y, half, **_look(index), label=name, capsize=3)
        letters = max(8, 84 // len(rows) - 2)
        broken = ["\n".join(wrap(row, letters, max_lines=3, placeholder="…")) for row in rows]
        axes.set_xticks(range(len(rows)), broken, rotation=90 if len(rows) > 10 else 0)
        axes.set_xlim(-0.5, len(rows) - 0.5)
        _add_names(figure, axes)
    return figure


def bar_chart(
    title: str,
    values: Mapping[str, float | None],
    x_label: str,
    colours: Sequence[tuple[int, int, int]] = (),
) -> Figure | None:
    """Draw a horizontal bar for each name; None where there is no value.

    Of more than `MOST` names the extremes are drawn, the lowest first.

    Args:
        title: what is drawn.
        values: one for each name, in their order; None where there is none.
        x_label: what the values are.
        colours: RGB in [0, 255] of each bar; empty for one colour.
    """
    names, numbers = [*values], [*values.values()]
    known = sorted((number, index) for index, number in enumerate(numbers) if number is not None)
    if not known:
        return None
    kept, half = [*range(len(values))], MOST // 2
    if len(values) > MOST:
        kept = [index for _, index in (*known[:half], *known[half:][-half:])]
        title += f" (the {half} lowest and {half} highest of {len(values)})"
    with style():
        figure, axes = _one_panel(title, 0.9 + 0.2 * len(kept))
        bars = axes.barh(
            range(len(kept)),
            [numbers[index] or 0.0 for index in kept],
            color=[np.divide(colours[index], 255) if colours else COLOURS[0] for index in kept],
            edgecolor="#444444",
            linewidth=0.5,
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
    row without ground truth is grey. Of more than `MOST` classes the most confused are drawn.

    Args:
        title: what is drawn.
        names: classes.
        counts: pixels by true and predicted class.
    """
    pixels = np.asarray(counts, np.float64)
    with np.errstate(invalid="ignore"):  # a class without ground truth has no shares
        shares = 100 * pixels / pixels.sum(1, keepdims=True)
    kept = [*range(len(names))]
    if len(names) > MOST:
        wrong = pixels.sum(0) + pixels.sum(1) - 2 * pixels.diagonal()
        kept = sorted(np.argsort(-wrong, kind="stable")[:MOST].tolist())
        title += f" (the {MOST} most confused of {len(names)} classes)"
    shares, shown = shares[np.ix_(kept, kept)], [_shorten(names[index], 24) for index in kept]
    side = 0.26 * len(kept) + 2
    with style():
        figure, grid = panels(1, 1, (max(4.0, side), max(3.0, side)))
        axes = grid[0, 0]
        axes.set_facecolor("#e3e6e9")
        # The square root keeps confusions of a few per cent visible.
        norm = PowerNorm(0.5, 0, 100)
        axes.pcolormesh(shares, cmap="Blues", norm=norm, edgecolors="#ffffff", linewidth=0.5)
        for row, column in np.argwhere(np.nan_to_num(shares) >= 0.5):
            share = shares[row, column]
            ink, middle = "#ffffff" if share > 30 else "#1c2126", (column + 0.5, row + 0.5)
            axes.text(*middle, f"{share:.0f}", size=7, color=ink, ha="center", va="center")
        ticks = np.arange(len(kept)) + 0.5
        axes.set_xticks(ticks, shown, rotation=60, ha="left", rotation_mode="anchor")
        axes.set_yticks(ticks, shown)
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.set(xlabel="prediction, % of the row", ylabel="ground truth", aspect="equal")
        axes.invert_yaxis()
        figure.suptitle(title, fontsize=11, fontweight="bold")
    return figure


def panels(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, Any]:
    """Make an empty figure, its size in inches, and its axes by row and column."""
    figure = Figure(size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def log_scale(axes: Axes, letter: str, values: np.ndarray) -> None:
    """Make the axis `x` or `y` logarithmic; few sorted values along x are marked themselves."""
    axes.set(**{f"{letter}scale": "log"})
    axis = axes.xaxis if letter == "x" else axes.yaxis
    decades = log10(values[-1] / values[0])
    axis.set_major_locator(LogLocator(subs=(1.0,) if decades >= 2 else (1.0, 2.0, 5.0)))
    axis.set_minor_locator(NullLocator())
    room = 0.8 * _WIDTH * np.diff(np.log10(values)) / max(decades, 1e-9)
    if letter == "x" and (room >= 0.5).all():  # inches
        axis.set_ticks(values)
    axis.set_major_formatter(FuncFormatter(_write_tick))


def style() -> AbstractContextManager[None]:
    """Set how charts look for the drawing within it."""
    return rc_context(_STYLE)


def write_chart(path: Path, figure: Figure) -> None:
    """Write a chart to an `.svg` or `.png`; the same chart has the same bytes."""
    write_bytes_atomically(path, _render(figure, path.suffix[1:]))


def svg_element(figure: Figure) -> Markup:
    """Turn a chart into an SVG element for a page, whose text can be searched and copied."""
    text = _render(figure, "svg").decode()
    return Markup(text[text.index("<svg") :])


def _render(figure: Figure, kind: str) -> bytes:
    content = io.BytesIO()
    names = {"svg": ("Date", "Creator", "Format", "Type"), "png": ("Software",)}[kind]
    with style():
        figure.savefig(content, format=kind, dpi=120, metadata=dict.fromkeys(names))
    return content.getvalue()


def _one_panel(title: str, height: float = _HEIGHT) -> tuple[Figure, Axes]:
    figure, axes = panels(1, 1, (_WIDTH, height))
    axes[0, 0].set_title(title)
    return figure, axes[0, 0]


def _look(index: int) -> dict[str, Any]:
    """Return colour, line and mark of a series."""
    line, mark = ("-", "--", "-.", ":")[index % 4], "osD^vPX*"[index % 8]
    return {"color": COLOURS[index % len(COLOURS)], "ls": line, "marker": mark, "ms": 4, "lw": 1.6}


def _drawable(line: Line, log: str) -> np.ndarray:
    """Return rows of x, y and half width, without those that have no logarithm."""
    halves = line.half_widths or [0.0] * len(line.points)
    table = np.reshape([(*p, h) for p, h in zip(line.points, halves, strict=True)], (-1, 3))
    for column, letter in enumerate("xy"):
        table = table[table[:, column] > 0] if letter in log else table
    return table.astype(np.float64)


def _write_tick(value: float, place: int) -> str:
    del place
    if value == int(value) and abs(value) < 1e7:
        return f"{value:,.0f}"
    return f"{value:g}" if 0.009 < abs(value) < 1e6 else scientific(value)


def _add_names(figure: Figure, axes: Axes) -> None:
    """Write the names of the series below, in as many columns as fit; of very many the first."""
    handles, names = axes.get_legend_handles_labels()
    if len(names) > _MOST_NAMES:
        names[_MOST_NAMES - 1] = f"and {len(names) - _MOST_NAMES + 1} more"
    handles, names = handles[:_MOST_NAMES], [_shorten(name, 44) for name in names[:_MOST_NAMES]]
    columns = min(len(names), max(1, 80 // (max(map(len, names)) + 8)))
    figure.legend(handles, names, loc="outside lower left", ncols=columns, handlelength=3)
    figure.set_figheight(figure.get_figheight() + 0.2 * -(-len(names) // columns))


def _shorten(name: str, most: int) -> str:
    """Cut a name in its middle: its end tells it apart."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-(most - most // 2 - 1) :]}"
