"""The table that is drawn while a grid runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from parsenet.lab.grid import Grid
from parsenet.lab.grid_file import Cell
from parsenet.lab.results import Result
from parsenet.lab.standings import Standing, estimate, figure, standing
from parsenet.reports.tables import scientific

_log = logging.getLogger(__name__)

_EVERY = 1.0
"""Seconds between two drawings."""


class Screen:
    """A live table on standard error; in a log file the lines of the runner are enough."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._drawn = 0.0
        self._seconds: list[float] = []
        self._shown: tuple[Grid, Mapping[str, Result], int] | None = None

    def __enter__(self) -> Screen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            if self._shown is not None:  # what stays on the screen is how it ended
                self._draw(*self._shown, lines=())
            self._live.stop()

    def add(self, seconds: float) -> None:
        """Count a finished run, for the time left."""
        self._seconds.append(seconds)

    def say(self, line: str) -> None:
        """Write a line, above the table where there is one."""
        if self._live is None:
            _log.info("%s", line)
        else:
            self._live.console.print(line, highlight=False, markup=False)

    def show(
        self, grid: Grid, results: Mapping[str, Result], failed: int, lines: Sequence[str]
    ) -> None:
        """Draw the table, at most once a second.

        Args:
            grid: rows and columns.
            results: finished runs by key.
            failed: runs that were given up.
            lines: what the workers are at.
        """
        if self._live is None:
            return
        self._shown = (grid, results, failed)
        if time.monotonic() - self._drawn >= _EVERY:
            self._drawn = time.monotonic()
            self._draw(grid, results, failed, lines)

    def _draw(
        self, grid: Grid, results: Mapping[str, Result], failed: int, lines: Sequence[str]
    ) -> None:
        assert self._live is not None
        stands = {cell: standing(grid, cell, results) for cell in grid.cells}
        done = count_done(stands)
        seconds = None
        if self._seconds and lines:
            each = sum(self._seconds) / len(self._seconds) / len(lines)
            seconds = each * (grid.num_runs - done - failed)
        bar = draw_bar(done, failed, grid.num_runs, seconds)
        title = f"{grid.title}: {grid.score.title}, % (seeds, learning rate); * all collapsed"
        below = [Text(line) for line in lines]
        self._live.update(Group(Text(title), draw_table(grid, stands), bar, *below), refresh=True)


def draw_bar(done: int, failed: int, total: int, seconds: float | None) -> Table:
    """Draw how much of a grid is done, and the time left.

    Args:
        done: runs that are there.
        failed: runs that were given up.
        total: runs of the grid.
        seconds: time left; None where it is not known.
    """
    text = f"{done} of {total} runs done"
    text += f", {failed} failed" if failed else ""
    text += "" if seconds is None else f", about {timedelta(seconds=round(seconds))} left"
    bar = Table.grid(padding=(0, 1))
    bar.add_row(ProgressBar(total, done + failed, width=30), text)
    return bar


def count_done(stands: Mapping[Cell, Standing]) -> int:
    """Count the runs of a grid that are there."""
    total = 0
    for stand in stands.values():
        swept = {run["key"] for runs in stand.sweep.values() for run in runs}
        total += len(swept | {run["key"] for run in stand.runs})
    return total


def draw_table(grid: Grid, stands: Mapping[Cell, Standing]) -> Table:
    """Draw the cells' figures so far: mean over seeds at the best rate, per cent, and that rate."""
    table = Table()
    table.add_column("", overflow="fold")
    for column in grid.columns:
        table.add_column(column, justify="right", overflow="fold")
    for row in grid.rows:
        cells = []
        for column in grid.columns:
            stand = stands.get(Cell(row, column))
            if stand is None or stand.best_lr is None:
                cells.append("" if stand is None else "-")
                continue
            mean = estimate([figure(run, grid.score) for run in stand.runs]).mean
            star = "*" if all(run["collapsed"] for run in stand.runs) else ""
            cells.append(f"{100 * mean:.2f}{star} ({len(stand.runs)}, {scientific(stand.best_lr)})")
        table.add_row(row, *cells)
    return table
