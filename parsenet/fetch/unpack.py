"""Write the wanted files of an archive into a folder, and nothing anywhere else."""

from __future__ import annotations

from pathlib import Path
from typing import final

from parsenet.errors import FetchError
from parsenet.fetch.archive import Limits
from parsenet.fetch.bars import bytes_bar
from parsenet.fetch.members import Member, read_members, whole_archive
from parsenet.fetch.names import Pick, is_junk, safe_name

_BLOCK = 1 << 20


def unpack(path: Path, pick: Pick, target: Path, limits: Limits) -> int:
    """Unpack an archive that nobody vouches for.

    Every name in it must be safe. Links, devices and the like are refused where they are wanted
    and never written where they are not. Sizes are counted as bytes come, whatever the archive
    claims. Permissions, owners and times of the archive are not taken over.

    Args:
        path: tar or zip archive.
        pick: from safe name to the one to write, or None.
        target: folder to write to; it must not hold those files yet.
        limits: what the archive may grow to.

    Returns:
        How many files were written.

    Raises:
        FetchError: the archive is damaged, unsafe, grows too large, or holds no wanted file.
    """
    counter = _Counter(path, limits)
    written = 0
    with bytes_bar() as bar:
        task = bar.add_task(f"unpacking {path.name}", total=path.stat().st_size)
        for member in read_members(path):
            bar.update(task, completed=member.position)
            name = safe_name(member.name, path.name)
            counter.count_member(member)
            wanted = None if member.kind == "folder" or is_junk(name) else pick(name)
            if wanted is not None:
                _require_file(path, member)
                _write(path, member, target / wanted, counter)
                written += 1
    if not written:
        raise FetchError(
            f"'{path}' must hold the files of the data set, got none of them. It is another "
            "archive; get the one that docs/download.md names."
        )
    return written


@final
class _Counter:
    """Counts members and bytes, and stops at the limits.

    Args:
        path: the archive, for the message.
        limits: what it may grow to.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._members = 0
        self._bytes = 0

    def count_member(self, member: Member) -> None:
        """Count a member that begins; its claimed bytes count even if it is passed over."""
        self._members += 1
        if self._members > self._limits.num_members:
            self._refuse(f"{self._limits.num_members} files")
        # A tar must be unpacked up to the next member even where this one is not wanted.
        self._count(member.size)
        if member.size > self._limits.member_bytes:
            self._refuse(f"{self._limits.member_bytes} bytes in '{member.name}'")

    def count_written(self, member: Member, written: int) -> None:
        """Compare the bytes that came with those that were claimed."""
        if written > member.size:
            self._refuse(f"the {member.size} bytes that '{member.name}' claims")

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._limits.total_bytes:
            self._refuse(f"{self._limits.total_bytes} bytes")

    def _refuse(self, limit: str) -> None:
        raise FetchError(
            f"'{self._path}' must unpack to at most {limit}, got more. It was made to do harm or "
            "is damaged; get it from another source."
        )


def _require_file(path: Path, member: Member) -> None:
    if member.kind == "other":
        raise FetchError(
            f"'{path}' must hold plain files, got a link or device as '{member.name}'. It was made "
            "to do harm or is damaged; get it from another source."
        )


def _write(path: Path, member: Member, target: Path, counter: _Counter) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = target.open("xb")
    except FileExistsError:
        raise FetchError(
            f"'{path}' must hold each file once, got '{member.name}' twice. It was made to do harm "
            "or is damaged; get it from another source."
        ) from None
    with file, whole_archive(path), member.open() as stream:
        while block := stream.read(_BLOCK):
            counter.count_written(member, file.tell() + len(block))
            file.write(block)
    if target.stat().st_size < member.size:
        raise FetchError(
            f"'{path}' must be a whole archive, got an end in the middle of '{member.name}'. Get "
            "it again."
        )
