"""The results file: one line of JSON per finished run, only ever added to."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from parsenet.errors import ConfigError

Result: TypeAlias = dict[str, Any]
"""What is kept of a run; `docs/ablations.md` lists the names."""


class ResultsFile:
    """Runs by key; the last line of a key counts.

    A line is added by a single write. What a killed machine left of one is no line yet (it has no
    end): readers pass over it, and the next writer cuts it off.

    Args:
        path: the file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Result]:
        """Return every run by its key.

        Raises:
            ConfigError: a whole line is no result.
        """
        results: dict[str, Result] = {}
        if not self.path.is_file():
            return results
        *lines, _torn = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, start=1):
            try:
                result = json.loads(line)
                results[result["key"]] = result
            except (ValueError, TypeError, KeyError):
                raise ConfigError(
                    f"Line {number} of '{self.path}' must be the result of a run, got "
                    f"'{line[:60].decode(errors='replace')}'. Remove the line; that run is made "
                    "again."
                ) from None
        return results

    def add(self, result: Mapping[str, Any]) -> None:
        """Add a run.

        Args:
            result: made of what JSON knows: see `plain`.
        """
        line = json.dumps(result, allow_nan=False) + "\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as file:
            file.truncate(_end_of_lines(self.path))
            file.write(line.encode())
            os.fsync(file.fileno())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runners away while this one is at work; the system frees what a dead one held.

        Raises:
            ConfigError: another runner is at work.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            if sys.platform != "win32":
                import fcntl

                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise ConfigError(
                        f"'{self.path}' must be free, got another `parsenet ablate` at work on it. "
                        "Wait for it to end, or name another folder with `--out DIR`."
                    ) from None
                except OSError:
                    pass  # a file system without locks
            yield


def _end_of_lines(path: Path) -> int:
    """Return the number of bytes up to the end of the last whole line."""
    content = path.read_bytes()
    return content.rfind(b"\n") + 1


def plain(result: Mapping[str, Any]) -> Result:
    """Return a result as it is read back: nan and infinity are None, tuples are lists."""
    return {str(name): _plain(value) for name, value in result.items()}


def _plain(value: object) -> object:
    if isinstance(value, float) and not -1e308 < value < 1e308:
        return None
    if isinstance(value, Mapping):
        return plain(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
