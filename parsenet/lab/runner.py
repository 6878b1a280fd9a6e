"""Makes the runs of a grid that are not in its results file yet."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from parsenet.errors import ParseNetError
from parsenet.lab.grid import Grid, Plan
from parsenet.lab.options import Options, Record
from parsenet.lab.results import ResultsFile, check_classes, figure, finished, plain, wanted
from parsenet.reports.tables import scientific

if TYPE_CHECKING:
    from parsenet.lab.train import Bench

_log = logging.getLogger(__name__)

TRIES: Final = 2
"""Times that a run is begun before it is given up."""

Make = Callable[[str, Path, Options], Record]
"""Makes a run on a device, with a folder for states and samples; returns what is kept of it."""


class Workers(ABC):
    """Makes runs somewhere: `LocalWorkers` here; a cluster's scheduler can take its place.

    Attributes:
        size: runs that can be under way at once.
    """

    size: int

    @abstractmethod
    def start(self, options: Options) -> Future[Record]:
        """Begin a run; the result holds `failed` with the reason where it broke off.

        The future raises a `ParseNetError` for what the user has to mend, and what it likes when
        the process died.
        """

    @abstractmethod
    def close(self) -> None:
        """End the runs under way."""


class LocalWorkers(Workers):
    """Processes of this machine, one per device.

    Args:
        devices: such as `cpu` or `cuda:1`; one may be named more than once.
        out_dir: folder for predicted labels and for the states of runs under way.
        make: what makes a run; tests put something quicker here.
    """

    def __init__(self, devices: list[str], out_dir: Path, make: Make | None = None) -> None:
        self.size = len(devices)
        threads = max(1, count_cores() // self.size)
        self._workers = [_Worker(device, threads, out_dir, make or make_run) for device in devices]

    def start(self, options: Options) -> Future[Record]:
        """Begin a run on a device that is free."""
        return next(worker for worker in self._workers if worker.is_free).start(options)

    def close(self) -> None:
        """End the processes, in the middle of a run if need be."""
        for worker in self._workers:
            worker.close()


class _Worker:
    """A pool of one process, so that one that dies takes no other run with it.

    Starting it takes seconds, for the imports; so it stays for the whole grid, until a run fails.
    """

    def __init__(self, device: str, threads: int, out_dir: Path, make: Make) -> None:
        self._device, self._threads, self._out_dir, self._make = device, threads, out_dir, make
        self._pool: ProcessPoolExecutor | None = None
        self._lifeline: Connection | None = None
        self._future: Future[Record] | None = None

    @property
    def is_free(self) -> bool:
        return self._future is None or self._future.done()

    def start(self, options: Options) -> Future[Record]:
        before = self._future
        if before is not None and (before.exception() or "failed" in before.result()):
            self.close()
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            theirs, self._lifeline = context.Pipe(duplex=False)
            self._pool = ProcessPoolExecutor(1, context, _begin, (theirs, self._threads))
        self._future = self._pool.submit(_try, self._make, self._device, self._out_dir, options)
        return self._future

    def close(self) -> None:
        if self._pool is not None and self._lifeline is not None:
            self._lifeline.close()
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = None


def _begin(lifeline: Connection, threads: int) -> None:
    """Prepare a worker's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process in front
    # A spawned process would spawn its data loaders too, with seconds of imports for each run.
    multiprocessing.set_start_method(None, force=True)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    """End this process when the other end of the pipe is closed: by `close`, or by a death."""
    with suppress(EOFError, OSError):
        lifeline.recv()
    os._exit(1)


def _try(make: Make, device: str, out_dir: Path, options: Options) -> Record:
    """Make a run; whatever happens in it must not end the grid but for what concerns all runs."""
    try:
        return make(device, out_dir, options)
    except ParseNetError as error:
        raise ParseNetError(str(error)) from None  # its class may not come through the pipe
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        return {"failed": f"{type(error).__name__}: {error}"}


def make_run(device: str, out_dir: Path, options: Options) -> Record:
    """Train and score: what a worker's process does."""
    return _bench(device, out_dir).run(options)


