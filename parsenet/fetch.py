"""Data sets from their sources: download, check and unpack, safe to break off anywhere.

The scripts in `data_tools/` state the facts of one data set; the work is done here, on pooch.
"""

from __future__ import annotations

import contextlib
import filecmp
import itertools
import logging
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests
import urllib3
from filelock import FileLock, Timeout
from pooch.hashes import hash_matches
from rich.console import Console
from rich.progress import wrap_file

from parsenet.archives import unpack
from parsenet.errors import ConfigError, DataNotFoundError, FetchError, ParseNetError
from parsenet.files import write_bytes_atomically

_LOGGER = logging.getLogger(__name__)
_BLOCK, _TIMEOUT, _RETRIES = 1 << 14, 30.0, 4


@dataclass(frozen=True)
class Archive:
    """An archive of a data set, and what `unpack` takes of it.

    `known_hash` is the published one, `sha256:HEX`, or None where nobody published one.
    """

    name: str
    urls: tuple[str, ...]
    known_hash: str | None
    rules: tuple[str, ...]


@dataclass(frozen=True)
class FetchOptions:
    """Download a data set, check it and unpack it; after an interruption it goes on from there."""

    out: Path
    """Folder of the data set."""
    from_: tuple[Path, ...] = ()
    """Archives that you have already, FILE,FILE; they are checked and never changed."""
    mirror: tuple[str, ...] = ()
    """Addresses of folders that hold the archives, URL,URL, asked before the official ones."""
    sha256: tuple[str, ...] = ()
    """Hold an archive to this hash, in place of the published one: NAME=HEX,NAME=HEX."""

    def __post_init__(self) -> None:
        for path in self.from_:
            if not path.is_file():
                raise ConfigError(f"`--from` must name files, got '{path}'. Check the path.")
        for word in self.sha256:
            if not re.fullmatch(r".+=[0-9a-f]{64}", word):
                raise ConfigError(
                    "`--sha256` must be a file's name, `=` and 64 digits of 0-9 and a-f, got "
                    f"'{word}'. Copy it again."
                )

    @property
    def hashes(self) -> dict[str, str]:
        """Hashes by the name of the archive."""
        return {
            name: f"sha256:{value}" for name, _, value in (x.partition("=") for x in self.sha256)
        }


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the folder of a data set; what a killed process was writing is removed first.

    Raises:
        FetchError: another tool is at work in it.
    """
    state_dir = out / ".parsenet"
    state_dir.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(state_dir / "lock").acquire(timeout=0)
    except Timeout:
        raise FetchError(
            f"'{out}' must be free, got another tool at work in it. Wait for it to end."
        ) from None
    with lock:
        for left in (*state_dir.glob(".*.part"), *(out / "downloads").glob("tmp*")):
            left.unlink()
        yield


def ensure(
    options: FetchOptions, archives: Sequence[Archive], check: Callable[[Path], None]
) -> None:
    """Get and unpack archives unless `check` raises no `DataNotFoundError`; hold `locked` for it.

    They are unpacked into a folder of their own; when that is complete, its files are moved.

    Raises:
        FetchError: an archive cannot be had, or does not hold what it should.
    """
    names = [archive.name for archive in archives]
    for option, given in (("from", (x.name for x in options.from_)), ("sha256", options.hashes)):
        for name in given:
            if name not in names:
                raise ConfigError(
                    f"`--{option}` must name {' or '.join(names)}, got '{name}'. Correct it."
                )
    parts = options.out / ".parsenet" / f"{names[0]}.unpacked"
    if not parts.is_dir():  # which tells of a run that was broken off
        with contextlib.suppress(DataNotFoundError):
            check(options.out)
            return
    found = [(archive, _obtain(archive, options)) for archive in archives]
    shutil.rmtree(parts, ignore_errors=True)
    try:
        for archive, path in found:
            _LOGGER.info("Unpacking '%s'.", path)
            unpack(path, archive.rules, parts)
        check(parts)
    except ParseNetError:
        _forget(archives, options.out)
        shutil.rmtree(parts, ignore_errors=True)
        raise
    _move(parts, options.out)
    shutil.rmtree(parts)


def _forget(archives: Sequence[Archive], out: Path) -> None:
    """Remove refused archives that nobody vouches for; the next run would take them for right."""
    for archive in archives:
        if archive.known_hash is None:
            (out / "downloads" / archive.name).unlink(missing_ok=True)
            (out / ".parsenet" / f"{archive.name}.sha256").unlink(missing_ok=True)


def _obtain(archive: Archive, options: FetchOptions) -> Path:
    """Return an archive that has the hash given, published or seen before; keep one seen first."""
    record = options.out / ".parsenet" / f"{archive.name}.sha256"
    known_hash = options.hashes.get(archive.name, archive.known_hash)
    if known_hash is None and record.is_file():
        known_hash = record.read_text()
    path = next((path for path in options.from_ if path.name == archive.name), None)
    if path is None:
        path = _fetch(archive, options, known_hash)
    elif not hash_matches(str(path), known_hash):
        raise FetchError(_say_other(f"'{path}'", known_hash, archive.name))
    if known_hash is None:
        found = f"sha256:{pooch.file_hash(str(path))}"
        told = "%s is unverified: nobody published its hash. It is %s; later runs are held to it."
        _LOGGER.warning(told, archive.name, found)
        write_bytes_atomically(record, found.encode())
    return path


def _fetch(archive: Archive, options: FetchOptions, known_hash: str | None) -> Path:
    """Get an archive from the first address that has it, or as it lies in `downloads`."""
    name = archive.name
    reasons = []
    urls = [*(f"{url.rstrip('/')}/{name}" for url in options.mirror), *archive.urls]
    for url in urls:
        store = pooch.create(
            path=options.out / "downloads",
            base_url="",
            registry={name: known_hash},
            urls={name: url},
            # A dead server costs half a minute: where there is another, once more will do.
            retry_if_failed=_RETRIES if url == urls[-1] else 1,
        )
        try:
            return Path(store.fetch(name, downloader=_download))
        except (ValueError, FetchError, requests.RequestException) as error:
            reasons.append(f"{url}: {str(error).rstrip('.')}")
    raise FetchError(
        f"'{name}' must be at one of its addresses, got {'; '.join(reasons)}. Run the same "
        "command again later (what came is kept), name a folder that has it with `--mirror URL`, "
        "or get the file yourself and pass it with `--from FILE`."
    )


def _download(url: str, output_file: str, store: pooch.Pooch) -> None:
    """Download for pooch, going on after the bytes that came, also in a run before.

    Only a known hash tells bytes of two versions: without one, a download starts over. A
    `RequestException` says that no new byte came, a `FetchError` that asking again is of no use.
    """
    ((name, known_hash),) = store.registry.items()
    part = store.path / f"{name}.part"
    while True:
        start = part.stat().st_size if known_hash and part.is_file() else 0
        try:
            _receive(url, part, start)
            break
        except requests.RequestException:
            if not known_hash or not part.is_file() or part.stat().st_size <= start:
                raise
    # Pieces may be of two versions, which pooch mends by one more download; a whole one is not.
    if start == 0 and not hash_matches(str(part), known_hash):
        part.unlink()
        raise FetchError(_say_other("it", known_hash, name))
    part.replace(output_file)


def _receive(url: str, part: Path, start: int) -> None:
    """Ask for what is missing, and append it."""
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as reply:
        place = reply.headers.get("Content-Range", "")
        if place == f"bytes */{start}":
            return  # all bytes are here
        _require_file(reply)
        length = reply.raw.length_remaining or 0
        console = Console(stderr=True)
        stream = wrap_file(reply.raw, length, console=console, transient=True)
        with part.open("ab" if reply.status_code == 206 else "wb") as file, stream as raw:
            try:
                shutil.copyfileobj(raw, file, _BLOCK)
            except urllib3.exceptions.HTTPError as error:
                raise requests.ConnectionError(f"the connection broke ({error})") from None


def _require_file(reply: requests.Response) -> None:
    """Refuse answers that are no file; a `FetchError` says that asking again is of no use."""
    urls = [one.url for one in (*reply.history, reply)]
    for before, after in itertools.pairwise(urls):
        if before.startswith("https:") and after.startswith("http:"):
            raise FetchError(f"it redirects to '{after}', which is not encrypted")
    if reply.status_code not in (200, 206):
        raise requests.HTTPError(f"HTTP {reply.status_code} {reply.reason}")
    if reply.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise FetchError("it answered with a web page, not with the file")


def _say_other(what: str, known_hash: str | None, name: str) -> str:
    return (
        f"{what} must have the hash {known_hash}, got another. It is damaged or was changed; "
        f"`--sha256 {name}=HEX` accepts another"
    )


def _move(source: Path, target: Path) -> None:
    """Move files to where they belong; a file of the user is never replaced."""
    for path in sorted(source.rglob("*")):
        if path.is_dir():
            continue
        there = target / path.relative_to(source)
        if there.exists() and not filecmp.cmp(path, there, shallow=False):
            raise FetchError(
                f"'{there}' must be the file of the archive, got another. Move it away, or choose "
                "another folder with `--out`."
            )
        there.parent.mkdir(parents=True, exist_ok=True)
        path.replace(there)
