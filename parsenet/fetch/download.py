"""Download a file: resumed where it broke off, tried again, and from one address after another."""

from __future__ import annotations

import http.client
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from rich.progress import Progress, TaskID

from parsenet.errors import FetchError
from parsenet.fetch.bars import bytes_bar
from parsenet.fetch.connection import AttemptFailedError, Reply, request
from parsenet.fetch.part import Part

_LOGGER = logging.getLogger(__name__)

_BLOCK = 1 << 17
_LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Patience:
    """How long to try.

    `retries` in a row that bring nothing new, `pause` seconds before the first of them and twice
    as long before each next, `timeout` seconds of silence that count as a broken connection.
    """

    retries: int = 4
    pause: float = 1.0
    timeout: float = 30.0


def download(
    urls: Sequence[str],
    target: Path,
    accept: Callable[[Path], None],
    checked: bool,
    patience: Patience = Patience(),
) -> str:
    """Download a file from the first address that gives the right one.

    Bytes are kept in `NAME.part` until the file is whole and accepted; a later call goes on from
    there, whatever ended this one.

    Args:
        urls: addresses, tried in this order.
        target: file to write.
        accept: raises `FetchError` when the file is not the right one.
        checked: `accept` knows the file's hash, so that bytes of two addresses may be put
            together, as may those of a server that does not name versions.
        patience: how long to try.

    Returns:
        The address that the file came from.

    Raises:
        FetchError: no address gave the file, or the disk has no room for it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    for url in urls:
        _LOGGER.info("Downloading %s.", url)
        # A dead server costs half a minute each time: where there is another, once more will do.
        retries = patience.retries if url == urls[-1] else min(1, patience.retries)
        attempt = _Address(url, Part(target), checked, replace(patience, retries=retries))
        try:
            attempt.fetch(accept)
        except AttemptFailedError as failure:
            reasons.append(f"{url}: {failure}")
            _LOGGER.warning("%s: %s.", url, failure)
        else:
            return url
    raise FetchError(
        f"'{target.name}' must be at one of its addresses, got {'; '.join(reasons)}. Run the same "
        "command again later (what came is kept), name another address with `--mirror URL`, or get "
        "the file yourself and pass it with `--from FILE`."
    )


@final
class _Address:
    """The tries at one address.

    Args:
        url: the address.
        part: what is here of the file.
        checked: see `download`.
        patience: how long to try.
    """

    def __init__(self, url: str, part: Part, checked: bool, patience: Patience) -> None:
        self._url = url
        self._part = part
        self._checked = checked
        self._patience = patience

    def fetch(self, accept: Callable[[Path], None]) -> None:
        """Get the file, have it accepted, and give it its name."""
        resumed = self._get_all()
        try:
            accept(self._part.path)
        except FetchError as error:
            self._part.clear()
            if not resumed:
                raise AttemptFailedError(str(error)) from None
            # The pieces may be of two versions: once more, in one.
            _LOGGER.warning("The pieces do not make the right file; starting from its beginning.")
            self._get_all()
            try:
                accept(self._part.path)
            except FetchError as again:
                self._part.clear()
                raise AttemptFailedError(str(again)) from None
        self._part.finish()

    def _get_all(self) -> bool:
        """Try until all bytes are here; say whether they came in several pieces."""
        pieces, failures, farthest = 0, 0, self._part.size
        resumed = farthest > 0
        with bytes_bar() as bar:
            task = bar.add_task(self._url.rpartition("/")[2], total=None)
            while not (self._part.is_whole and self._may_continue()):
                try:
                    self._get_more(bar, task)
                    break
                except AttemptFailedError as failure:
                    # Only bytes never seen before are progress: a server that starts over and
                    # breaks at the same place each time would be asked for ever.
                    failures = 0 if self._part.size > farthest else failures + 1
                    farthest = max(farthest, self._part.size)
                    pieces += 1
                    if not failure.again or failures > self._patience.retries:
                        raise
                    self._rest(failures, failure)
        return resumed or pieces > 0

    def _rest(self, failures: int, failure: AttemptFailedError) -> None:
        pause = max(self._patience.pause * 2.0 ** max(0, failures - 1), failure.wait)
        _LOGGER.info("%s: %s; trying again.", self._url, failure)
        time.sleep(min(pause, _LONGEST_PAUSE))

    def _may_continue(self) -> bool:
        same = self._part.url == self._url and self._part.validator != ""
        return self._part.size > 0 and self._part.url != "" and (same or self._checked)

    def _get_more(self, bar: Progress, task: TaskID) -> None:
        start = self._part.size if self._may_continue() else 0
        validator = self._part.validator if self._part.url == self._url else ""
        reply = request(self._url, start, validator, self._patience.timeout)
        if reply.stream is None:
            return
        with reply.stream:
            self._settle(reply)
            self._require_room()
            # Reset, or the bytes that were here before would count into the rate.
            bar.reset(task, total=self._part.total, completed=self._part.size)
            self._receive(reply.stream, bar, task)

    def _settle(self, reply: Reply) -> None:
        """Go on after the bytes that are here, or drop them when these are of another file."""
        if reply.start == 0:
            self._part.start(self._url, reply.validator, reply.total)
            return
        same_size = None in (reply.total, self._part.total) or reply.total == self._part.total
        if not same_size or (self._part.url == self._url and self._is_other(reply.validator)):
            self._part.clear()
            raise AttemptFailedError("the file changed since its first bytes came", again=True)

    def _is_other(self, validator: str) -> bool:
        """Say whether a part of the file names another version; it may name none, or by date."""
        ours = self._part.validator
        return bool(validator) and validator[:1] == ours[:1] and validator != ours

    def _require_room(self) -> None:
        if self._part.total is None:
            return
        needed = self._part.total - self._part.size
        free = shutil.disk_usage(self._part.path.parent).free
        if needed > free:
            raise FetchError(
                f"'{self._part.path.parent}' must have {needed / 1e9:.1f} GB free, got "
                f"{free / 1e9:.1f} GB. Make room, or choose a folder on another disk."
            )

    def _receive(self, stream: http.client.HTTPResponse, bar: Progress, task: TaskID) -> None:
        total = self._part.total
        with self._part.append() as file:
            while total is None or file.tell() < total:
                block = _read(stream, _BLOCK if total is None else min(_BLOCK, total - file.tell()))
                if not block:
                    break
                file.write(block)
                file.flush()  # what came is kept even if the process is killed
                bar.advance(task, len(block))
            came = file.tell()
        if total is not None and came < total:
            raise AttemptFailedError(
                f"the connection broke after {came} of {total} bytes", again=True
            )


def _read(stream: http.client.HTTPResponse, size: int) -> bytes:
    try:
        return stream.read1(size)
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise AttemptFailedError(f"the connection broke ({reason})", again=True) from None
