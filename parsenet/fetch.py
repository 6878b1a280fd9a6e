"""Data sets from their sources: download, check and unpack, safe to break off anywhere.

The scripts in `data_tools/` state the facts of one data set; the work is done here, on pooch.
"""

from __future__ import annotations

import contextlib
import filecmp
import itertools
import json
import logging
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final
from urllib.parse import quote, urlsplit

import pooch
import requests
import urllib3
from filelock import FileLock, Timeout
from pooch.hashes import hash_matches
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

from parsenet.archives import unpack
from parsenet.errors import ConfigError, DataNotFoundError, FetchError, ParseNetError
from parsenet.files import write_bytes_atomically

_LOGGER = logging.getLogger(__name__)
_BLOCK = 1 << 14
_TIMEOUT, _LONGEST_PAUSE = 30.0, 60.0
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be different in a moment: time-out, too many requests, the server's trouble."""


@dataclass(frozen=True)
class Archive:
    """An archive of a data set, and what `unpack` takes of it.

    `known_hash` is the published one, `sha256:HEX`, or None where nobody published one.
    """

    name: str
    urls: tuple[str, ...]
    known_hash: str | None
    rules: Mapping[str, str]


@dataclass(frozen=True)
class FetchOptions:
    """Download a data set, check it and unpack it; after an interruption it goes on from there."""

    out: Path
    """Folder of the data set."""
    from_: tuple[Path, ...] = ()
    """Archives that you have already, FILE,FILE; they are checked and never changed."""
    mirror: tuple[str, ...] = ()
    """Further addresses, URL,URL, of an archive or of the folder that holds it."""
    only_mirrors: bool = False
    """Leave the official addresses out."""
    sha256: tuple[str, ...] = ()
    """Hold an archive to this hash, in place of the published one: [NAME=]HEX,[NAME=]HEX."""
    retries: int = 4
    """Failures in a row before the last address is given up."""
    clean: bool = False
    """Remove downloaded archives in the end."""

    def __post_init__(self) -> None:
        if self.only_mirrors and not self.mirror:
            raise ConfigError(
                "`--only-mirrors` must come with `--mirror`, got none. Name an address."
            )
        if self.retries < 0:
            raise ConfigError(f"`--retries` must not be negative, got {self.retries}. 4 is usual.")
        for path in self.from_:
            if not path.is_file():
                raise ConfigError(f"`--from` must name files, got '{path}'. Check the path.")
        for word in self.sha256:
            if not re.fullmatch(r"(.*=)?[0-9a-fA-F]{64}", word):
                raise ConfigError(
                    f"`--sha256` must have 64 digits of 0-9 and a-f, got '{word}'. Copy it again."
                )


@contextlib.contextmanager
def fetching(options: FetchOptions, archives: Sequence[Archive]) -> Iterator[Fetcher]:
    """Hold the folder of a data set while its archives are fetched; tidy up before and after.

    Raises:
        FetchError: another tool is at work in it.
    """
    fetcher = Fetcher(options, archives)
    state_dir, downloads = options.out / ".parsenet", options.out / "downloads"
    state_dir.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(state_dir / "lock").acquire(timeout=0)
    except Timeout:
        raise FetchError(
            f"'{options.out}' must be free, got another tool at work in it. Wait for it to end."
        ) from None
    with lock:
        for left in (*state_dir.glob(".*.part"), *downloads.glob("tmp*")):
            left.unlink()  # of a process that was killed: half a record, an archive unchecked
        yield fetcher
        if options.clean:
            shutil.rmtree(downloads, ignore_errors=True)
        elif downloads.is_dir():
            _LOGGER.info("'%s' is no longer needed; `--clean` removes it.", downloads)


