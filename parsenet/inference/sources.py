"""From what was typed to the list of things to label, each with a name for its results.

Files, folders, globs and list files, in natural order; `-`, addresses, videos and cameras. Whatever
is wrong is collected as a sentence; finding the inputs never raises, and opens no image.
"""

from __future__ import annotations

import difflib
import glob
import itertools
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import unquote

from parsenet.data.reading import IMAGE_SUFFIXES, is_image
from parsenet.files import natural_key

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")
"""Endings, in lower case, that make a named file a video; folders give images only."""

RESULT_FOLDERS = ("entropy", "overlay", "probabilities", "sheet", "thumbnails", "video")
"""Folders beside the label maps; no image's results may take their names."""

Kind = Literal["image", "video", "camera", "address", "stdin"]


class Source(NamedTuple):
    """Something to label and the name that its results get."""

    path: Path | str
    """The file; the text that was typed where there is none."""
    name: str
    """Name of the results without ending: the file's stem, behind its subfolders if any."""
    kind: Kind = "image"
    """What has to be opened."""

    @property
    def is_stream(self) -> bool:
        """Whether it has frames that can only be had in their order."""
        return self.kind in ("video", "camera")

    @property
    def file(self) -> str:
        """What it is, however it was spelt: the absolute path of a file."""
        return str(self.path.absolute()) if isinstance(self.path, Path) else self.path

    def title(self, name: str) -> str:
        """Say what to call it in messages; a frame of it by the name of the frame's results."""
        return str(self.path) if name == self.name else f"{self.path} ({name})"


@dataclass
class Sources:
    """What a list of inputs came to."""

    found: list[Source] = field(default_factory=list)
    """What to label, each once, in the order given and in natural order in a folder or glob."""
    wrong: dict[str, str] = field(default_factory=dict)
    """Inputs that cannot be used: what was given, and a sentence that says why."""


def find_images(
    inputs: Iterable[str | Path], recursive: bool = False, exclude: Path | None = None
) -> Sources:
    """Expand files, folders, globs and lists, and name the results.

    Besides those an input can be `@FILE` (a list of inputs, one per line; `@-` reads it from
    standard input), `-` (an image on standard input), `http://` or `https://`, a video file, or
    `camera:0`. Results are named after the file's stem, behind subfolders that were looked into.
    Where two would share a name the later one gets its folder in front (`b_x`), or its ending
    behind (`x_png`), or a number. A file that is named twice is labelled once.

    Args:
        inputs: what the user typed.
        recursive: take images of subfolders too.
        exclude: folder whose files are no inputs: the one that results are written to.
    """
    sources = Sources()
    names: set[str] = set()
    files: set[str] = set()
    for given in _read_lists(map(str, inputs), sources):
        try:
            images = _expand(given, recursive, exclude)
            if not images:
                sources.wrong[given] = _explain_nothing(given, recursive, exclude)
        except OSError as error:
            images = []
            sources.wrong[given] = (
                f"'{given}' must be readable, got '{error.strerror}'. Check its name and rights."
            )
        for image in images:
            if image.file not in files:
                files.add(image.file)
                name = next(x for x in _names(image) if os.path.normcase(x) not in names)
                names.add(os.path.normcase(name))
                sources.found.append(image._replace(name=name))
    return sources


def _read_lists(inputs: Iterable[str], sources: Sources) -> Iterator[str]:
    """Replace `@FILE` by the lines of the file; blank lines and those after # are left out."""
    for given in inputs:
        if not given.startswith("@") or Path(given).exists():
            yield given
            continue
        path = Path(given[1:])
        try:
            text = sys.stdin.read() if given == "@-" else path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            sources.wrong[given] = (
                f"'{given}' must name a text file with one input per line, got "
                f"'{getattr(error, 'strerror', None) or error}'. Check its path."
            )
            continue
        lines = [line.strip() for line in text.splitlines()]
        entries = [line for line in lines if line and not line.startswith("#")]
        if not entries:
            sources.wrong[given] = f"'{given}' must list inputs, one per line, got none."
        yield from (_beside(entry, path) for entry in entries)


