"""What must lie in a folder before a data set is complete: lists, and the files they name."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

_LOGGER = logging.getLogger(__name__)


def read_ids(path: Path) -> list[str]:
    """Read the names of a split's list, without folder and suffix; a missing list has none.

    Args:
        path: one name, or image and label path as in DeepLab's and SegNet's lists, per line.
            Backslashes of Windows are read as slashes.
    """
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8-sig", errors="replace").replace("\\", "/").splitlines()
    return [Path(line.split()[0]).stem for line in lines if line.strip()]


def find_missing(folder: Path, names: Iterable[str]) -> str | None:
    """Tell which files a folder lacks, as the end of a sentence; None when it has all."""
    wanted = list(names)
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    missing = [name for name in wanted if name not in there]
    if not missing:
        return None
    return (
        f"{len(missing)} of {len(wanted)} files are missing in '{folder}', the first is "
        f"'{missing[0]}'"
    )


def find_empty(lists: Mapping[str, list[str]]) -> str | None:
    """Tell which list is missing or names nothing, as the end of a sentence; None when none is."""
    for name, ids in lists.items():
        if not ids:
            return f"the list of `{name}` is missing or empty"
    return None


def note_counts(found: Mapping[str, int], published: Mapping[str, int]) -> None:
    """Warn where a count is not the published one; part of a data set is no error."""
    for name, count in published.items():
        if found[name] != count:
            _LOGGER.warning(
                "`%s` has %s, published are %s.", name, f"{found[name]:,}", f"{count:,}"
            )


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process was writing: the hidden `.part` files of atomic writing.

    Args:
        folder: a folder in which nobody writes now.
    """
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)
