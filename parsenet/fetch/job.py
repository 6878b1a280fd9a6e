"""The work of one tool in one folder: get archives, check them, unpack them, and keep a record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple, final
from urllib.parse import quote, urlsplit

from parsenet.errors import FetchError
from parsenet.fetch.archive import Archive, Digest, digest_file
from parsenet.fetch.download import Patience, download
from parsenet.fetch.layout import remove_leftovers
from parsenet.fetch.names import Pick
from parsenet.fetch.place import Placement
from parsenet.fetch.record import Record, count_files
from parsenet.fetch.unpack import unpack

_LOGGER = logging.getLogger(__name__)


class Source(NamedTuple):
    """An archive, and which of its files are wanted."""

    archive: Archive
    pick: Pick


@dataclass(frozen=True)
class Options:
    """What the user said.

    Attributes:
        out: folder of the data set.
        given: archives that are at hand, by name.
        mirrors: further addresses, of a file or of the folder that holds it.
        only_mirrors: leave the official addresses out.
        hashes: hashes that count in place of the published ones, by the archive's name.
        num_workers: processes for conversion.
        clean: remove downloaded archives in the end.
        patience: how long to try an address.
    """

    out: Path
    given: Mapping[str, Path] = field(default_factory=dict)
    mirrors: Sequence[str] = ()
    only_mirrors: bool = False
    hashes: Mapping[str, Digest] = field(default_factory=dict)
    num_workers: int = 1
    clean: bool = False
    patience: Patience = field(default_factory=Patience)


@final
class Job:
    """A tool at work.

    Args:
        tool: its name.
        options: what the user said.
    """

    def __init__(self, tool: str, options: Options) -> None:
        self.out = options.out
        self.num_workers = options.num_workers
        self._options = options
        self._state_dir = options.out / ".parsenet"
        self._downloads = options.out / "downloads"
        self._record = Record(self._state_dir / f"{tool}.json")

    @property
    def lock_path(self) -> Path:
        """The file to lock while at work."""
        return self._state_dir / "lock"

    def begin(self) -> None:
        """Tidy up after a run that was killed; the lock must be held."""
        remove_leftovers(self._state_dir)
        remove_leftovers(self._downloads)

    def ensure(
        self, title: str, sources: Sequence[Source], check: Callable[[Path], str | None]
    ) -> None:
        """Unpack archives unless all they hold is in place.

        Args:
            title: name of the data set.
            sources: archives, and what to unpack of them.
            check: says what is missing in `out`, as the end of a sentence.

        Raises:
            FetchError: an archive cannot be had, or does not hold what it should.
        """
        steps = [(source, self._placement(source.archive)) for source in sources]
        waiting = any(placement.is_waiting for _, placement in steps)
        if not waiting and self._record.find_loss(self.out) is None and check(self.out) is None:
            _LOGGER.info("%s in '%s' is complete.", title, self.out)
            return
        for source, placement in steps:
            placement.fill(partial(self._unpack, source))
            placement.move()
        problem = check(self.out)
        if problem is not None:
            raise FetchError(
                f"{title} in '{self.out}' must be complete, got one in which {problem}. Get the "
                "archive from another source, or move what lies there away and start again."
            )

    def obtain(self, archive: Archive) -> Path:
        """Get an archive that passed its check: the user's, one downloaded before, or a new one."""
        if archive.name in self._options.given:
            path = self._options.given[archive.name]
            self._accept(archive, path, str(path))
            return path
        path = self._downloads / archive.name
        if path.is_file():
            try:
                self._accept(archive, path, str(path))
            except FetchError as error:
                _LOGGER.warning("%s Downloading it again.", error)
                path.unlink()
            else:
                return path
        urls = [] if self._options.only_mirrors else list(archive.urls)
        urls += [_mirrored(url, archive.name) for url in self._options.mirrors]
        wanted = self._options.hashes.get(archive.name, archive.digest)
        checked = wanted is not None and (archive.firm or archive.name in self._options.hashes)
        source = download(
            urls,
            path,
            lambda part: self._accept(archive, part, "download"),
            checked,
            self._options.patience,
        )
        self._record.note_source(archive.name, source)
        return path

    def finish(self, archives: Sequence[Archive]) -> None:
        """Remove the downloaded archives, or say that they may go."""
        paths = [self._downloads / archive.name for archive in archives]
        paths = [path for path in paths if path.is_file()]
        size = sum(path.stat().st_size for path in paths) / 1e9
        if self._options.clean:
            for path in paths:
                path.unlink()
            if self._downloads.is_dir() and not any(self._downloads.iterdir()):
                self._downloads.rmdir()
        elif paths:
            _LOGGER.info(
                "The archives in '%s' (%.1f GB) are no longer needed; `--clean` removes them.",
                self._downloads,
                size,
            )

    def _placement(self, archive: Archive) -> Placement:
        return Placement(self._state_dir, archive.name, self.out)

    def _unpack(self, source: Source, folder: Path) -> None:
        path = self.obtain(source.archive)
        _LOGGER.info("Unpacking '%s'.", path)
        unpack(path, source.pick, folder, source.archive.limits)
        for entry in folder.iterdir():
            self._record.note_folder(entry.name, count_files(entry))

    def _accept(self, archive: Archive, path: Path, source: str) -> None:
        """Check the hash; where none is published, the hash of the last time."""
        name = archive.name
        wanted = self._options.hashes.get(name, archive.digest)
        if wanted is not None:
            got = digest_file(path, wanted.algorithm)
            if got == wanted:
                sha256 = got.value if got.algorithm == "sha256" else ""
                self._record.note_archive(name, sha256, source, str(wanted))
                return
            if archive.firm or name in self._options.hashes:
                raise FetchError(
                    f"'{name}' must have the {wanted}, got {got.value}. It is damaged or another "
                    "file."
                )
            _LOGGER.warning(
                "%s has another %s than the known one; its server packs it anew.",
                name,
                wanted.algorithm.upper(),
            )
        got = digest_file(path, "sha256")
        self._record.require_same(name, got.value)
        self._record.note_archive(name, got.value, source, "nothing")
        _LOGGER.warning(
            "%s is unverified: it fits no published hash. Its SHA-256 is %s; later runs are held "
            "to it.",
            name,
            got.value,
        )


def _mirrored(url: str, name: str) -> str:
    """Complete an address that names the folder of a file."""
    if urlsplit(url).path.rpartition("/")[2] == name:
        return url
    return f"{url.rstrip('/')}/{quote(name)}"
