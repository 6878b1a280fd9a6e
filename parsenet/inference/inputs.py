"""From what was typed to the list of things to label, each with a name for its results.

Files, folders, globs, list files, addresses and videos, in natural order. Whatever is wrong is
collected as a sentence; finding the inputs never raises, and opens no image. What an address
holds is fetched later, with a limit on everything that a server can choose.
"""

from __future__ import annotations

import difflib
import glob
import itertools
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import unquote

import numpy as np
from jaxtyping import UInt8

from parsenet.data.reading import IMAGE_SUFFIXES, is_image
from parsenet.errors import ImageError
from parsenet.files import natural_key
from parsenet.version import __version__

MAX_BYTES = 64 * 2**20
"""Bytes above which what an address answers is cut off and refused."""

TIMEOUT, DEADLINE = 20.0, 120.0
"""Seconds that a server may stay silent, and that a whole answer may take, however it drips."""


class _FewRedirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 5


_HANDLERS = (
    urllib.request.ProxyHandler, urllib.request.UnknownHandler, urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler, urllib.request.HTTPDefaultErrorHandler,
    urllib.request.HTTPErrorProcessor, _FewRedirects,
)  # fmt: skip

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")
"""Endings, in lower case, that make a named file a video; folders give images only."""

PLACES = {
    "label": "{}.png",
    "overlay": "overlay/{}.jpg",
    "probabilities": "probabilities/{}.npz",
    "entropy": "entropy/{}.png",
    "areas": "areas/{}.json",
    "coco": "coco/{}.json",
    "sheet": "thumbnails/{}.jpg",
    "video": "video/{}.mp4",
}
"""Where each kind of result of an input lies. At the end of a run three of them are put together:
`areas.csv` and `areas.json`, `coco.json`, pages in `sheet`."""

RESULT_FOLDERS = frozenset(place.partition("/")[0] for place in PLACES.values()) | {"sheet"}
"""Folders beside the label maps; no image's results may take their names."""


class Input(NamedTuple):
    """Something to label and the name that its results get."""

    path: Path | str
    """The file, or the address."""
    name: str
    """Name of the results without ending: the file's stem, behind its subfolders if any."""
    kind: Literal["image", "video", "address"] = "image"
    """What has to be opened."""


class Frame(NamedTuple):
    """An image to label: an input, or one of the frames of a video or animation."""

    source: Input
    name: str
    """Name of its results without ending."""
    title: str
    """What to call it in messages and reports."""
    image: UInt8[np.ndarray, "h w 3"]
    """RGB in [0, 255]."""


@dataclass
class Inputs:
    """What the words of a command came to."""

    found: list[Input] = field(default_factory=list)
    """What to label, each once, in the order given and in natural order in a folder or glob."""
    wrong: dict[str, str] = field(default_factory=dict)
    """What cannot be used: what was given, and a sentence that says why."""


def find_inputs(
    words: Iterable[str | Path], recursive: bool = False, exclude: Path | None = None
) -> Inputs:
    """Expand files, folders, globs and lists, and name the results.

    Besides those a word can be `@FILE` (a list of words, one per line; `@-` reads it from standard
    input), `http://` or `https://`, or a video file. Results are named after the file's stem,
    behind subfolders that were looked into. Where two would share a name the later one gets its
    folder in front (`b_x`), or its ending behind (`x_png`), or a number. A file that is named
    twice is labelled once.

    Args:
        words: what the user typed.
        recursive: take images of subfolders too.
        exclude: folder whose files are no inputs: the one that results are written to.
    """
    inputs = Inputs()
    names: set[str] = set()
    files: set[str] = set()
    for word in words:
        is_list = str(word).startswith("@") and not Path(word).exists()
        for entry in _read_list(str(word), inputs) if is_list else [str(word)]:
            try:
                found = _expand(entry, recursive, exclude)
                if not found:
                    inputs.wrong[entry] = _explain_nothing(entry, recursive, exclude)
            except OSError as error:
                found = []
                inputs.wrong[entry] = (
                    f"'{entry}' must be readable, got '{error.strerror}'. Check its name and "
                    "rights."
                )
            for one in found:
                file = os.path.abspath(one.path)  # noqa: PTH100 - links stay
                if file in files:
                    continue
                files.add(file)
                if os.path.normcase(one.name) in names:
                    name = next(x for x in _names(one) if os.path.normcase(x) not in names)
                    one = one._replace(name=name)
                names.add(os.path.normcase(one.name))
                inputs.found.append(one)
    return inputs


def _read_list(word: str, inputs: Inputs) -> list[str]:
    """Return the lines of the file in `@FILE`; blank ones and those after # are left out."""
    path = Path(word[1:])
    try:
        text = sys.stdin.read() if word == "@-" else path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        inputs.wrong[word] = (
            f"'{word}' must name a text file with one input per line, got "
            f"'{getattr(error, 'strerror', None) or error}'. Check its path."
        )
        return []
    lines = [line.strip() for line in text.splitlines()]
    entries = [line for line in lines if line and not line.startswith("#")]
    if not entries:
        inputs.wrong[word] = f"'{word}' must list inputs, one per line, got none."
    # A name counts as it stands or, where there is nothing, from the list's folder.
    return [
        str(path.parent / entry)
        if not os.path.exists(entry) and os.path.exists(path.parent / entry)  # noqa: PTH110 - no errors
        else entry
        for entry in entries
    ]


