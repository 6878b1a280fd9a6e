"""One tool at a time in a folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parsenet.errors import FetchError


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on a file; the system gives it back however the process ends.

    Args:
        path: the file, made if missing.

    Raises:
        FetchError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            _lock(file.fileno())
        except (BlockingIOError, PermissionError):
            raise FetchError(
                f"'{path.parent.parent}' must be free, got another tool at work in it. Wait for it "
                "to end."
            ) from None
        except OSError:
            pass  # A file system without locks.
        yield


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
