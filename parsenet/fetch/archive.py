"""What is known of an archive before it is fetched: addresses, hash, and how large it may grow."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from parsenet.errors import ConfigError
from parsenet.fetch.bars import bytes_bar

Algorithm = Literal["sha256", "sha1", "md5"]

# Hexadecimal digits of a hash.
_LENGTHS = {"sha256": 64, "sha1": 40, "md5": 32}

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Digest:
    """A hash: `algorithm`, and `value` in lower-case hexadecimal digits."""

    algorithm: Algorithm
    value: str

    def __post_init__(self) -> None:
        digits = set(self.value) <= set("0123456789abcdef")
        if not digits or len(self.value) != _LENGTHS[self.algorithm]:
            raise ConfigError(
                f"A hash `{self.algorithm}` must have {_LENGTHS[self.algorithm]} digits of 0-9 and "
                f"a-f, got '{self.value}'. Copy it again."
            )

    def __str__(self) -> str:
        return f"{self.algorithm.upper()} {self.value}"


@dataclass(frozen=True)
class Limits:
    """What an archive may grow to when unpacked; a small one that grows without end is a trap.

    `num_members` counts files, `member_bytes` is for one of them, `total_bytes` for all, those
    that are passed over included.
    """

    num_members: int = 200_000
    member_bytes: int = 100_000_000
    total_bytes: int = 8_000_000_000


@dataclass(frozen=True)
class Archive:
    """An archive, or a single file, of a data set.

    Attributes:
        name: file name it is stored under.
        urls: addresses, the official one first.
        digest: its published hash; None where nobody published one.
        firm: False where the server packs the archive anew for every request, so that another
            hash than the known one is told and not refused.
        limits: what it may grow to.
    """

    name: str
    urls: tuple[str, ...]
    digest: Digest | None = None
    firm: bool = True
    limits: Limits = Limits()


def digest_file(path: Path, algorithm: Algorithm) -> Digest:
    """Compute the hash of a file, with a bar for a large one."""
    total = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file, bytes_bar() as bar:
        task = bar.add_task(f"checking {path.name}", total=path.stat().st_size)
        while block := file.read(_BLOCK):
            total.update(block)
            bar.advance(task, len(block))
    return Digest(algorithm, total.hexdigest())
