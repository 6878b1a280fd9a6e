"""One image at a time: a short queue, and a sentence for whoever finds it full."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

from parsenet.serve.limits import Limits, Refusal

_T = TypeVar("_T")
Work: TypeAlias = Callable[[threading.Event], _T]
"""What a turn does."""

_RETRY_SECONDS = 2
_POLL_SECONDS = 0.5


class Turns:
    """Runs work one after another in a thread, and lets only so many requests wait.

    A network takes all cores and its memory grows with the image, so two at once are slower and
    may not fit.

    Args:
        limits: length of the queue, and the time that a request may take.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken = 0
        self._stops: set[threading.Event] = set()
        self._lock = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="parsenet-serve")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in the queue; taken before the upload is read, which bounds the memory too.

        Raises:
            Refusal: there is none left.
        """
        if self._taken > self._limits.queue:
            raise Refusal(
                503,
                f"The server must have a free place, got {self._taken} requests before this one. "
                "Try again in a moment.",
                {"Retry-After": str(_RETRY_SECONDS)},
            )
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def run(self, work: Work[_T], is_gone: Callable[[], Awaitable[bool]]) -> _T:
        """Do work when its turn comes.

        Args:
            work: runs in the thread; told by the event to stop where it can.
            is_gone: asked now and then; nobody works on for a client that left.

        Raises:
            Refusal: the client left, or the time is over.
        """
        stop = threading.Event()
        self._stops.add(stop)
        waiting = asyncio.ensure_future(self._in_turn(work, stop, is_gone))
        waiting.add_done_callback(lambda _: self._stops.discard(stop))
        try:
            # Shielded: a thread cannot be stopped, and the next turn must wait until it is done.
            return await asyncio.wait_for(asyncio.shield(waiting), self._limits.answer_seconds)
        except TimeoutError:
            stop.set()
            self._abandon(waiting)
            raise Refusal(
                504,
                f"The answer must take at most {self._limits.answer_seconds:g} seconds, got no "
                "further in that time. Send a smaller image.",
            ) from None

    def close(self) -> None:
        """Stop what is under way where it can be stopped, and forget what has not begun."""
        for stop in self._stops:
            stop.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_turn(
        self, work: Work[_T], stop: threading.Event, is_gone: Callable[[], Awaitable[bool]]
    ) -> _T:
        async with self._lock:
            if stop.is_set() or await is_gone():
                raise _gone()
            running = asyncio.get_running_loop().run_in_executor(self._thread, work, stop)
            while not (await asyncio.wait({running}, timeout=_POLL_SECONDS))[0]:
                if await is_gone():
                    stop.set()
            return await running

    def _abandon(self, waiting: asyncio.Future[_T]) -> None:
        """Keep the place of work that goes on although nobody waits for it."""
        self._taken += 1

        def release(done: asyncio.Future[_T]) -> None:
            self._taken -= 1
            if not done.cancelled():
                done.exception()  # looked at, so that asyncio does not complain about it

        waiting.add_done_callback(release)


def check_wanted(stop: threading.Event) -> None:
    """Give up work that nobody waits for any more.

    Raises:
        Refusal: the event is set.
    """
    if stop.is_set():
        raise _gone()


def _gone() -> Refusal:
    return Refusal(499, "The client must wait for its answer, got a closed connection.")