@final
class Fetcher:
    """Gets the archives of a data set, unpacks them, and keeps a record of them beside the data.

    Args:
        options: what the user said.
        archives: all that the data set has.
    """

    def __init__(self, options: FetchOptions, archives: Sequence[Archive]) -> None:
        self._options = options
        self._downloads = options.out / "downloads"
        names = [archive.name for archive in archives]
        # A browser's second download of a file is called `name (1).tar`.
        given = {re.sub(r" ?\(\d+\)(?=\.)", "", path.name): path for path in options.from_}
        if len(names) == len(given) == 1:
            given = {names[0]: options.from_[0]}
        unknown = [x.name for x in archives if x.known_hash is None] or names
        pairs = [word.rpartition("=") for word in options.sha256]
        hashes = {name or unknown[0]: f"sha256:{value.lower()}" for name, _, value in pairs}
        for option, name in (*(("--from", x) for x in given), *(("--sha256", x) for x in hashes)):
            if name not in names:
                raise ConfigError(
                    f"`{option}` must name {' or '.join(names)}, got '{name}'. Correct it."
                )
        self._given, self._hashes = given, hashes
        self._record_path = options.out / ".parsenet" / "record.json"
        self._record: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError, TypeError):
            self._record |= json.loads(self._record_path.read_text(encoding="utf-8"))

    def ensure(self, archives: Sequence[Archive], check: Callable[[Path], None]) -> None:
        """Unpack archives unless all they hold is in place.

        They are unpacked into a folder of their own, which gets another name when it is complete;
        then its files are moved.

        Args:
            archives: those to unpack.
            check: raises a `DataNotFoundError` when a folder is not complete.

        Raises:
            FetchError: an archive cannot be had, or does not hold what it should.
        """
        out, first = self._options.out, archives[0].name
        parts = self._record_path.with_name(f"{first}.unpacked")
        whole = parts.with_suffix(".whole")
        if not whole.is_dir():
            with contextlib.suppress(DataNotFoundError):
                check(out)
                if all((out / name).is_file() for name in self._record.get(f"{first} files", ())):
                    _LOGGER.info("'%s' is complete.", out)
                    return
            found = [(archive, *self._obtain(archive)) for archive in archives]
            shutil.rmtree(parts, ignore_errors=True)
            try:
                for archive, path, _ in found:
                    _LOGGER.info("Unpacking '%s'.", path)
                    unpack(path, archive.rules, parts)
                check(parts)
            except BaseException as error:
                shutil.rmtree(parts, ignore_errors=True)
                for archive in archives:
                    if isinstance(error, ParseNetError) and archive.known_hash is None:
                        (self._downloads / archive.name).unlink(missing_ok=True)
                raise
            # Not before: an archive that was refused is not what later ones are held to.
            self._record |= {archive.name: known_hash for archive, _, known_hash in found}
            self._record[f"{first} files"] = [
                str(path.relative_to(parts)) for path in parts.rglob("*") if path.is_file()
            ]
            write_bytes_atomically(self._record_path, json.dumps(self._record).encode())
            parts.replace(whole)
        _move(whole, out)
        shutil.rmtree(whole)

    def _obtain(self, archive: Archive) -> tuple[Path, str]:
        """Return an archive that is the right one, as far as anybody knows, and its hash."""
        wanted = self._hashes.get(archive.name, archive.known_hash)
        held = wanted or self._record.get(archive.name)
        path = self._given.get(archive.name)
        if path is None:
            path = self._download(archive, held)
        elif not hash_matches(str(path), held):
            raise FetchError(_say_other(f"'{path}'", held, archive.name))
        if wanted is not None:
            return path, wanted
        found = f"sha256:{pooch.file_hash(str(path))}"
        told = "%s is unverified: nobody published its hash. It is %s; later runs are held to it."
        _LOGGER.warning(told, archive.name, found)
        return path, found

    def _download(self, archive: Archive, known_hash: str | None) -> Path:
        """Get an archive from the first address that has the right one, or as it lies there."""
        options, name = self._options, archive.name
        urls = [] if options.only_mirrors else list(archive.urls)
        for url in options.mirror:
            is_whole = urlsplit(url).path.rpartition("/")[2] == name
            urls.append(url if is_whole else f"{url.rstrip('/')}/{quote(name)}")
        reasons = []
        for url in urls:
            store = pooch.create(
                path=self._downloads,
                base_url="",
                registry={name: known_hash},
                urls={name: url},
                # A dead server costs half a minute: where there is another, once more will do.
                retry_if_failed=options.retries if url == urls[-1] else min(1, options.retries),
            )
            downloader = ResumingDownloader(self._downloads / f"{name}.part", known_hash)
            try:
                return Path(store.fetch(name, downloader=downloader))
            except (ValueError, FetchError, requests.RequestException) as error:
                is_other = "does not match the known hash" in str(error)
                reason = _say_other("it", known_hash, name) if is_other else str(error).rstrip(".")
                reasons.append(f"{url}: {reason}")
        raise FetchError(
            f"'{name}' must be at one of its addresses, got {'; '.join(reasons)}. Run the same "
            "command again later (what came is kept), name another address with `--mirror URL`, or "
            "get the file yourself and pass it with `--from FILE`."
        )


