"""Do one thing to many files, on all cores, with a bar and little memory."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from parsenet.errors import FetchError
from parsenet.fetch.bars import items_bar

_LOGGER = logging.getLogger(__name__)
_Task = TypeVar("_Task")

# Below this many, starting processes takes longer than the work.
_FEW = 64
_CHUNK = 16


def run_all(
    function: Callable[[_Task], object],
    tasks: Sequence[_Task],
    num_workers: int,
    title: str,
) -> None:
    """Call a function once per task, in any order; the first error ends it.

    Args:
        function: a function at the top of a module; it writes its result itself.
        tasks: what it is given.
        num_workers: processes; 1 works in this one.
        title: what the bar says.

    Raises:
        FetchError: a process was killed, as happens when memory runs out.
    """
    if tasks:
        _LOGGER.info("%s: %s files.", title, f"{len(tasks):,}")
    with items_bar() as bar:
        task = bar.add_task(title, total=len(tasks))
        for count in _counts(function, tasks, num_workers):
            bar.advance(task, count)


def _counts(
    function: Callable[[_Task], object], tasks: Sequence[_Task], num_workers: int
) -> Iterator[int]:
    """Do the work, and yield how many tasks were done since the last time."""
    if num_workers == 1 or len(tasks) < _FEW:
        for task in tasks:
            function(task)
            yield 1
        return
    # Not forked: a bar's thread is at work in this process.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(num_workers, context, _begin_worker)
    try:
        yield from _spread(pool, function, tasks, 4 * num_workers)
    except BrokenProcessPool:
        raise FetchError(
            "Every process must live to its end, got one that was killed; memory may have run "
            "out. Run the same command again with `--workers 1`: it goes on from here."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _spread(
    pool: ProcessPoolExecutor,
    function: Callable[[_Task], object],
    tasks: Sequence[_Task],
    most: int,
) -> Iterator[int]:
    """Keep at most so many chunks of tasks under way."""
    waiting: set[Future[int]] = set()
    for start in range(0, len(tasks), _CHUNK):
        waiting.add(pool.submit(_run_chunk, function, tasks[start : start + _CHUNK]))
        if len(waiting) >= most:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield sum(future.result() for future in done)
    for future in waiting:
        yield future.result()


def _run_chunk(function: Callable[[_Task], object], tasks: Sequence[_Task]) -> int:
    for task in tasks:
        function(task)
    return len(tasks)


def _begin_worker() -> None:
    """Leave Ctrl-C to the main process, and end when it is gone, even killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
