"""Threads that turn predictions into files behind the network, and remember what they made."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from parsenet.errors import ConfigError, ParseNetError
from parsenet.inference.budget import PixelBudget
from parsenet.inference.frames import AHEAD_PIXELS, Frame
from parsenet.inference.journal import Journal
from parsenet.inference.predictor import Prediction
from parsenet.inference.progress import Watch
from parsenet.inference.report import Report
from parsenet.inference.results import ResultFolder
from parsenet.inference.sources import Source

_HOPELESS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""Errors of a file system that the next image would meet as well."""


class Manner(NamedTuple):
    """How results are written."""

    inputs: frozenset[Path]
    """Files that no result may replace, resolved."""
    overwrite: bool
    """Make results that exist, too."""
    threads: int
    """How many encode and write."""


class ResultWriter:
    """Knows which results are missing, and writes them; a context in which its threads live.

    Args:
        folder: where results go, and which.
        journal: what was made before, and is now.
        report: what becomes of every image.
        watch: shows how far it is.
        manner: overwriting and threads.
    """

    def __init__(
        self,
        folder: ResultFolder,
        journal: Journal,
        report: Report,
        watch: Watch,
        manner: Manner,
    ) -> None:
        self.folder = folder
        self.watch = watch
        self._report = report
        self._journal = journal
        self._inputs = manner.inputs
        self._overwrite = manner.overwrite
        self._budget = PixelBudget(AHEAD_PIXELS)
        self._pool = ThreadPoolExecutor(manner.threads, "write")
        self._hopeless: OSError | None = None

    def __enter__(self) -> ResultWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # What is being written is finished; what waits is dropped when there is no time.
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            self._stop_if_hopeless()

    def wants(self, source: Source, name: str) -> bool:
        """Tell whether an image has to be labelled; if not, the report says why.

        Args:
            source: where it comes from.
            name: of its results.
        """
        title = source.title(name)
        missing = self._missing(source, name)
        known = self._journal.known.get(name)
        if known and known.file != source.file and not self._overwrite:
            self._report.failed[title] = (
                f"'{title}' must have a name of its own, got '{name}' as '{known.file}' has in "
                f"'{self.folder.path}'. Choose another `--out`."
            )
        elif not missing:
            self._report.skipped.append(title)
        elif replaced := self._replaced_input(missing, name):
            self._report.failed[title] = (
                f"'{replaced}' must not replace an input. Choose another `--out`."
            )
        else:
            return True
        self.watch.advance(was_skipped=True)
        return False

    def wants_frames(self, source: Source) -> bool:
        """Tell whether single frames of a video may have to be labelled; names are not known yet.

        Args:
            source: a video or camera of which no video is to be recorded.
        """
        if self.folder.config.kinds_of(True) - {"video"}:
            return True
        self._report.skipped.append(str(source.path))
        self.watch.advance(was_skipped=True)
        return False

    def video_path(self, source: Source) -> Path | None:
        """Return the video to record of a video or camera, None if there is none to be made."""
        if not source.is_stream or "video" not in self.folder.config.kinds_of(True):
            return None
        path = self.folder.files("video", source.name)[0]
        return path if self._overwrite or not path.exists() else None

    def fail(self, frame: Frame, reason: str) -> None:
        """Report a frame that has no results."""
        self._report.failed[frame.title] = reason
        self.watch.advance()

    def submit(self, frame: Frame, prediction: Prediction) -> None:
        """Write an image's results soon; waits while too many are not written yet.

        Raises:
            ConfigError: there is no room for results.
        """
        self._stop_if_hopeless()
        weight = frame.pixels
        if prediction.probabilities is not None:
            weight *= 1 + prediction.probabilities.shape[0] // 2  # two bytes each beside six
        self._budget.take(weight)
        self._pool.submit(self._write, frame, prediction, weight)

    def _write(self, frame: Frame, prediction: Prediction, weight: int) -> None:
        try:
            for kind in self._missing(frame.source, frame.name):
                self.folder.write(kind, frame, prediction)
            entry = self.folder.describe(frame, prediction)
            known = self._journal.known.get(frame.name)
            if self._overwrite or known is None or not known.keys >= entry.keys():
                self._journal.add(entry)
            self._report.done.append(frame.title)
        except ParseNetError as error:
            self._report.failed[frame.title] = str(error)
        # Anything an image can cause, running out of memory among them, costs that image only.
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _HOPELESS:
                self._hopeless = error
            self._report.failed[frame.title] = (
                f"'{frame.title}' failed with {type(error).__name__}: {error}"
            )
        finally:
            self._budget.give_back(weight)
            self.watch.advance()

    def _missing(self, source: Source, name: str) -> list[str]:
        """Return the kinds of results that an image or frame still lacks."""
        known = self._journal.known.get(name)
        missing = []
        for kind in sorted(self.folder.config.kinds_of(source.is_stream) - {"video"}):
            key = self.folder.key(kind)
            if key is None:
                is_there = all(path.exists() for path in self.folder.files(kind, name))
            else:
                is_there = known is not None and key in known.keys
            if self._overwrite or not is_there:
                missing.append(kind)
        return missing

    def _replaced_input(self, missing: Iterable[str], name: str) -> Path | None:
        paths = (path for kind in missing for path in self.folder.files(kind, name))
        return next((path for path in paths if path.resolve() in self._inputs), None)

    def _stop_if_hopeless(self) -> None:
        if self._hopeless is not None:
            raise ConfigError(
                f"`out` must have room for results, got '{self._hopeless.strerror}' in "
                f"'{self.folder.path}'. Make room and run the same command again: it goes on "
                "where it stopped."
            )
