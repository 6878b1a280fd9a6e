"""Tar and zip archives that nobody vouches for: read within limits, unpacked into one folder."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, cast, final

from parsenet.errors import FetchError, ParseNetError

MAX_MEMBERS, MAX_MEMBER_BYTES, MAX_BYTES = 200_000, 100_000_000, 8_000_000_000
"""What an archive may hold, and what one of its members and all may unpack to."""
MAX_RATIO, MIN_LIMIT = 100, 100_000_000
"""All may unpack to so many times the archive's size, and to `MIN_LIMIT` bytes in any case."""
_MAX_HEADER = 1 << 18
"""Bytes between two files of a tar: long names and the like, which are read into memory."""
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


class Member(NamedTuple):
    """One entry of an archive: `kind` is `file`, `folder`, or `other` for links and devices."""

    name: str
    kind: str
    size: int
    open: Callable[[], BufferedIOBase]


def unpack(path: Path, rules: Sequence[str], folder: Path) -> None:
    """Write the wanted files of a tar or zip into a folder, and nothing anywhere else.

    A whole name must match one of the rules, whose first group is the name to write. Permissions,
    owners and times of the archive are not taken over.

    Raises:
        FetchError: the archive is damaged, unsafe, grows too large, or holds no wanted file.
    """
    with whole(path):
        for member in read_members(path):
            found = (re.fullmatch(rule, member.name) for rule in rules)
            target = next((folder / match[1] for match in found if match), None)
            if target is None:
                continue
            if member.kind == "other":
                raise _harmful(path, "hold plain files", f"a link or device as '{member.name}'")
            if target.exists():
                raise _harmful(path, "hold each file once", f"'{member.name}' twice")
            target.parent.mkdir(parents=True, exist_ok=True)
            with member.open() as stream, target.open("xb") as file:
                shutil.copyfileobj(stream, file)
                if file.tell() != member.size:
                    raise EOFError(f"an end in the middle of '{member.name}'")
    if not folder.is_dir():
        raise FetchError(
            f"'{path}' must hold the files of the data set, got none of them. It is another "
            "archive; get the one that docs/download.md names."
        )


def read_members(path: Path) -> Iterator[Member]:
    """Go through an archive, to be used inside `whole`; read each member before the next.

    Folders and what operating systems leave (`__MACOSX`, hidden files) are passed over. All count
    against the limits before they are read, and none gives more bytes than it claims. The first
    bytes of the archive say what it is, not its name.

    Raises:
        FetchError: it grows too large, or has a name that leads outside its folder.
    """
    most = min(MAX_BYTES, max(MIN_LIMIT, MAX_RATIO * path.stat().st_size))
    total = 0
    with path.open("rb") as raw:
        start = raw.read(6)
        raw.seek(0)
        members = _read_zip(raw) if start[:2] == b"PK" else _read_tar(raw, start)
        for count, member in enumerate(members, start=1):
            total += member.size
            for value, limit, what in (
                (count, MAX_MEMBERS, "files"),
                (member.size, MAX_MEMBER_BYTES, f"bytes in {member.name!r}"),
                (total, most, "bytes"),
            ):
                if value > limit:
                    raise _harmful(path, f"unpack to at most {limit} {what}", "more")
            plain = member.name.replace("\\", "/")  # as Windows reads it
            name = PurePosixPath(plain).as_posix()
            if re.search(r"^/|^[^/]*:|(^|/)\.\.(/|$)", plain) or not plain.isprintable():
                raise _harmful(path, "hold names inside its own folder", repr(member.name))
            if member.kind != "folder" and not re.search(r"(^|/)(\.|__MACOSX/)", name):
                yield member._replace(name=name)


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Turn every way in which reading a damaged archive fails into one `FetchError`."""
    try:
        yield
    except Exception as error:  # readers of damaged files fail in every way there is
        # gzip and bz2 report damage as an OSError; trouble with the disk has a number.
        if isinstance(error, ParseNetError) or getattr(error, "errno", None) is not None:
            raise
        raise FetchError(
            f"'{path}' must be a whole tar or zip archive without a password, got '{error}'. Get "
            "it again; a page that asks for a login is often stored by mistake."
        ) from None


def _harmful(path: Path, rule: str, got: str) -> FetchError:
    way_out = "It was made to do harm or is damaged; get it from another source."
    return FetchError(f"'{path}' must {rule}, got {got}. {way_out}")


@final
class _Bounded:
    """An unpacked tar that gives at most `left` bytes: the sizes of headers may be lies."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self.left = _MAX_HEADER
        self.seek, self.tell, self._read = stream.seek, stream.tell, stream.read

    def read(self, size: int) -> bytes:
        self.left -= size
        if self.left < 0:
            raise ValueError("a header without end")
        return self._read(size)


def _read_tar(raw: BufferedIOBase, start: bytes) -> Iterator[Member]:
    opener: Any = next((x for magic, x in _OPENERS.items() if start.startswith(magic)), None)
    stream = _Bounded(raw if opener is None else opener(raw))
    tar = tarfile.TarFile(fileobj=cast(Any, stream))
    while (info := tar.next()) is not None:
        is_file = info.isreg() and not info.issparse()
        kind = "folder" if info.isdir() else "file" if is_file else "other"
        stream.left = info.size + _MAX_HEADER
        yield Member(info.name, kind, info.size, cast(Any, partial(tar.extractfile, info)))
        tar.members = []  # type: ignore[attr-defined] # of which it keeps all it has seen
        stream.left = _MAX_HEADER
    stream.left = _MAX_HEADER
    stream.read(_MAX_HEADER)  # padding, and behind it the checksum of what was packed


def _read_zip(raw: BufferedIOBase) -> Iterator[Member]:
    with zipfile.ZipFile(cast(Any, raw)) as archive:
        for info in archive.infolist():
            # Unix keeps the kind of file in the upper half; archives made elsewhere have 0 there.
            is_file = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG)
            kind = "folder" if info.is_dir() else "file" if is_file else "other"
            yield Member(
                info.filename, kind, info.file_size, cast(Any, partial(archive.open, info))
            )
