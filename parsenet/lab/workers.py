"""Processes that make runs: one per device, kept alive, replaced when they die."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NamedTuple

from parsenet.errors import ParseNetError
from parsenet.lab.grid import Plan

TRIES: Final = 2
"""Times that a run is begun before it is given up."""


class Progress(NamedTuple):
    """A run goes on."""

    iteration: int
    loss: float

    def describe(self) -> str:
        """Say how far it is; before the first news there is no loss to tell."""
        return f"iteration {self.iteration}, loss {self.loss:.4g}" if self.iteration else "starting"


class Done(NamedTuple):
    """A run has ended."""

    result: dict[str, Any]


class Refused(NamedTuple):
    """Something the user has to mend stands in the way of this run, and so of the others."""

    reason: str


class Failed(NamedTuple):
    """A run, or its process, broke off."""

    reason: str


Event = Progress | Done | Refused | Failed


class Worker:
    """A process that makes one run at a time.

    Starting one takes seconds, for the imports; so it stays for the whole grid.

    Args:
        device: where its runs are made, such as `cpu` or `cuda:1`.
        threads: cores that it may take.
        out_dir: folder for predicted labels and for the states of runs under way.
        work: what the process does; tests put something quicker here.
    """

    def __init__(
        self,
        device: str,
        threads: int,
        out_dir: Path,
        work: Callable[[Connection, str, int, Path], None] | None = None,
    ) -> None:
        self.device = device
        self.out_dir = out_dir
        self.plan: Plan | None = None
        self.progress = Progress(0, float("nan"))
        self._threads = threads
        self._work = work or make_runs
        self._start()

    def give(self, plan: Plan) -> None:
        """Begin a run."""
        self.plan = plan
        self.progress = Progress(0, float("nan"))
        if not self._process.is_alive():
            self.replace()
        self.connection.send(plan.options)

    def next_event(self) -> Event | None:
        """Return what has happened since the last look, or None."""
        try:
            if self.connection.poll():
                event: Event = self.connection.recv()
                if isinstance(event, Progress):
                    self.progress = event
                return event
        except (EOFError, OSError):
            self._process.join(5)
        if self._process.is_alive():
            return None
        code = self._process.exitcode or 0
        how = (
            f"was killed by signal {-code} (9: memory ran out?)" if code < 0 else f"ended ({code})"
        )
        return Failed(f"its process {how}")

    def replace(self) -> None:
        """Start the process anew."""
        self.close()
        self._start()

    def close(self) -> None:
        """End the process, in the middle of a run if need be."""
        self.connection.close()
        self._process.terminate()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=self._work, args=(theirs, self.device, self._threads, self.out_dir), daemon=False
        )
        self._process.start()
        theirs.close()


def make_runs(connection: Connection, device: str, threads: int, out_dir: Path) -> None:
    """Make runs until the other end hangs up: what a worker's process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process in front
    # A spawned process would spawn its data loaders too, with seconds of imports for each run.
    multiprocessing.set_start_method(None, force=True)
    import torch

    from parsenet.lab.train import Bench, Place, quiet_lightning

    quiet_lightning()
    torch.set_num_threads(threads)

    def tell(iteration: int, loss: float) -> None:
        connection.send(Progress(iteration, loss))

    bench = Bench(Place(torch.device(device), out_dir, tell))
    with suppress(EOFError, BrokenPipeError):  # nobody is left to tell
        while True:
            options = connection.recv()
            event: Event
            try:
                event = Done(bench.run(options))
            except ParseNetError as error:
                event = Refused(str(error))
            except BrokenPipeError:
                raise
            except Exception as error:  # whatever it is, it must not end the grid
                event = Failed(f"{type(error).__name__}: {error}")
            connection.send(event)
