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
from itertools import groupby
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
        """Return every run by its key; `docs/ablations.md` lists the names in it."""
        results: dict[str, Record] = {}
        if not self.path.is_file():
            return results
        *lines, _torn = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, start=1):
            try:
                result = json.loads(line)
                _, results[result["key"]] = result["inputs"], result
            except (ValueError, TypeError, KeyError):
                raise ConfigError(
                    f"Line {number} of '{self.path}' must be the result of a run with its "
                    f"`inputs`, got '{line[:60].decode(errors='replace')}'. Remove the line, and "
                    "that run is made again; `python data_tools/convert_results.py` converts lines "
                    "of an earlier version."
                ) from None
        return results

    def add(self, result: Record) -> None:
        """Add a run, made of what JSON knows: see `plain`."""
        line = (json.dumps(result, allow_nan=False) + "\n").encode()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as file:
            file.truncate(self.path.read_bytes().rfind(b"\n") + 1)
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(file.fileno())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Refuse to work beside another runner; the system frees what a dead one held."""
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


def plain(value: Record) -> Record:
    """Return a value as JSON gives it back: nan and infinity are None, tuples are lists."""
    given: Record = json.loads(json.dumps(value), parse_constant=lambda name: None)
    return given


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
    working: Sequence[float]
    """Rates around the best, without a gap, that did not collapse and reached `WORKS` of its
    score in the sweep."""


def figure(result: Record, score: Score) -> float:
    """Return the figure that a run is ranked by, in [0, 1]; 0 where nothing was scored."""
    check_classes(score, result["class_iou"])
    values = [result["class_iou"][name] for name in score.classes]
    values = values if score.classes else [result["scores"][score.metric]]
    return fmean([value for value in values if value is not None] or [0.0])


def check_classes(score: Score, known: Collection[str]) -> None:
    """Refuse classes of a score that are not among those known of the data."""
    for name in score.classes:
        if name not in known:
            raise ConfigError(
                f"`score.classes` must name classes of the data, got '{name}'. "
                f"{suggest(name, known)}"
            )


def estimate(values: Sequence[float]) -> Record:
    """Return the `mean` of some runs, the `half_width` of its 95 % t-interval, and `num_runs`.

    The mean is None where there is no run, the half width where there is one.
    """
    count, width = len(values), None
    if count > 1:
        from scipy.stats import t

        width = float(t.ppf(0.975, count - 1)) * stdev(values) / math.sqrt(count)
    return {"mean": fmean(values) if values else None, "half_width": width, "num_runs": count}


def identify(grid: Grid, file: ResultsFile) -> Grid:
    """Put into the keys of a grid what its data and weights are, by what recorded runs say of them.

    Nothing needs to be at hand; what is, is looked at and must be the same as recorded.
    """
    hashes = {plan.key.partition("-")[0] for plan in grid.plans()}
    known: dict[str, set[str]] = defaultdict(set)
    for key, result in file.read().items():
        if key.partition("-")[0] in hashes:
            for name, fingerprint in result["inputs"].items():
                known[name].add(fingerprint)

    def inputs(options: Options) -> dict[str, str | None]:
        found = read_inputs(options, required=False)
        for name in found:
            if found[name] is None and len(known[name]) > 1:
                raise ConfigError(
                    f"'{file.path}' must hold runs with one '{name}', got {len(known[name])} of "
                    "that name and other content. Tell which by `--data.root DIR` and "
                    "`--model.network.weights FILE`."
                )
            found[name] = found[name] or next(iter(known[name]), None)
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
    """Look at the runs of a cell, by key; those that failed do not count."""

    def runs_at(lr: float, seeds: Sequence[int]) -> list[Record]:
        runs = (results.get(grid.plan(cell, lr, seed).key) for seed in seeds)
        return [run for run in runs if run is not None and "failed" not in run]

    def works(lr: float) -> bool:
        is_high = means[lr] >= WORKS * max(means.values())
        return is_high and not any(run["collapsed"] for run in sweep[lr])

    sweep = {lr: runs for lr in grid.lrs if (runs := runs_at(lr, grid.sweep_seeds))}
    means = {lr: fmean(figure(run, grid.score) for run in runs) for lr, runs in sweep.items()}
    best = max(means, key=lambda lr: means[lr], default=None)
    stretches = [list(lrs) for are_good, lrs in groupby(means, works) if are_good]
    return Standing(
        cell,
        sweep,
        best,
        runs_at(best, grid.seeds) if best is not None else [],
        next((lrs for lrs in stretches if best in lrs), []),
    )


def wanted(
    grid: Grid, results: Mapping[str, Record], under_way: Collection[str] = ()
) -> list[Plan]:
    """List the runs that can be made now: the sweep, then further seeds at the best rates.

    Args:
        grid: what was asked for.
        results: runs by key; those that failed are not wanted again.
        under_way: keys of runs that are being made; their cells' best rates are not known yet.
    """
    plans = [plan for plan in grid.sweep() if plan.key not in results]
    open_cells = {plan.cell for plan in plans}
    for cell in grid.cells:
        best = None if cell in open_cells else standing(grid, cell, results).best_lr
        if best is not None:
            later = (grid.plan(cell, best, seed) for seed in grid.seeds)
            plans += [plan for plan in later if plan.key not in results]
    each = {plan.key: plan for plan in plans}  # cells of equal options share their runs
    return [plan for key, plan in each.items() if key not in under_way]
