"""The part of a file that has been downloaded, and what must be known to go on with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import BinaryIO, final

from parsenet.files import write_bytes_atomically


@final
class Part:
    """`NAME.part`, beside it `NAME.part.json` with address, version and size of the whole file.

    Args:
        target: the file that it becomes.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._path = target.with_name(target.name + ".part")
        self._about = target.with_name(target.name + ".part.json")
        self.url = ""
        self.validator = ""
        self.total: int | None = None
        self._load()

    @property
    def path(self) -> Path:
        """The file of the bytes that are here."""
        return self._path

    @property
    def size(self) -> int:
        """How many bytes are here."""
        return self._path.stat().st_size if self._path.is_file() else 0

    @property
    def is_whole(self) -> bool:
        """All bytes that the server told of are here."""
        return self.total is not None and self.size == self.total

    def start(self, url: str, validator: str, total: int | None) -> None:
        """Forget every byte; those to come are of this address and version.

        An interruption leaves bytes of which nothing is known, and these are never continued.
        """
        self.clear()
        self._path.touch()
        self.url, self.validator, self.total = url, validator, total
        about = {"url": url, "validator": validator, "total": total}
        write_bytes_atomically(self._about, json.dumps(about).encode())

    def append(self) -> BinaryIO:
        """Open the file to write after its last byte."""
        return self._path.open("ab")

    def clear(self) -> None:
        """Forget every byte."""
        self.url, self.validator, self.total = "", "", None
        self._about.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give the file its name."""
        self._path.replace(self._target)
        self._about.unlink(missing_ok=True)

    def _load(self) -> None:
        try:
            about = json.loads(self._about.read_text(encoding="utf-8"))
            url, validator, total = about["url"], about["validator"], about["total"]
        except (OSError, ValueError, KeyError, TypeError):
            self.clear()
            return
        if total is not None and self.size > total:
            self.clear()
            return
        self.url, self.validator, self.total = url, validator, total
