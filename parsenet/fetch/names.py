"""Names inside archives: which are safe to write, which are wanted, and under what name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from parsenet.errors import FetchError

Pick = Callable[[str], str | None]
"""From a name in the archive to the one it is written under, or None to leave it out."""

# What the systems of those who packed an archive leave in it.
_JUNK = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})


def safe_name(name: str, archive: str) -> str:
    """Return a name in plain form, `a/b/c`; the folder of everything is ''.

    Args:
        name: as the archive has it; backslashes of Windows are read as slashes.
        archive: whose name an error tells.

    Raises:
        FetchError: written as it is, the file would land outside the folder it is unpacked to.
    """
    plain = name.replace("\\", "/")
    parts = PurePosixPath(plain).parts
    drive = bool(parts) and ":" in parts[0]
    if plain.startswith("/") or drive or ".." in parts or not plain.isprintable():
        raise FetchError(
            f"'{archive}' must hold names inside its own folder, got {name!r}. It was made to do "
            "harm or is damaged; get it from another source."
        )
    return "/".join(parts)


def is_junk(name: str) -> bool:
    """Say whether a file belongs to an operating system and not to the data."""
    parts = PurePosixPath(name).parts
    return bool(_JUNK & set(parts)) or any(part.startswith("._") for part in parts)


def pick_by(rules: Mapping[str, str]) -> Pick:
    r"""Build a choice of files from regular expressions.

    Args:
        rules: expression that a whole name must match, and the name to write, with `\1` for the
            first group; the first that matches counts.
    """
    compiled = [(re.compile(pattern), written) for pattern, written in rules.items()]

    def pick(name: str) -> str | None:
        for pattern, written in compiled:
            found = pattern.fullmatch(name)
            if found:
                return found.expand(written)
        return None

    return pick
