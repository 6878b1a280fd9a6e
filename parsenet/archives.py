"""Tar and zip archives that nobody vouches for: read within limits, unpacked into one folder."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, cast, final

from parsenet.errors import FetchError

MAX_MEMBERS, MAX_MEMBER_BYTES, MAX_BYTES = 200_000, 100_000_000, 8_000_000_000
"""What an archive may hold, and what one of its members and all may unpack to."""
MAX_RATIO, MIN_LIMIT = 100, 100_000_000
"""All may unpack to so many times the archive's size, and to `MIN_LIMIT` bytes in any case."""
_MAX_HEADER = 1 << 18
"""Bytes between two files of a tar: long names and the like, which are read into memory."""
_BLOCK = 1 << 16
_HARM = "It was made to do harm or is damaged; get it from another source."
_JUNK = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_DAMAGE = (
    EOFError, NotImplementedError, RecursionError, ValueError, OverflowError, LookupError,
    lzma.LZMAError, struct.error, tarfile.TarError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class Member(NamedTuple):
    """One entry of an archive: `kind` is `file`, `folder`, or `other` for links and devices."""

    name: str
    kind: str
    size: int
    open: Callable[[], BufferedIOBase]


def unpack(path: Path, rules: Mapping[str, str], folder: Path) -> None:
    r"""Write the wanted files of an archive into a folder, and nothing anywhere else.

    Permissions, owners and times of the archive are not taken over.

    Args:
        path: tar (plain, gz, bz2 or xz) or zip.
        rules: expressions that a whole name must match, each with the name to write, where `\1`
            is the first group; the first that matches counts.
        folder: where to write; it must not hold those files yet.

    Raises:
        FetchError: the archive is damaged, unsafe, grows too large, or holds no wanted file.
    """
    count = 0
    for member in read_members(path):
        name = safe_name(member.name, path.name)
        found = (m.expand(rules[x]) for x in rules if (m := re.fullmatch(x, name)))
        wanted = next(found, None)
        if member.kind == "folder" or is_junk(name) or wanted is None:
            continue
        target = folder / wanted
        if member.kind == "other" or target.exists():
            rule, got = "hold each file once", f"'{name}' twice"
            if member.kind == "other":
                rule, got = "hold plain files", f"a link or device as '{name}'"
            raise FetchError(f"'{path}' must {rule}, got {got}. {_HARM}")
        target.parent.mkdir(parents=True, exist_ok=True)
        with _whole(path), member.open() as stream, target.open("xb") as file:
            while block := stream.read(_BLOCK):
                file.write(block)
            if file.tell() != member.size:
                raise EOFError(f"an end in the middle of '{name}'")
        count += 1
    if not count:
        raise FetchError(
            f"'{path}' must hold the files of the data set, got none of them. It is another "
            "archive; get the one that docs/download.md names."
        )


def read_members(path: Path) -> Iterator[Member]:
    """Go through an archive from its beginning; each member must be read before the next.

    Members count against the limits before they are read or passed over, and none gives more
    bytes than it claims.

    Args:
        path: tar or zip; its first bytes decide, not its name.

    Raises:
        FetchError: it is neither, is damaged or encrypted, or grows too large.
    """
    most = min(MAX_BYTES, max(MIN_LIMIT, MAX_RATIO * path.stat().st_size))
    total = 0
    with _whole(path), path.open("rb") as raw:
        start = raw.read(16)
        raw.seek(0)
        members = _read_zip(raw, path) if start[:2] == b"PK" else _read_tar(raw, path, start)
        for count, member in enumerate(members, start=1):
            total += member.size
            for value, limit, what in (
                (count, MAX_MEMBERS, "files"),
                (member.size, MAX_MEMBER_BYTES, f"bytes in {member.name!r}"),
                (total, most, "bytes"),
            ):
                if value > limit:
                    raise FetchError(
                        f"'{path}' must unpack to at most {limit} {what}, got more. {_HARM}"
                    )
            yield member


def safe_name(name: str, archive: str) -> str:
    """Return the name of a member in plain form, `a/b/c`; the folder of everything is ''.

    Args:
        name: as the archive has it; backslashes of Windows are read as slashes.
        archive: whose name an error tells.

    Raises:
        FetchError: written as it is, the file would land outside the folder it is unpacked to.
    """
    plain = name.replace("\\", "/")
    parts = PurePosixPath(plain).parts
    has_drive = bool(parts) and ":" in parts[0]
    if plain.startswith("/") or has_drive or ".." in parts or not plain.isprintable():
        raise FetchError(
            f"'{archive}' must hold names inside its own folder, got {name!r}. {_HARM}"
        )
    return "/".join(parts)


def is_junk(name: str) -> bool:
    """Say whether a file belongs to an operating system and not to the data."""
    parts = PurePosixPath(name).parts
    return bool(_JUNK & set(parts)) or any(part.startswith("._") for part in parts)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turn every way in which reading a damaged archive fails into one `FetchError`."""
    try:
        yield
    except (*_DAMAGE, OSError) as error:
        # gzip and bz2 report damage as an OSError; trouble with the disk has a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise FetchError(
            f"'{path}' must be a whole archive, got '{error}'. Get it again."
        ) from None


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


def _read_tar(raw: BufferedIOBase, path: Path, start: bytes) -> Iterator[Member]:
    opener: Any = next((x for magic, x in _OPENERS.items() if start.startswith(magic)), None)
    stream = _Bounded(raw if opener is None else opener(raw))
    try:
        tar = tarfile.TarFile(fileobj=cast(Any, stream))
    except tarfile.ReadError:
        raise FetchError(
            f"'{path}' must be a tar or zip archive, got a file that begins with {start!r}. "
            "Get it again; a page that asks for a login is often stored by mistake."
        ) from None
    while (info := tar.next()) is not None:
        is_file = info.isreg() and not info.issparse()
        kind = "folder" if info.isdir() else "file" if is_file else "other"
        stream.left = info.size + _BLOCK
        yield Member(info.name, kind, info.size, cast(Any, partial(tar.extractfile, info)))
        tar.members = []  # type: ignore[attr-defined] # of which it keeps all it has seen
        stream.left = _MAX_HEADER
    stream.left = _MAX_HEADER
    stream.read(_MAX_HEADER)  # padding, and behind it the checksum of what was packed


def _read_zip(raw: BufferedIOBase, path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(cast(Any, raw)) as archive:
        for info in archive.infolist():
            if info.flag_bits & 0x1:
                raise FetchError(
                    f"'{path}' must not be encrypted, got a password on {info.filename!r}. "
                    "Unpack it yourself and pack it again without."
                )
            # Unix keeps the kind of file in the upper half; archives made elsewhere have 0 there.
            is_file = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG)
            kind = "folder" if info.is_dir() else "file" if is_file else "other"
            yield Member(
                info.filename, kind, info.file_size, cast(Any, partial(archive.open, info))
            )
