"""Makes the runs of a grid that are not in its results file yet."""

from __future__ import annotations

import errno
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
from contextlib import closing, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from parsenet.errors import ParseNetError
from parsenet.lab.grid import Grid, Plan
from parsenet.lab.options import Options, Record
from parsenet.lab.results import ResultsFile, check_classes, figure, finished, plain, wanted
from parsenet.reports.tables import scientific

TRIES = 2
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
    """Processes of this machine, one for each device that is named; `make` makes their runs."""

    def __init__(self, devices: list[str], out_dir: Path, make: Make | None = None) -> None:
        self.size = len(devices)
        self._workers = [_Worker(device, out_dir, make or make_run) for device in devices]
        cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        self._threads = max(1, cores // self.size)

    def start(self, options: Options) -> Future[Record]:
        """Begin a run on a device that is free."""
        free = next(x for x in self._workers if x.future is None or x.future.done())
        return free.start(options, self._threads)

    def close(self) -> None:
        """End the processes, in the middle of a run if need be."""
        for worker in self._workers:
            worker.close()


class _Worker:
    """A pool of one process, so that one that dies takes no other run with it.

    Starting it takes seconds, for the imports; so it stays for the whole grid, until a run fails.
    """

    def __init__(self, device: str, out_dir: Path, make: Make) -> None:
        self.future: Future[Record] | None = None
        self._run = (make, device, out_dir)
        self._pool: tuple[ProcessPoolExecutor, Connection] | None = None

    def start(self, options: Options, threads: int) -> Future[Record]:
        if self.future and (self.future.exception() or "failed" in self.future.result()):
            self.close()
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            theirs, lifeline = context.Pipe(duplex=False)
            self._pool = ProcessPoolExecutor(1, context, _begin, (theirs, threads)), lifeline
        self.future = self._pool[0].submit(_try, *self._run, options)
        return self.future

    def close(self) -> None:
        if self._pool is not None:
            pool, lifeline = self._pool
            lifeline.close()
            pool.shutdown(wait=False, cancel_futures=True)
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
    from parsenet.lab.train import bench

    return bench(device, out_dir).run(options)


@dataclass
class Runner:
    """Hands runs to workers and writes down what comes back.

    Little is lost when it is killed: a result is on disk before the next run begins, and the state
    of a run under way every few minutes.
    """

    grid: Grid
    """What to run, with its inputs."""
    file: ResultsFile
    out_dir: Path
    """Folder with the states of runs under way."""
    workers: Workers
    """Who makes the runs; they are closed at the end."""
    results: dict[str, Record] = field(default_factory=dict)
    _tries: Counter[str] = field(default_factory=Counter)

    def run(self) -> dict[str, Record]:
        """Make all runs; return every result of the file by key, failed ones among them."""
        from parsenet.data.build import taxonomy_of

        for options in self.grid.cells.values():  # now, not when the first run has come to its end
            check_classes(self.grid.score, taxonomy_of(options.data).names)
        with self.file.alone(), closing(self.workers):
            # What failed the last time may have been the machine's fault.
            self.results = finished(self.grid, self.file.read())
            self._make_runs()
        return self.results

    def _make_runs(self) -> None:
        running: dict[Future[Record], Plan] = {}
        keys = {plan.key for plan in self.grid.plans()}
        console = Console(stderr=True, highlight=False, markup=False)
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("runs"), TimeRemainingColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task("", total=self.grid.num_runs)
            while True:
                under_way = [plan.key for plan in running.values()]
                plans = wanted(self.grid, self.results, under_way)
                for plan in plans[: self.workers.size - len(running)]:
                    running[self.workers.start(plan.options)] = plan
                bar.update(task, completed=len(keys & self.results.keys()))
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    console.print(self._take(running.pop(future), future), soft_wrap=True)

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
        place = {**plan.cell._asdict(), "lr": options.optim.lr, "seed": options.seed}
        place |= {"key": plan.key, "inputs": options.inputs}
        result = plain(place | result | place)
        self.file.add(result)
        self.results[plan.key] = result
        if "failed" in result:
            return f"{name}: {result['failed']}. Given up."
        options.state_in(self.out_dir).unlink(missing_ok=True)
        collapse = f", collapsed: {result['reason']}" if result["collapsed"] else ""
        score = 100 * figure(result, self.grid.score)
        return f"{name}: {score:.2f} % in {result['seconds']:.0f} s{collapse}"


def find_devices(name: str) -> list[str]:
    """List the devices to use, one worker each: `auto` is every GPU, or else the CPU."""
    import torch

    from parsenet.hardware import choose_device

    if name != "auto":
        return [str(choose_device(part.strip())) for part in name.split(",")]
    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu"]