@cache
def _bench(device: str, out_dir: Path) -> Bench:
    from parsenet.lab.train import Bench, Place, quiet_lightning

    quiet_lightning()
    return Bench(Place(device, out_dir))


class Runner:
    """Hands runs to workers and writes down what comes back.

    Little is lost when it is killed: a result is on disk before the next run begins, and the state
    of a run under way every few minutes.

    Args:
        grid: what to run, with its inputs.
        file: where results are, and go.
        out_dir: folder with the states of runs under way.
        workers: who makes the runs.
    """

    def __init__(self, grid: Grid, file: ResultsFile, out_dir: Path, workers: Workers) -> None:
        self.grid = grid
        self.file = file
        self.out_dir = out_dir
        self.workers = workers
        # What failed the last time may have been the machine's fault.
        self.results = finished(grid, file.read())
        self.given_up: dict[str, Record] = {}
        self._tries: Counter[str] = Counter()

    def run(self) -> dict[str, Record]:
        """Make all runs; return every result of the file by key, failed ones among them.

        Raises:
            ParseNetError: something the user has to mend, before anything else is tried.
        """
        running: dict[Future[Record], Plan] = {}
        keys = {plan.key for plan in self.grid.plans()}
        console = Console(stderr=True)
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("runs"), TimeRemainingColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task("", total=self.grid.num_runs)
            while True:
                under_way = [plan.key for plan in running.values()]
                plans = wanted(self.grid, self.results, self.given_up, under_way)
                for plan in plans[: self.workers.size - len(running)]:
                    running[self.workers.start(plan.options)] = plan
                bar.update(task, completed=len(keys & {*self.results, *self.given_up}))
                if not running:
                    return self.results | self.given_up
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    line = self._take(running.pop(future), future)
                    if bar.disable:
                        _log.info("%s", line)
                    else:
                        bar.console.print(line, highlight=False, markup=False)

    def _take(self, plan: Plan, future: Future[Record]) -> str:
        """Keep what a run came to; return what there is to say of it."""
        try:
            result = future.result()
        except BrokenProcessPool:
            result = {"failed": "its process died (memory ran out?)"}
        options = plan.options
        name = f"{' / '.join(plan.cell)}, lr {scientific(options.optim.lr)}, seed {options.seed}"
        self._tries[plan.key] += 1
        if "failed" in result and self._tries[plan.key] < TRIES:
            return f"{name}: {result['failed']}. Once more."
        place = {"row": plan.cell.row, "column": plan.cell.column, "lr": options.optim.lr}
        place |= {"seed": options.seed, "key": plan.key, "inputs": options.inputs}
        result = {name: plain(value) for name, value in (place | result | place).items()}
        self.file.add(result)
        if "failed" in result:
            self.given_up[plan.key] = result
            return f"{name}: {result['failed']}. Given up."
        options.state_in(self.out_dir).unlink(missing_ok=True)
        self.results[plan.key] = result
        collapse = f", collapsed: {result['reason']}" if result["collapsed"] else ""
        score = 100 * figure(result, self.grid.score)
        return f"{name}: {score:.2f} % in {result['seconds']:.0f} s{collapse}"


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


def run_grid(grid: Grid, file: ResultsFile, out_dir: Path, devices: str) -> dict[str, Record]:
    """Make the runs of a grid that are not in its results file yet.

    Args:
        grid: what to run, with its inputs.
        file: where results are, and go.
        out_dir: folder for sample labels and for the states of runs under way.
        devices: see `find_devices`.

    Returns:
        every result of the file by key.

    Raises:
        ParseNetError: something the user has to mend.
    """
    from parsenet.data.build import taxonomy_of

    with file.alone():
        known = finished(grid, file.read())
        if not wanted(grid, known):
            return known
        for options in grid.cells.values():  # now, not when the first run has come to its end
            check_classes(grid.score, taxonomy_of(options.data).names)
        workers = LocalWorkers(find_devices(devices), out_dir)
        try:
            return Runner(grid, file, out_dir, workers).run()
        finally:
            workers.close()
