"""From what was typed to the list of pictures: files, folders and globs, in natural order.

Whatever is wrong is collected as a sentence; finding the pictures never raises.
"""

from __future__ import annotations

import difflib
import glob
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Endings, in lower case, that make a file in a folder a picture; a named file may have any."""


class Source(NamedTuple):
    """A picture to predict and the name that its results get."""

    path: Path
    """The picture file."""
    name: str
    """Name of the results without ending: the picture's stem, behind its subfolders if any."""


@dataclass
class Sources:
    """What a list of inputs came to."""

    found: list[Source] = field(default_factory=list)
    """Pictures, each once, in the order given and in natural order within a folder or glob."""
    wrong: dict[str, str] = field(default_factory=dict)
    """Inputs that cannot be used: what was given, and a sentence that says why."""


def find_pictures(
    inputs: Iterable[str | Path], recursive: bool = False, exclude: Path | None = None
) -> Sources:
    """Expand files, folders and globs to pictures, and name their results.

    Results are named after the picture's stem. Pictures from subfolders keep the subfolder in
    front of it, so that `a/x.jpg` and `b/x.jpg` stay apart. Where two pictures would still share
    a name the first one gets it, and the other is wrong.

    Args:
        inputs: what the user typed.
        recursive: take pictures of subfolders too.
        exclude: folder whose files are no inputs: the one that results are written to.
    """
    sources = Sources()
    owners: dict[str, Path] = {}
    for given in map(str, inputs):
        try:
            pictures = _expand(given, recursive, exclude)
            if not pictures:
                sources.wrong[given] = _explain_nothing(given, recursive)
        except OSError as error:
            pictures = []
            sources.wrong[given] = (
                f"'{given}' must be readable, got '{error.strerror}'. Check its name and rights."
            )
        for picture in pictures:
            _claim(picture, owners, sources)
    return sources


def natural_key(path: Path) -> list[list[str | int]]:
    """Return a sorting key that puts `img2` before `img10`."""
    pieces = [re.split(r"([0-9]+)", part) for part in path.parts]
    return [[int(x) if i % 2 else x for i, x in enumerate(part)] for part in pieces]


def _claim(picture: Source, owners: dict[str, Path], sources: Sources) -> None:
    path, name = picture
    owner = owners.setdefault(os.path.normcase(name), path)
    if owner is path:
        sources.found.append(picture)
    elif owner.absolute() != path.absolute():  # the same file named twice is no mistake
        sources.wrong[str(path)] = (
            f"'{path}' must have a name of its own, got '{name}' as '{owner}' has. Rename it, or "
            "predict it in a second run with another `--out`."
        )


def _expand(given: str, recursive: bool, exclude: Path | None) -> list[Source]:
    root = Path(given)
    if root.is_file():
        return [Source(root, root.stem)]
    if not root.is_dir():
        matches = map(Path, glob.glob(given, recursive=True))  # noqa: PTH207 - Path.glob wants a root
        return [Source(x, x.stem) for x in sorted(matches, key=natural_key) if x.is_file()]
    inner = _inside(exclude, root)
    return [
        Source(path, path.relative_to(root).with_name(path.stem).as_posix())
        for path in sorted(root.glob("**/*" if recursive else "*"), key=natural_key)
        if path.suffix.lower() in SUFFIXES
        and not path.name.startswith(".")  # macOS leaves `._photo.jpg` beside `photo.jpg`
        and path.is_file()
        and not (inner and path.is_relative_to(inner))
    ]


def _inside(exclude: Path | None, root: Path) -> Path | None:
    """Write `exclude` as a path below `root`, or None where it is not inside."""
    if exclude is None:
        return None
    inner, outer = exclude.resolve(), root.resolve()
    return root / inner.relative_to(outer) if outer in inner.parents else None


def _explain_nothing(given: str, recursive: bool) -> str:
    root = Path(given)
    if root.is_dir():
        way_out = "Check the folder." if recursive else "Add `--recursive` for its subfolders."
        return f"'{given}' must hold pictures ({', '.join(SUFFIXES)}), got none. {way_out}"
    if glob.has_magic(given):
        return f"'{given}' must match a file, got none. Check the pattern."
    siblings = [x.name for x in root.parent.iterdir()] if root.parent.is_dir() else []
    close = difflib.get_close_matches(root.name, siblings, n=1)
    way_out = f"Did you mean '{root.with_name(close[0])}'?" if close else "Check the spelling."
    return f"'{given}' must be a picture, a folder or a pattern, got nothing there. {way_out}"
