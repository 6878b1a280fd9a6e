"""What was made so far, a line of JSON per image: how a stopped run knows where to go on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from parsenet.errors import ConfigError
from parsenet.files import natural_key, write_bytes_atomically

JOURNAL_NAME = "journal.jsonl"
"""File in the output folder; the first line tells the settings, each other one an image."""

Entry = dict[str, Any]


class Known(NamedTuple):
    """What stays in memory of an entry; the rest is looked up in the file."""

    file: str
    """Absolute path of the input."""
    keys: frozenset[str]
    """What the entry tells."""
    offset: int
    """Where its line begins in the file, in bytes."""


class Journal:
    """Entries by the name of the results; what is added is on disk at once.

    Args:
        out_dir: folder of the results.
        settings: what decides about the results (model, scales, ...), as JSON holds it.
        overwrite: begin anew where the settings differ.
        part: name of a process's own part, merged by the next journal; None for the whole.

    Raises:
        ConfigError: the folder's results were made with other settings.
    """

    def __init__(
        self,
        out_dir: Path,
        settings: Mapping[str, Any],
        overwrite: bool = False,
        part: str | None = None,
    ) -> None:
        whole = out_dir / JOURNAL_NAME
        self._path = whole if part is None else out_dir / f".{part}.{JOURNAL_NAME}"
        self._lock = threading.Lock()
        made_with = next(_read(whole), ("", {}))[1].get("settings")
        if made_with not in (None, settings) and not overwrite:
            raise ConfigError(
                f"`out` must be empty or made with the same settings, got '{out_dir}' made with "
                f"{_difference(made_with, settings)}. Choose another `--out`, or `--overwrite`."
            )
        self.known: dict[str, Known] = {}
        parts = sorted(out_dir.glob(f".*.{JOURNAL_NAME}")) if part is None else []
        lines: dict[str, str] = {}
        if made_with == settings:
            for path in (whole, *parts):
                lines |= {entry["name"]: line for line, entry in _read(path) if "name" in entry}
        head = json.dumps({"settings": settings}) + "\n"
        offset = len(head)
        for line in lines.values():
            self._remember(json.loads(line), offset)
            offset += len(line)
        if part is None:
            # Written anew: without replaced lines, and without a torn one to glue the next to.
            write_bytes_atomically(whole, (head + "".join(lines.values())).encode("ascii"))
        for path in parts:
            path.unlink(missing_ok=True)

    def add(self, entry: Entry) -> None:
        """Note what was made of an image; safe from any thread."""
        line = json.dumps(entry) + "\n"
        with self._lock, self._path.open("ab") as file:
            self._remember(entry, file.tell())
            file.write(line.encode("ascii"))

    def entries(self) -> Iterator[Entry]:
        """Yield the entries from the file, in natural order of their names."""
        with self._path.open("rb") as file:
            for name in sorted(self.known, key=lambda name: natural_key(Path(name))):
                file.seek(self.known[name].offset)
                yield json.loads(file.readline())

    def _remember(self, entry: Entry, offset: int) -> None:
        self.known[entry["name"]] = Known(entry["file"], frozenset(entry), offset)


def read_entry(out_dir: Path, name: str) -> Entry | None:
    """Look up an image in the journal of a folder, None where it is not noted."""
    entries = (entry for _, entry in _read(out_dir / JOURNAL_NAME) if entry.get("name") == name)
    return next(reversed(list(entries)), None)


def _read(path: Path) -> Iterator[tuple[str, Entry]]:
    """Yield all whole lines; the last one is torn when the machine went down."""
    if not path.is_file():
        return
    with path.open(encoding="ascii", errors="replace", newline="\n") as file:
        for line in file:
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                yield line, value


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    return "; ".join(f"{key} {old.get(key)} instead of {new.get(key)}" for key in changed)
