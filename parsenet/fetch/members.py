"""Tar and zip archives as one kind of thing: files with a name, a size and bytes."""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Literal, NamedTuple, cast

from parsenet.errors import FetchError

_ENCRYPTED = 0x1
_PADDING = 1 << 20

_DAMAGE = (
    EOFError,
    NotImplementedError,  # a zip's way of packing that Python does not know
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


class Member(NamedTuple):
    """One entry of an archive.

    `kind` is `other` for links, devices, pipes and files with holes; `size` is what the archive
    claims; `position` counts the bytes of the archive up to it; `open` starts to read.
    """

    name: str
    kind: Literal["file", "folder", "other"]
    size: int
    position: int
    open: Callable[[], BufferedIOBase]


def read_members(path: Path) -> Iterator[Member]:
    """Go through an archive from its beginning; each member must be read before the next.

    Args:
        path: tar (plain, gz, bz2 or xz) or zip; its first bytes decide, not its name.

    Raises:
        FetchError: it is neither, it is damaged, or it is encrypted.
    """
    with path.open("rb") as raw:
        first = raw.read(16)
    with whole_archive(path):
        if first.startswith(b"PK"):
            yield from _read_zip(path)
        elif tarfile.is_tarfile(path):
            yield from _read_tar(path)
        else:
            raise FetchError(
                f"'{path}' must be a tar or zip archive, got a file that begins with {first!r}. "
                "Get it again; a page that asks for a login is often stored by mistake."
            )


@contextmanager
def whole_archive(path: Path) -> Iterator[None]:
    """Turn every way in which reading a damaged archive fails into one `FetchError`."""
    try:
        yield
    except _DAMAGE as error:
        raise _damaged(path, error) from None
    except OSError as error:
        # gzip and bz2 report damage so; trouble with the disk has a number.
        if error.errno is not None:
            raise
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> FetchError:
    return FetchError(f"'{path}' must be a whole archive, got '{error}'. Get it again.")


def _read_tar(path: Path) -> Iterator[Member]:
    with path.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:*") as tar:
        while (info := tar.next()) is not None:
            kind: Literal["file", "folder", "other"] = "other"
            if info.isdir():
                kind = "folder"
            elif info.isreg() and not info.issparse():
                kind = "file"
            yield Member(info.name, kind, info.size, raw.tell(), _tar_opener(tar, info))
            # tarfile keeps every member it has seen; nothing here goes back to one.
            tar.members = []  # type: ignore[attr-defined]
        # Behind the last member is padding, and behind that the checksum of what was packed.
        if tar.fileobj is not None:
            tar.fileobj.read(_PADDING)


def _tar_opener(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], BufferedIOBase]:
    def opener() -> BufferedIOBase:
        stream = tar.extractfile(info)
        assert stream is not None  # None for folders and the like, which nobody opens
        return cast(BufferedIOBase, stream)

    return opener


def _read_zip(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        done = 0
        for info in archive.infolist():
            if info.flag_bits & _ENCRYPTED:
                raise FetchError(
                    f"'{path}' must not be encrypted, got a password on '{info.filename}'. Unpack "
                    "it yourself and pack it again without."
                )
            done += info.compress_size
            yield Member(
                info.filename, _zip_kind(info), info.file_size, done, _zip_opener(archive, info)
            )


def _zip_opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], BufferedIOBase]:
    return lambda: cast(BufferedIOBase, archive.open(info))


def _zip_kind(info: zipfile.ZipInfo) -> Literal["file", "folder", "other"]:
    if info.is_dir():
        return "folder"
    # Unix keeps the kind of file in the upper half; archives made elsewhere have 0 there.
    mode = stat.S_IFMT(info.external_attr >> 16)
    return "file" if mode in (0, stat.S_IFREG) else "other"
