"""Move unpacked files to where they belong, so that breaking off loses nothing."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import final

from parsenet.errors import FetchError
from parsenet.files import write_bytes_atomically


@final
class Placement:
    """One unpacking: a folder of its own, a mark when it is whole, then the way to the target.

    Args:
        state_dir: folder for the unpacked files and the mark, on the same disk as `out`.
        step: name of this unpacking, one word.
        out: where the files belong.
    """

    def __init__(self, state_dir: Path, step: str, out: Path) -> None:
        self._folder = state_dir / f"{step}.unpacked"
        self._mark = state_dir / f"{step}.whole"
        self._out = out

    @property
    def is_waiting(self) -> bool:
        """Files are unpacked, and not all of them are in their place."""
        return self._mark.is_file()

    def fill(self, write: Callable[[Path], object]) -> None:
        """Unpack, unless an earlier call came to the end of it.

        Args:
            write: unpacks to the folder it is given.
        """
        if self.is_waiting:
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        try:
            write(self._folder)
        except BaseException:
            # A full disk is not helped by half an archive on it.
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        write_bytes_atomically(self._mark, b"")

    def move(self) -> None:
        """Move what is unpacked to its place.

        Raises:
            FetchError: another file is there already.
        """
        if self._folder.is_dir():
            _merge(self._folder, self._out)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._mark.unlink(missing_ok=True)


def _merge(source: Path, target: Path) -> None:
    """Move a folder's entries; folders that are new move as one."""
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(source.iterdir()):
        there = target / entry.name
        if not there.exists():
            entry.replace(there)
        elif entry.is_dir() and there.is_dir():
            _merge(entry, there)
        elif entry.is_dir() or there.is_dir() or not filecmp.cmp(entry, there, shallow=False):
            raise FetchError(
                f"'{there}' must be the file of the archive, got another. Move it away, or choose "
                "another folder with `--out`."
            )
        else:
            entry.unlink()
