"""A bound on the pixels that threads hold between them, so that memory stays flat."""

from __future__ import annotations

import threading


class PixelBudget:
    """Places for images, counted in pixels; who asks for too many waits.

    An image that is larger than the whole budget gets its place when nobody else holds one.

    Args:
        limit: pixels held at once.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._turn = 0
        self._is_closed = False
        self._changed = threading.Condition()

    def take(self, pixels: int) -> None:
        """Wait until there is room for an image."""
        with self._changed:
            self._changed.wait_for(lambda: self._fits(pixels))
            self._held += pixels

    def take_in_turn(self, turn: int, pixels: int) -> None:
        """Wait for room behind everybody with a lower turn; turns start at 0, none is left out.

        Because places go out in the order in which they come back, nobody waits for ever.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_closed or (self._turn == turn and self._fits(pixels))
            )
            self._turn += 1
            self._held += pixels
            self._changed.notify_all()

    def give_back(self, pixels: int) -> None:
        """Free a place."""
        with self._changed:
            self._held -= pixels
            self._changed.notify_all()

    def close(self) -> None:
        """Let everybody pass from now on: nobody will give places back."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _fits(self, pixels: int) -> bool:
        return self._is_closed or self._held == 0 or self._held + pixels <= self._limit
