"""Where a grid stands: the best rate of every cell, its figure, and which runs are wanted next."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import fmean, stdev

from parsenet.errors import ConfigError, suggest
from parsenet.lab.grid import Grid, Plan
from parsenet.lab.grid_file import Cell, Score
from parsenet.lab.results import Result

WORKS = 0.9
"""Share of its cell's best score that a rate must reach to count as one that works."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds."""

    mean: float
    half_width: float | None
    """Half of the 95 % t-interval; None for a single seed."""
    count: int


@dataclass(frozen=True)
class Standing:
    """What is known of a cell."""

    cell: Cell
    sweep: Mapping[float, Sequence[Result]]
    """Runs of the sweep by rate, those that are there."""
    best_lr: float | None
    """Rate with the best mean over the sweep's seeds; None while there is no run."""
    runs: Sequence[Result]
    """Runs at the best rate, all seeds that are there."""
    is_swept: bool
    """Whether every rate was tried."""
    working: tuple[float, ...]
    """Rates around the best, without a gap, that did not collapse and reached `WORKS` of its
    score in the sweep."""

    @property
    def decades(self) -> float | None:
        """Return log10 of the highest over the lowest working rate; None where none works."""
        return math.log10(self.working[-1] / self.working[0]) if self.working else None


def figure(result: Result, score: Score) -> float:
    """Return the figure that a run is ranked by, in [0, 1]; 0 where nothing was scored.

    Raises:
        ConfigError: a class of the score is none of the data's.
    """
    check_classes(score, result["class_iou"])
    values = (
        [result["class_iou"][name] for name in score.classes]
        if score.classes
        else [result["scores"][score.metric]]
    )
    known = [value for value in values if value is not None]
    return fmean(known) if known else 0.0


def check_classes(score: Score, known: Collection[str]) -> None:
    """Refuse classes of a score that the data do not have.

    Args:
        score: what cells are ranked by.
        known: classes of the data.

    Raises:
        ConfigError: one of them is unknown.
    """
    for name in score.classes:
        if name not in known:
            raise ConfigError(
                f"`score.classes` must name classes of the data, got '{name}'. "
                f"{suggest(name, known)}"
            )


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of some runs and its 95 % t-interval."""
    if len(values) < 2:
        return Estimate(values[0] if values else math.nan, None, len(values))
    from scipy.stats import t

    width = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return Estimate(fmean(values), width, len(values))


def finished(grid: Grid, results: Mapping[str, Result]) -> dict[str, Result]:
    """Return the runs that count: not those that failed, nor those made with another default.

    Args:
        grid: what was asked for.
        results: lines of a results file by key.
    """
    known = {key: result for key, result in results.items() if "failed" not in result}
    for plan in grid.plans():
        if plan.key in known and not plan.options.agree_with(known[plan.key]["config"]):
            del known[plan.key]
    return known


def standing(grid: Grid, cell: Cell, results: Mapping[str, Result]) -> Standing:
    """Look at the runs of a cell.

    Args:
        grid: what was asked for.
        cell: which of its cells.
        results: finished runs by key.
    """

    def runs_at(lr: float, seeds: Collection[int]) -> list[Result]:
        keys = (grid.plan(cell, lr, seed).key for seed in seeds)
        return [results[key] for key in keys if key in results]

    sweep = {lr: runs_at(lr, grid.sweep_seeds) for lr in grid.lrs}
    means = {
        lr: fmean(figure(run, grid.score) for run in runs) for lr, runs in sweep.items() if runs
    }
    best = max(means, key=lambda lr: means[lr], default=None)
    works = [
        lr
        for lr, mean in means.items()
        if best is not None
        and mean >= WORKS * means[best]
        and not any(run["collapsed"] for run in sweep[lr])
    ]
    return Standing(
        cell,
        {lr: runs for lr, runs in sweep.items() if runs},
        best,
        runs_at(best, grid.seeds) if best is not None else [],
        all(len(runs) == len(grid.sweep_seeds) for runs in sweep.values()),
        _around(best, works, list(means)),
    )


def _around(
    best: float | None, works: Collection[float], tried: Sequence[float]
) -> tuple[float, ...]:
    """Return the rates that work up to the next on either side of the best that does not."""
    if best not in works:
        return ()
    middle = tried.index(best)
    below = takewhile(works.__contains__, reversed(tried[:middle]))
    above = takewhile(works.__contains__, tried[middle:])
    return (*reversed(list(below)), *above)


def wanted(
    grid: Grid,
    results: Mapping[str, Result],
    given_up: Collection[str],
    under_way: Collection[str] = (),
) -> list[Plan]:
    """List the runs that can be made now: the sweep, then further seeds at the best rates.

    Args:
        grid: what was asked for.
        results: finished runs by key.
        given_up: keys of runs that failed; they are not wanted again.
        under_way: keys of runs that are being made; their cells' best rates are not known yet.
    """
    known = {*results, *given_up}
    plans = [plan for plan in grid.sweep() if plan.key not in known]
    open_cells = {plan.cell for plan in plans}
    for cell in grid.cells:
        best = None if cell in open_cells else standing(grid, cell, results).best_lr
        if best is not None:
            later = (grid.plan(cell, best, seed) for seed in grid.seeds)
            plans += [plan for plan in later if plan.key not in known]
    each = {plan.key: plan for plan in plans}  # cells of equal options share their runs
    return [plan for key, plan in each.items() if key not in under_way]
