"""Makes the runs of a grid that are not in its results file yet."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import wait
from pathlib import Path

from parsenet.errors import ParseNetError
from parsenet.lab.grid import Grid
from parsenet.lab.results import Result, ResultsFile, plain
from parsenet.lab.screen import Screen
from parsenet.lab.standings import check_classes, figure, finished, wanted
from parsenet.lab.workers import TRIES, Done, Event, Failed, Refused, Worker
from parsenet.reports.tables import scientific


class Runner:
    """Hands runs to workers and writes down what comes back.

    Little is lost when it is killed: a result is on disk before the next run begins, and the state
    of a run under way every few minutes.

    Args:
        grid: what to run.
        file: where results are, and go.
        workers: who makes the runs.
        screen: shows where it stands.
    """

    def __init__(
        self, grid: Grid, file: ResultsFile, workers: Sequence[Worker], screen: Screen
    ) -> None:
        self.grid = grid
        self.file = file
        self.workers = workers
        self.screen = screen
        # What failed the last time may have been the machine's fault.
        self.results = finished(grid, file.read())
        self.given_up: dict[str, Result] = {}
        self._tries: Counter[str] = Counter()

    def run(self) -> dict[str, Result]:
        """Make all runs; return every result of the file by key, failed ones among them.

        Raises:
            ParseNetError: something the user has to mend, before anything else is tried.
        """
        try:
            self._assign()
            while any(worker.plan for worker in self.workers):
                busy = [worker for worker in self.workers if worker.plan]
                wait([worker.connection for worker in busy], timeout=0.5)
                for worker in busy:
                    self._handle(worker)
                self._show()
        finally:
            for worker in self.workers:
                worker.close()
        return self.results | self.given_up

    def _handle(self, worker: Worker) -> None:
        event: Event | None = worker.next_event()
        plan = worker.plan
        assert plan is not None
        if isinstance(event, Refused):
            raise ParseNetError(event.reason)
        if isinstance(event, Done):
            self._keep(worker, event.result)
        elif isinstance(event, Failed):
            self._tries[plan.key] += 1
            if self._tries[plan.key] < TRIES:
                self.screen.say(f"{describe(worker)}: {event.reason}. Once more.")
                worker.replace()
                worker.give(plan)
                return
            self.screen.say(f"{describe(worker)}: {event.reason}. Given up.")
            self._keep(worker, {"key": plan.key, "failed": event.reason})
            worker.replace()
        else:
            return
        worker.plan = None
        self._assign()

    def _keep(self, worker: Worker, result: Result) -> None:
        plan = worker.plan
        assert plan is not None
        cell, options = plan
        place = {
            "row": cell.row, "column": cell.column, "lr": options.optim.lr, "seed": options.seed,
        }  # fmt: skip
        result = plain({**place, **result, **place})
        self.file.add(result)
        if "failed" in result:
            self.given_up[plan.key] = result
            return
        options.state_in(worker.out_dir).unlink(missing_ok=True)
        self.results[plan.key] = result
        self.screen.add(result["seconds"])
        collapse = f", collapsed: {result['reason']}" if result["collapsed"] else ""
        self.screen.say(
            f"{describe(worker)}: {100 * figure(result, self.grid.score):.2f} % in "
            f"{result['seconds']:.0f} s{collapse}"
        )

    def _assign(self) -> None:
        """Give idle workers the next runs."""
        under_way = {worker.plan.key for worker in self.workers if worker.plan}
        idle = [worker for worker in self.workers if not worker.plan]
        plans = wanted(self.grid, self.results, self.given_up, under_way)
        for worker, plan in zip(idle, plans, strict=False):
            worker.give(plan)
        self._show()

    def _show(self) -> None:
        lines = [
            f"{describe(worker)}: {worker.progress.describe()} ({worker.device})"
            for worker in self.workers
            if worker.plan
        ]
        self.screen.show(self.grid, self.results, len(self.given_up), lines)


def describe(worker: Worker) -> str:
    """Name the run that a worker is at."""
    assert worker.plan is not None
    cell, options = worker.plan
    return f"{cell.row} / {cell.column}, lr {scientific(options.optim.lr)}, seed {options.seed}"


def find_devices(name: str) -> list[str]:
    """List the devices to use, one worker each.

    Args:
        name: `auto` for every GPU, or the CPU where there is none; or names such as
            `cuda:0,cuda:1`. `cpu,cpu` is two workers that share the cores.

    Raises:
        ConfigError: a device is not there.
    """
    from parsenet.hardware import choose_device

    if name != "auto":
        return [str(choose_device(part.strip())) for part in name.split(",")]
    import torch

    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu"]


def count_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def run_grid(grid: Grid, file: ResultsFile, out_dir: Path, devices: str) -> dict[str, Result]:
    """Make the runs of a grid that are not in its results file yet.

    Args:
        grid: what to run.
        file: where results are, and go.
        out_dir: folder for sample labels and for the states of runs under way.
        devices: see `find_devices`.

    Returns:
        every result of the file by key.

    Raises:
        ParseNetError: something the user has to mend.
    """
    from parsenet.data.build import taxonomy_of

    with file.alone(), Screen() as screen:
        known = finished(grid, file.read())
        if not wanted(grid, known, ()):
            return known
        for options in grid.cells.values():  # now, not when the first run has come to its end
            check_classes(grid.score, taxonomy_of(options.data).names)
        chosen = find_devices(devices)
        threads = max(1, count_cores() // len(chosen))
        workers = [Worker(device, threads, out_dir) for device in chosen]
        return Runner(grid, file, workers, screen).run()
