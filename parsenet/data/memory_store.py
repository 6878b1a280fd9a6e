"""Images in memory that all loader processes share.

The memory is an anonymous file: it counts against no mounted file system (containers often have a
tiny /dev/shm), is shared by forked and by spawned processes alike, and is gone with the process
that made it, however that ends.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, final
from weakref import finalize

import numpy as np
from jaxtyping import UInt8

from parsenet.data.cache import Stamp, Store

_RECORD: Final = np.dtype([
    ("key", "<u8"),
    ("check", "<u8"),
    ("begin", "<i8"),  # first byte of the pixels; 0 where the slot is free
    ("height", "<i4"),
    ("width", "<i4"),
    ("is_whole", "<i8"),
])
_BYTES_PER_SLOT: Final = 2**15
"""One slot of the table for so much memory: far more than there are images of 100x110."""
_MAX_STEPS: Final = 1024
"""Slots that are looked at for one key."""


@final
class MemoryStore(Store):
    """A table of slots and, behind it, pixels; nothing in it is ever moved or written again.

    Args:
        limit: bytes that the whole may take; memory is taken as it is filled.
    """

    def __init__(self, limit: int) -> None:
        self._num_slots = max(64, limit // _BYTES_PER_SLOT)
        self._limit = max(limit, self._first_byte())
        self._owner = os.getpid()
        self._file, self._path = _make_file()
        os.ftruncate(self._file, self._limit)
        self._attach()
        self._end[0] = self._first_byte()

    def get(self, stamp: Stamp) -> UInt8[np.ndarray, "h w 3"] | None:
        """Look an image up; the result is a view of the shared memory."""
        slot = self._find(_key_of(stamp))
        if slot is None:
            return None
        record = self._table[slot]
        if not (record["begin"] and record["is_whole"]):
            return None
        return self._pixels(int(record["begin"]), int(record["height"]), int(record["width"]))

    def put(self, stamp: Stamp, image: UInt8[np.ndarray, "h w 3"]) -> None:
        """Reserve a place under the lock, and fill it outside.

        A process that dies between the two leaves a slot that is never whole: its image is
        decoded every time.
        """
        key = _key_of(stamp)
        height, width, _ = image.shape
        with self._locked():
            slot = self._find(key)
            begin = int(self._end[0])
            if slot is None or self._table[slot]["begin"] or begin + image.nbytes > self._limit:
                return
            self._end[0] = begin + image.nbytes
            self._table[slot] = (*key, begin, height, width, 0)
        pixels = self._pixels(begin, height, width)
        pixels.flags.writeable = True
        pixels[:] = image
        with self._locked():  # the pixels are there before the word that they are
            self._table["is_whole"][slot] = 1

    def num_bytes(self) -> int:
        """Return the bytes in use, those of the table included."""
        return int(self._end[0])

    def __getstate__(self) -> dict[str, Any]:
        return {
            "_path": self._path,
            "_limit": self._limit,
            "_num_slots": self._num_slots,
            "_owner": self._owner,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        self._attach()

    def _first_byte(self) -> int:
        return 64 + self._num_slots * _RECORD.itemsize

    def _attach(self) -> None:
        self._thread_lock = threading.Lock()
        self._memory = mmap.mmap(self._file, self._limit)
        self._end = np.frombuffer(self._memory, np.int64, 1)
        self._table = np.frombuffer(self._memory, _RECORD, self._num_slots, 64)
        finalize(self, _release, self._file, self._path, self._owner)

    def _pixels(self, begin: int, height: int, width: int) -> UInt8[np.ndarray, "h w 3"]:
        flat = np.frombuffer(self._memory, np.uint8, height * width * 3, begin)
        pixels = flat.reshape(height, width, 3)
        pixels.flags.writeable = False
        return pixels

    def _find(self, key: tuple[int, int]) -> int | None:
        """Return the slot of a key, or the free one where it belongs; None in a full table."""
        for step in range(min(self._num_slots, _MAX_STEPS)):
            slot = (key[0] + step) % self._num_slots
            record = self._table[slot]
            if not record["begin"] or (record["key"], record["check"]) == key:
                return slot
        return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # The file's lock keeps processes apart and falls with them; it does not see threads.
        with self._thread_lock:
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)


def _key_of(stamp: Stamp) -> tuple[int, int]:
    digest = stamp.digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


def _make_file() -> tuple[int, Path]:
    """Make a file of memory alone where the system has them, else a temporary one.

    Returns:
        the file, and the name by which other processes open it.
    """
    if sys.platform == "linux":
        file = os.memfd_create("parsenet-images", os.MFD_CLOEXEC)
        return file, Path(f"/proc/{os.getpid()}/fd/{file}")
    file, name = tempfile.mkstemp(prefix="parsenet-images-")
    return file, Path(name)


def _release(file: int, path: Path, owner: int) -> None:
    os.close(file)
    if sys.platform != "linux" and os.getpid() == owner:
        path.unlink(missing_ok=True)
