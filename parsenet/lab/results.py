"""The results of a grid: the file, the figure of every cell, and which runs are wanted next."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from statistics import fmean, stdev

from parsenet.errors import ConfigError, suggest
from parsenet.lab.grid import Cell, Grid, Plan, Score
from parsenet.lab.options import Options, Record, read_inputs

WORKS = 0.9
"""Share of its cell's best score that a rate must reach to count as one that works."""


class ResultsFile:
    """One line of JSON per finished run, only ever added to; the last line of a key counts.

    A line is added by a single write. What a killed machine left of one is no line yet (it has no
    end): readers pass over it, and the next writer cuts it off.

    Args:
        path: the file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Record]:
        """Return every run by its key; `docs/ablations.md` lists the names in it.

        Raises:
            ConfigError: a whole line is no result, or one that does not tell its data and weights.
        """
        results: dict[str, Record] = {}
        if not self.path.is_file():
            return results
        *lines, _torn = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, start=1):
            try:
                result = json.loads(line)
                results[result["key"]] = result
            except (ValueError, TypeError, KeyError):
                raise ConfigError(
                    f"Line {number} of '{self.path}' must be the result of a run, got "
                    f"'{line[:60].decode(errors='replace')}'. Remove the line; that run is made "
                    "again."
                ) from None
            if "inputs" not in result:
                raise ConfigError(
                    f"Line {number} of '{self.path}' must tell the data and weights of its run in "
                    "`inputs`, got a line of an earlier version. `python "
                    "data_tools/convert_results.py` adds them."
                )
        return results

    def add(self, result: Mapping[str, object]) -> None:
        """Add a run.

        Args:
            result: made of what JSON knows: see `plain`.
        """
        line = (json.dumps(result, allow_nan=False) + "\n").encode()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as file:
            file.truncate(self.path.read_bytes().rfind(b"\n") + 1)
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(file.fileno())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runners away while this one is at work; the system frees what a dead one held.

        Raises:
            ConfigError: another runner is at work.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            if sys.platform != "win32":
                import fcntl

                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise ConfigError(
                        f"'{self.path}' must be free, got another `parsenet ablate` at work on it. "
                        "Wait for it to end, or name another folder with `--out DIR`."
                    ) from None
                except OSError:
                    pass  # a file system without locks
            yield


def plain(value: object) -> object:
    """Return a value as JSON gives it back: nan and infinity are None, tuples are lists."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds."""

    mean: float | None
    """None where there is no run."""
    half_width: float | None
    """Half of the 95 % t-interval; None for a single seed."""
    num_runs: int


@dataclass(frozen=True)
class Standing:
    """What is known of a cell."""

    cell: Cell
    sweep: Mapping[float, Sequence[Record]]
    """Runs of the sweep by rate, those that are there."""
    best_lr: float | None
    """Rate with the best mean over the sweep's seeds; None while there is no run."""
    runs: Sequence[Record]
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


def figure(result: Record, score: Score) -> float:
    """Return the figure that a run is ranked by, in [0, 1]; 0 where nothing was scored.

    Raises:
        ConfigError: a class of the score is none of the data's.
    """
    check_classes(score, result["class_iou"])
    values = [result["class_iou"][name] for name in score.classes]
    values = values if score.classes else [result["scores"][score.metric]]
    known = [value for value in values if value is not None]
    return fmean(known) if known else 0.0


def check_classes(score: Score, known: Collection[str]) -> None:
    """Refuse classes of a score that are not among those known of the data.

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
        return Estimate(values[0] if values else None, None, len(values))
    from scipy.stats import t

    width = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return Estimate(fmean(values), width, len(values))


def identify(grid: Grid, file: ResultsFile) -> Grid:
    """Put into the keys of a grid what its data and weights are, by what recorded runs say of them.

    Nothing needs to be at hand; what is, is looked at and must be the same as recorded.

    Args:
        grid: what was asked for.
        file: results, of this grid and maybe others.

    Raises:
        ConfigError: the runs were made with different data or weights of the same name.
    """
    names = {plan.key.partition("-")[0] for plan in grid.plans()}
    known: dict[str, set[str]] = defaultdict(set)
    for key, result in file.read().items():
        if key.partition("-")[0] in names:
            for name, fingerprint in result["inputs"].items():
                known[name].add(fingerprint)

    def inputs(options: Options) -> dict[str, str]:
        found = read_inputs(options, required=False)
        for name in options.input_names:
            if name not in found and len(known[name]) > 1:
                raise ConfigError(
                    f"'{file.path}' must hold runs with one '{name}', got {len(known[name])} of "
                    "that name and other content. Tell which by `--data.root DIR` and "
                    "`--model.network.weights FILE`."
                )
            if name not in found and known[name]:
                (found[name],) = known[name]
        return found

    return grid.with_inputs(inputs)


def finished(grid: Grid, results: Mapping[str, Record]) -> dict[str, Record]:
    """Return the runs by key that count: not those that failed, nor made with another default."""
    known = {key: result for key, result in results.items() if "failed" not in result}
    for plan in grid.plans():
        if plan.key in known and not plan.options.agree_with(known[plan.key]["config"]):
            del known[plan.key]
    return known


def standing(grid: Grid, cell: Cell, results: Mapping[str, Record]) -> Standing:
    """Look at the finished runs of a cell.

    Args:
        grid: what was asked for.
        cell: which of its cells.
        results: finished runs by key.
    """

    def runs_at(lr: float, seeds: Collection[int]) -> list[Record]:
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
    results: Mapping[str, Record],
    given_up: Collection[str] = (),
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