def _names(one: Input) -> Iterator[str]:
    """Yield the names that the results of an input can have whose own name is taken."""
    if isinstance(one.path, Path):
        parent = one.path.absolute().parent.name
        if parent and "/" not in one.name:
            yield f"{parent}_{one.name}"
        if one.path.suffix:
            yield f"{one.name}_{one.path.suffix[1:]}"
    yield from (f"{one.name}_{number}" for number in itertools.count(2))


def _expand(word: str, recursive: bool, exclude: Path | None) -> list[Input]:
    if re.match(r"https?://", word, re.IGNORECASE):
        path = re.sub(r"https?://[^/?#]*|[?#].*", "", word, flags=re.IGNORECASE)
        stem = re.sub(r"[^\w.-]+", "_", Path(unquote(path)).stem).strip(".")
        return [Input(word, stem or "image", "address")]
    root = Path(word)
    if not root.is_dir():
        matches = [root]
        if not root.is_file():
            matches = sorted(map(Path, glob.glob(word, recursive=True)), key=natural_key)  # noqa: PTH207 - Path.glob wants a root
        return [
            Input(x, x.stem, "video" if x.suffix.lower() in VIDEO_SUFFIXES else "image")
            for x in matches
            if x.is_file()
        ]
    found, inner = [], None
    if exclude is not None and root.resolve() in exclude.resolve().parents:
        inner = root / exclude.resolve().relative_to(root.resolve())
    for file in sorted(root.glob("**/*" if recursive else "*"), key=natural_key):
        if is_image(file) and file.is_file() and not (inner and file.is_relative_to(inner)):
            name = file.relative_to(root).with_name(file.stem).as_posix()
            first, slash, rest = name.partition("/")
            mark = "_" if slash and first in RESULT_FOLDERS else ""
            found.append(Input(file, f"{first}{mark}{slash}{rest}"))
    return found


def _explain_nothing(word: str, recursive: bool, exclude: Path | None) -> str:
    root = Path(word)
    if scheme := re.match(r"([a-z][a-z0-9+.-]+)://", word, re.IGNORECASE):
        return f"'{word}' must start with http:// or https://, got '{scheme[1]}'. Download it."
    if root.is_dir():
        deeper = [] if recursive else _expand(word, recursive=True, exclude=exclude)
        way_out = "Put some there, or name another folder."
        if deeper:
            way_out = f"Add `--recursive` for the {len(deeper):,} in its subfolders."
        return f"'{word}' must hold images ({', '.join(IMAGE_SUFFIXES)}), got none. {way_out}"
    if glob.has_magic(word):
        return f"'{word}' must match a file, got none. Check the pattern."
    siblings = [x.name for x in root.parent.iterdir()] if root.parent.is_dir() else []
    close = difflib.get_close_matches(root.name, siblings, n=1)
    way_out = f"Did you mean '{root.with_name(close[0])}'?" if close else "Check the spelling."
    return f"'{word}' must be an image, a folder or a pattern, got nothing there. {way_out}"


def fetch_image(
    address: str, max_bytes: int = MAX_BYTES, timeout: float = TIMEOUT, deadline: float = DEADLINE
) -> bytes:
    """Fetch what an address holds; whether it is an image shows when it is decoded.

    Longer answers than `max_bytes` are refused, a server that is silent for `timeout` seconds is
    given up, and so is an answer that takes `deadline` seconds.

    Raises:
        ImageError: the server cannot be reached, answers with an error, too much or too slowly.
    """
    # An opener of its own: that of urllib would follow a redirect to ftp as well.
    opener = urllib.request.OpenerDirector()
    for kind in _HANDLERS:
        opener.add_handler(kind())
    headers = {"User-Agent": f"parsenet/{__version__}", "Accept": "image/*"}
    end, content, fault = time.monotonic() + deadline, bytearray(), ""
    try:
        request = urllib.request.Request(address, headers=headers)
        with opener.open(request, timeout=timeout) as answer:
            stated = answer.getheader("Content-Length") or ""
            # `read1` returns what has come; `read` would wait for a slow server.
            while not fault and (chunk := answer.read1(2**16)):
                content += chunk
                if len(content) > max_bytes:
                    fault = f"have at most {max_bytes} bytes, got more."
                elif time.monotonic() > end:
                    fault = f"answer in time, got {len(content)} bytes so far."
        if fault:
            fault += " Download it and give the file."
        elif stated.isdigit() and len(content) < int(stated):
            fault = f"be whole, got {len(content)} of {stated} bytes. Try again."
    except urllib.error.HTTPError as error:
        error.close()
        fault = (
            f"give an image, got the answer {error.code} ({error.reason}). Open it in a browser."
        )
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        fault = f"be reachable, got '{reason}'. Check the address and the network."
    if fault:
        raise ImageError(f"'{address}' must {fault}")
    return bytes(content)