@final
class ResumingDownloader:
    """A downloader for pooch that goes on after the bytes that came, also in a run before.

    Args:
        part: file of the bytes that came.
        known_hash: of the whole file, which tells bytes of two versions; without one, a download
            that broke off starts over.
    """

    def __init__(self, part: Path, known_hash: str | None) -> None:
        self._part = part
        self._known_hash = known_hash
        self._is_wrong = False

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        """Download a file; called again, the last one had another hash, or none came."""
        if self._is_wrong:
            raise FetchError(_say_other("it", self._known_hash, self._part.stem))
        farthest = self._size
        while True:
            try:
                self._receive(url)
                break
            except requests.RequestException:
                # Only new bytes are progress: a server that starts over each time would never end.
                if self._size <= farthest:
                    raise
                farthest = self._size
        # Pieces may be of two versions, which is mended by one more download; a whole one is not.
        self._is_wrong = farthest == 0
        self._part.replace(output_file)

    @property
    def _size(self) -> int:
        return self._part.stat().st_size if self._part.is_file() else 0

    def _receive(self, url: str) -> None:
        """Ask for what is missing, and append it."""
        start = self._size if self._known_hash else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as reply:
            place = reply.headers.get("Content-Range", "")
            if place == f"bytes */{start}":
                return  # all bytes are here
            _require_file(reply)
            if reply.status_code != 206:
                start = 0
            elif not place.startswith(f"bytes {start}-"):
                self._part.unlink()
                raise requests.ConnectionError("it sent another part of the file than asked for")
            length = _number(reply.headers.get("Content-Length"))
            columns = BarColumn(), DownloadColumn(), TransferSpeedColumn()
            bar = Progress(*columns, console=Console(stderr=True), transient=True)
            task = bar.add_task("", total=length and start + length, completed=start)
            with self._part.open("ab" if start else "wb") as file, bar:
                try:
                    for block in reply.raw.stream(_BLOCK, decode_content=False):
                        file.write(block)
                        file.flush()
                        bar.advance(task, len(block))
                except urllib3.exceptions.HTTPError as error:
                    raise requests.ConnectionError(f"the connection broke ({error})") from None


def _require_file(reply: requests.Response) -> None:
    """Refuse answers that are no file; wait where the server asks for it.

    Raises:
        FetchError: asking again is of no use.
        HTTPError: it may be.
    """
    urls = [one.url for one in (*reply.history, reply)]
    for before, after in itertools.pairwise(urls):
        if before.startswith("https:") and after.startswith("http:"):
            raise FetchError(f"it redirects to '{after}', which is not encrypted")
    reason = f"HTTP {reply.status_code} {reply.reason}"
    if reply.status_code in _PASSING:
        time.sleep(min(_number(reply.headers.get("Retry-After")) or 0, _LONGEST_PAUSE))
        raise requests.HTTPError(reason)
    if reply.status_code not in (200, 206):
        raise FetchError(reason)
    if reply.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise FetchError("it answered with a web page, not with the file")


def _number(word: str | None) -> int | None:
    """Read a number of a header; servers send anything."""
    return int(word) if word and re.fullmatch(r"[0-9]{1,15}", word) else None


def _say_other(what: str, known_hash: str | None, name: str) -> str:
    word = (known_hash or "").removeprefix("sha256:")
    return (
        f"{what} must have the SHA-256 {word}, got another. It is damaged or was changed; "
        f"`--sha256 {name}=HEX` accepts another"
    )


def _move(source: Path, target: Path) -> None:
    """Move a folder's entries to where they belong; folders that are new move as one."""
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(source.iterdir()):
        there = target / entry.name
        if not there.exists():
            entry.replace(there)
        elif entry.is_dir() and there.is_dir():
            _move(entry, there)
        elif entry.is_dir() or there.is_dir() or not filecmp.cmp(entry, there, shallow=False):
            raise FetchError(
                f"'{there}' must be the file of the archive, got another. Move it away, or choose "
                "another folder with `--out`."
            )


def require_all(
    folder: Path, names: Sequence[str], remedy: str = "Get the archive from another source."
) -> None:
    """Refuse a folder that lacks files; the remedy is told.

    Raises:
        DataNotFoundError: so many are missing.
    """
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    missing = [name for name in names if name not in there]
    if missing:
        raise DataNotFoundError(
            f"'{folder}' must hold the {len(names)} files of its list, got {len(missing)} missing, "
            f"the first is '{missing[0]}'. {remedy}"
        )


def note_counts(found: Mapping[str, int], published: Mapping[str, int]) -> None:
    """Warn where a count is not the published one; part of a data set is no error."""
    for name, count in published.items():
        if found[name] != count:
            _LOGGER.warning(
                "`%s` has %s, published are %s.", name, f"{found[name]:,}", f"{count:,}"
            )
