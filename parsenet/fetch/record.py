"""What was made in a folder, kept beside it: where archives came from, and how many files are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, final

from parsenet.errors import FetchError
from parsenet.files import write_bytes_atomically


@final
class Record:
    """The file `record.json` of a folder; a damaged one counts as none.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._archives: dict[str, dict[str, Any]] = {}
        self._folders: dict[str, int] = {}
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            self._archives, self._folders = dict(stored["archives"]), dict(stored["folders"])
        except (OSError, ValueError, KeyError, TypeError):
            return

    def note_archive(self, name: str, sha256: str, source: str, verified: str) -> None:
        """Keep where an archive came from.

        Args:
            name: the archive.
            sha256: its hash.
            source: address or file.
            verified: what its hash was compared with.
        """
        self._archives[name] = {"sha256": sha256, "source": source, "verified": verified}
        self._save()

    def note_source(self, name: str, source: str) -> None:
        """Keep the address that an archive was downloaded from."""
        self._archives[name]["source"] = source
        self._save()

    def require_same(self, name: str, sha256: str) -> None:
        """Hold an archive that nobody published a hash of to the one that came before.

        Raises:
            FetchError: it is another.
        """
        before = self._archives.get(name, {}).get("sha256", sha256)
        if before != sha256:
            raise FetchError(
                f"'{name}' must have the SHA-256 of the last time, {before}, got {sha256}. Its "
                f"source has changed it, or it is damaged; pass `--sha256 {name}={sha256}` to "
                "accept it."
            )

    def note_folder(self, name: str, count: int) -> None:
        """Keep how many files a folder holds, counted by `count_files`."""
        self._folders[name] = count
        self._save()

    def find_loss(self, out: Path) -> str | None:
        """Name a folder that holds fewer files than it did when it was made, or None."""
        for name, count in self._folders.items():
            there = count_files(out / name)
            if there < count:
                return f"'{name}' holds {there} of its {count} files"
        return None

    def _save(self) -> None:
        stored = {"archives": self._archives, "folders": self._folders}
        write_bytes_atomically(self._path, json.dumps(stored, indent=1).encode())


def count_files(folder: Path) -> int:
    """Count the files in a folder and those below it; a missing one has none."""
    if folder.is_file():
        return 1
    return sum(1 for path in folder.rglob("*") if path.is_file())
