"""Decoded training images that are kept, in memory or on disk, up to a limit.

A store is filled until it is full and then stays as it is. In a shuffled epoch every image comes
once, so those at hand are as good as any; throwing the oldest out for the newest would throw out
what is needed next.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
from jaxtyping import UInt8

from parsenet.config import DataConfig
from parsenet.data.images import FileImages, Images
from parsenet.errors import ConfigError

_log = logging.getLogger(__name__)


class Stamp(NamedTuple):
    """Which state of which file: a changed file has another size or time."""

    path: str
    num_bytes: int
    time_ns: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Look at a file; an OSError where there is none."""
        state = path.stat()
        return cls(str(path.absolute()), state.st_size, state.st_mtime_ns)

    def digest(self) -> bytes:
        """Return 16 bytes that no other state of any file has."""
        return hashlib.blake2b(repr(tuple(self)).encode(), digest_size=16).digest()


class Store(ABC):
    """Arrays by stamp; several processes may use one at a time."""

    @abstractmethod
    def get(self, stamp: Stamp) -> UInt8[np.ndarray, "h w 3"] | None:
        """Return a read-only image, or None when it is not here."""

    @abstractmethod
    def put(self, stamp: Stamp, image: UInt8[np.ndarray, "h w 3"]) -> None:
        """Keep an image if it fits under the limit."""


@final
class CachedImages(Images):
    """Images that are decoded once.

    Only whole images are kept: a reduced one is decoded every time, so that a sample never
    depends on what happens to be in the cache.

    Args:
        images: where they come from.
        store: where they are kept.
    """

    def __init__(self, images: Images, store: Store) -> None:
        self._images = images
        self._store = store

    def read(self, path: Path, reduction: int) -> UInt8[np.ndarray, "h w 3"]:
        """Take an image from the store, or decode it and put it there."""
        try:
            stamp = Stamp.of(path)
        except OSError:
            return self._images.read(path, reduction)  # which says what is wrong
        if reduction > 1:
            return self._images.read(path, reduction)
        kept = self._store.get(stamp)
        if kept is None:
            kept = self._images.read(path, 1)
            self._store.put(stamp, kept)
        return kept


def open_images(config: DataConfig) -> Images:
    """Open the images of training, with the cache that the options ask for.

    Raises:
        ConfigError: the cache cannot be had here.
    """
    if config.cache == "none":
        return FileImages()
    if sys.platform == "win32":
        raise ConfigError(
            f"`cache` must be none on Windows, got {config.cache}: it shares memory and locks in a "
            "way that Windows has not."
        )
    limit = int(config.cache_limit * 2**30)
    store: Store
    if config.cache == "memory":
        from parsenet.data.memory_store import MemoryStore

        _refuse_too_much(config.cache_limit)
        store = MemoryStore(limit)
    else:
        from parsenet.data.disk_store import DiskStore

        store = DiskStore(config.cache_dir or default_dir(), limit)
        _log.info("%s", store.describe())
    return CachedImages(FileImages(), store)


def default_dir() -> Path:
    """Return the folder of `cache: disk` when none is given."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "parsenet" / "images"


def _refuse_too_much(limit: float) -> None:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    if limit > total:
        raise ConfigError(
            f"`cache_limit` must be at most this machine's memory of {total:.1f} GiB for `cache: "
            f"memory`, got {limit}. Use `cache: disk`, or a lower limit."
        )
