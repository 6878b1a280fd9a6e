"""How far a run is: a bar with the time left on a terminal, now and then a line anywhere else."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_EVERY = 30.0
"""Seconds between lines where there is no terminal, such as in the log of a batch system."""


class Watch:
    """Counts what is done and shows it on standard error.

    Args:
        total: what there is to do, None if nobody knows.
        is_shown: False shows nothing.
    """

    def __init__(self, total: int | None, is_shown: bool = True) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not (is_shown and console.is_terminal),
        )
        self._task = self._bar.add_task("Predicting", total=total, note="")
        self._speaks = is_shown and not console.is_terminal
        self._total = total
        self._done = 0
        self._start = self._spoke = time.monotonic()

    def __enter__(self) -> Watch:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def expect(self, more: int | None) -> None:
        """Count on more, or on nobody knows how many."""
        self._total = None if self._total is None or more is None else self._total + more
        self._bar.update(self._task, total=self._total)

    def advance(self, count: int = 1, was_skipped: bool = False) -> None:
        """Note that something is done; safe from any thread.

        What was skipped took no time, so that it must not make the rest look quick.

        Args:
            count: how many.
            was_skipped: it had been done before.
        """
        if was_skipped:
            self.expect(-count)
        else:
            self._done += count
            self._bar.advance(self._task, count)
        now = time.monotonic()
        if self._speaks and now - self._spoke >= _LINE_EVERY:
            self._spoke = now
            print(self._sentence(now - self._start), file=sys.stderr, flush=True)  # noqa: T201

    def note(self, done: int, total: int) -> None:
        """Show how far the image is that is cut into windows."""
        self._bar.update(self._task, note="" if done >= total else f"window {done} of {total}")

    def _sentence(self, seconds: float) -> str:
        if self._total is None or not self._done:
            return f"Predicting: {self._done} done."
        left = seconds / self._done * (self._total - self._done)
        hours, minutes = divmod(round(left / 60), 60)
        when = f"{hours} h {minutes} min" if hours else f"{minutes} min"
        return f"Predicting: {self._done} of {self._total} done, {when} left."
