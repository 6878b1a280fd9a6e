"""Images on disk that outlive the run: one file each, written whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import mmap
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, final

import numpy as np
from jaxtyping import UInt8

from parsenet.data.cache import Stamp, Store
from parsenet.errors import ConfigError
from parsenet.files import write_bytes_atomically

_HEADER: Final = struct.Struct("<8sqqii")
"""Mark of the format, size and time of the image's file, height, width."""
_MARK: Final = b"PNETPIC1"
_SUFFIX: Final = ".pixels"
_OLD_PART_SECONDS: Final = 3600

_log = logging.getLogger(__name__)


@final
class DiskStore(Store):
    """A folder of pixel files, named after the images' paths and mapped into memory to be read.

    A file holds the size and the time of the image it was made of; when those differ it is
    ignored, and replaced.

    Args:
        folder: where they lie; it is made.
        limit: bytes that they may take together, those of other data sets in this folder included.

    Raises:
        ConfigError: the folder cannot be written to.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._is_broken = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._total() as total:
                total[0] = self._clean()
        except OSError as error:
            raise ConfigError(
                f"`cache_dir` must be a folder that can be written to, got '{folder}' ({error}). "
                "Name another with `data.cache_dir`."
            ) from error

    def describe(self) -> str:
        """Say in a line where the cache is and how full."""
        with self._total() as total:
            used = total[0] / 2**30
        return f"Cache of images: {used:.2f} of {self._limit / 2**30:.2f} GiB in '{self._folder}'."

    def num_bytes(self) -> int:
        """Return the bytes in use."""
        with self._total() as total:
            return int(total[0])

    def get(self, stamp: Stamp) -> UInt8[np.ndarray, "h w 3"] | None:
        """Map an image's file; None where it is missing, damaged, or of another state."""
        try:
            with self._file_of(stamp).open("rb") as file:
                memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):  # an empty file cannot be mapped
            return None
        if len(memory) < _HEADER.size:
            return None
        *state, height, width = _HEADER.unpack_from(memory)
        wanted = [_MARK, stamp.num_bytes, stamp.time_ns]
        if state != wanted or len(memory) != _HEADER.size + height * width * 3:
            return None
        pixels = np.frombuffer(memory, np.uint8, height * width * 3, _HEADER.size)
        return pixels.reshape(height, width, 3)

    def put(self, stamp: Stamp, image: UInt8[np.ndarray, "h w 3"]) -> None:
        """Reserve the bytes, then write; a disk that is full ends the filling, not the training."""
        if self._is_broken:
            return
        path = self._file_of(stamp)
        header = _HEADER.pack(_MARK, stamp.num_bytes, stamp.time_ns, *image.shape[:2])
        more = _HEADER.size + image.nbytes
        try:
            more -= path.stat().st_size if path.exists() else 0
            with self._total() as total:
                if total[0] + more > self._limit:
                    return
                total[0] += more
            write_bytes_atomically(path, header + image.tobytes())
        except OSError as error:
            self._is_broken = True
            _log.warning("The cache in '%s' is no longer filled: %s.", self._folder, error)

    def _file_of(self, stamp: Stamp) -> Path:
        name = hashlib.blake2b(stamp.path.encode(), digest_size=16).hexdigest()
        return self._folder / name[:2] / f"{name}{_SUFFIX}"

    def _clean(self) -> int:
        """Remove what was left half-written and what is over the limit; return the bytes in use."""
        kept = []
        for path in self._folder.glob("*/*"):
            state = path.stat()
            if path.suffix == _SUFFIX:
                kept.append((state.st_mtime_ns, state.st_size, path))
            elif path.suffix == ".part" and time.time() - state.st_mtime > _OLD_PART_SECONDS:
                path.unlink(missing_ok=True)
        kept.sort()
        total = sum(size for _, size, _ in kept)
        for _, size, path in kept:
            if total <= self._limit:
                break
            path.unlink(missing_ok=True)
            total -= size
        return total

    @contextmanager
    def _total(self) -> Iterator[np.ndarray]:
        """Hold the lock of the folder, and its count of bytes, which may be changed."""
        file = os.open(self._folder / "bytes", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            total = np.frombuffer(os.pread(file, 8, 0).ljust(8, b"\0"), np.int64).copy()
            before = total.copy()
            yield total
            if (total != before).any():
                os.pwrite(file, total.tobytes(), 0)
        finally:
            os.close(file)  # which gives the lock back