def _beside(entry: str, list_path: Path) -> str:
    """Take a name as it stands, or, where there is nothing, as relative to the list's folder."""
    try:
        beside = list_path.parent / entry
        return str(beside) if not Path(entry).exists() and beside.exists() else entry
    except OSError:
        return entry


def _names(image: Source) -> Iterator[str]:
    """Yield the names that an image's results can have, the best first."""
    folders, slash, stem = image.name.rpartition("/")
    first, *others = folders.split("/")
    folders = "/".join([f"{first}_" if first in RESULT_FOLDERS else first, *others])
    whole = f"{folders}{slash}{stem}"
    yield whole
    if isinstance(image.path, Path):
        parent = image.path.absolute().parent.name
        if parent and not folders:
            yield f"{parent}_{stem}"
        if image.path.suffix:
            yield f"{whole}_{image.path.suffix[1:]}"
    yield from (f"{whole}_{number}" for number in itertools.count(2))


def _expand(given: str, recursive: bool, exclude: Path | None) -> list[Source]:
    special = _expand_special(given)
    if special:
        return [special]
    root = Path(given)
    if root.is_file():
        return [_file(root)]
    if not root.is_dir():
        matches = map(Path, glob.glob(given, recursive=True))  # noqa: PTH207 - Path.glob wants a root
        return [_file(path) for path in sorted(matches, key=natural_key) if path.is_file()]
    inner = _inside(exclude, root)
    return [
        Source(path, path.relative_to(root).with_name(path.stem).as_posix())
        for path in sorted(root.glob("**/*" if recursive else "*"), key=natural_key)
        if is_image(path) and path.is_file() and not (inner and path.is_relative_to(inner))
    ]


def _expand_special(given: str) -> Source | None:
    """Recognise what is no file: standard input, an address, a camera."""
    if given == "-":
        return Source("-", "stdin", "stdin")
    if re.match(r"https?://", given, re.IGNORECASE):
        path = re.sub(r"https?://[^/?#]*|[?#].*", "", given, flags=re.IGNORECASE)
        stem = re.sub(r"[^\w.-]+", "_", Path(unquote(path)).stem).strip(".")
        return Source(given, stem or "image", "address")
    if match := re.fullmatch(r"camera:(\d+)", given):
        return Source(given, f"camera{match[1]}", "camera")
    return None


def _file(path: Path) -> Source:
    return Source(path, path.stem, "video" if path.suffix.lower() in VIDEO_SUFFIXES else "image")


def _inside(exclude: Path | None, root: Path) -> Path | None:
    """Write `exclude` as a path below `root`, or None where it is not inside."""
    if exclude is None:
        return None
    inner, outer = exclude.resolve(), root.resolve()
    return root / inner.relative_to(outer) if outer in inner.parents else None


def _explain_nothing(given: str, recursive: bool, exclude: Path | None) -> str:
    root = Path(given)
    if scheme := re.match(r"([a-z][a-z0-9+.-]+)://", given, re.IGNORECASE):
        return f"'{given}' must start with http:// or https://, got '{scheme[1]}'. Download it."
    if root.is_dir():
        deeper = [] if recursive else _expand(given, recursive=True, exclude=exclude)
        way_out = "Put some there, or name another folder."
        if deeper:
            way_out = f"Add `--recursive` for the {len(deeper):,} in its subfolders."
        return f"'{given}' must hold images ({', '.join(IMAGE_SUFFIXES)}), got none. {way_out}"
    if glob.has_magic(given):
        return f"'{given}' must match a file, got none. Check the pattern."
    siblings = [x.name for x in root.parent.iterdir()] if root.parent.is_dir() else []
    close = difflib.get_close_matches(root.name, siblings, n=1)
    way_out = f"Did you mean '{root.with_name(close[0])}'?" if close else "Check the spelling."
    return f"'{given}' must be an image, a folder or a pattern, got nothing there. {way_out}"
