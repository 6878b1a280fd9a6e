"""Read every sample once, in parallel, and keep what the checks need."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from rich.console import Console
from rich.progress import Progress

from parsenet.doctor.examine import Examined, ImageFacts, LabelFacts, examine
from parsenet.doctor.splits import Split

_WAITING = 4
"""Samples in hand per worker: enough that none waits, few enough that memory stays flat."""


@dataclass(frozen=True)
class Surveyed:
    """A split and what was learnt of each of its samples."""

    split: Split
    images: Sequence[ImageFacts]
    labels: Sequence[LabelFacts]

    @property
    def name(self) -> str:
        """The split's name."""
        return self.split.name


def survey(
    splits: Sequence[Split], fast: bool = False, workers: int = 0, progress: bool = True
) -> list[Surveyed]:
    """Read all samples of all splits.

    Threads share the work: decoding lets go of the interpreter lock, and that is where the time
    goes.

    Args:
        splits: what to read.
        fast: leave the pixels of images alone; labels are read all the same.
        workers: threads; 0 for one per core.
        progress: show a bar with the time left, on standard error.
    """
    keys = [(split, index) for split in splits for index in range(len(split.pairs))]
    threads = workers or os.cpu_count() or 1
    done: dict[int, list[Examined]] = {position: [] for position in range(len(splits))}
    places = [position for position, split in enumerate(splits) for _ in split.pairs]
    found = _examine_all(keys, fast, threads)
    with Progress(console=Console(stderr=True), transient=True, disable=not progress) as bar:
        tracked = bar.track(found, total=len(keys), description="Reading")
        for place, examined in zip(places, tracked, strict=True):
            done[place].append(examined)
    return [
        Surveyed(split, [x.image for x in done[place]], [x.label for x in done[place]])
        for place, split in enumerate(splits)
    ]


def _examine_all(keys: Sequence[tuple[Split, int]], fast: bool, threads: int) -> Iterator[Examined]:
    """Yield results in order, with a bounded number of samples in hand."""
    waiting: deque[Future[Examined]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="doctor")
    try:
        for split, index in keys:
            waiting.append(pool.submit(examine, split, index, fast))
            if len(waiting) >= threads * _WAITING:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
