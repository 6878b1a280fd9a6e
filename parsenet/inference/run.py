"""A run over many inputs: reading ahead of the network, writing behind it, going on after faults.

Threads read what comes next and write what is done while the network works, with a bounded number
of pixels between them, so that memory stays flat.
"""

from __future__ import annotations

import errno
import io
import json
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from functools import partial
from itertools import chain, islice, repeat, takewhile
from typing import Literal, TypeVar

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from parsenet.data.reading import lift_pillow_limit, read_frames
from parsenet.errors import ConfigError, ParseNetError
from parsenet.files import write_bytes_atomically
from parsenet.inference.inputs import PLACES, Frame, Input, fetch_image
from parsenet.inference.job import FAILED_NAME, Job, Report
from parsenet.inference.predictor import Predictor
from parsenet.inference.video import FrameReader, VideoWriter
from parsenet.inference.writers import Result, write_areas, write_coco, write_result, write_sheets

HELD_PIXELS = 2**26
"""Pixels that wait for the network, for others of their size, or to be written (192 MiB of colours
each); a single larger image is let through alone."""

_THREADS = 2
"""Threads that read, and as many that write."""
_AHEAD = 6
"""Images that are read ahead, and as many that wait to be written."""
_AUTO_PIXELS, _AUTO_MOST = 2**23, 32
"""Pixels and images of a batch on a GPU."""
_BATCHES_AHEAD = 4
"""Batches' worth of images that may wait for others of their size."""
_LINE_EVERY = 30.0
"""Seconds between lines where there is no terminal, such as in the log of a batch system."""
_HOPELESS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""Errors of a file system that the next image would meet as well."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


def predict_all(predictor: Predictor, job: Job) -> Report:
    """Write the results of every input into a folder.

    An interrupted run (Ctrl-C) goes on where it stopped when it is started again.

    Raises:
        ConfigError: as `Job.prepare`; or there is no room for results.
    """
    report = job.prepare()
    try:
        Run(predictor, job, report).label()
    finally:
        finish(job, report)
    return report


def finish(job: Job, report: Report) -> None:
    """Write what is one file for all images, of all that the folder holds."""
    if report.failed:
        text = json.dumps(report.failed, indent=2, ensure_ascii=False)
        # File names that are no Unicode become JSON escapes.
        content = text.encode(errors="backslashreplace")
        write_bytes_atomically(job.out_dir / FAILED_NAME, content)
    saved = job.config.save or ()
    if "areas" in saved:
        write_areas(job.out_dir, report.names)
    if "coco" in saved and report.taxonomy is not None:
        write_coco(job.out_dir, report.names, report.taxonomy)
    if "sheet" in saved and report.taxonomy is not None:
        write_sheets(job.out_dir, report.names, report.taxonomy)


def form_batches(
    frames: Iterable[Frame], size: int | Literal["auto"], device_type: str
) -> Iterator[list[Frame]]:
    """Group images by size; a group goes when it is full, or when it has waited too long.

    Which images go together depends on their order alone, never on how fast they were read: on
    some hardware an image's scores differ in the last digit with its company, and a run must
    give the same labels twice. A size of `auto` is one on a CPU, where more gain nothing, else as
    many as make 8 megapixels, up to 32.
    """
    groups: dict[tuple[int, ...], list[Frame]] = {}
    count = pixels = 0
    for frame in frames:
        area = frame.image.size // 3
        fitting = 1 if device_type == "cpu" else min(_AUTO_MOST, _AUTO_PIXELS // area)
        most = max(1, fitting) if size == "auto" else size
        group = groups.setdefault(frame.image.shape, [])
        group.append(frame)
        count, pixels = count + 1, pixels + area
        is_full = len(group) >= most
        while groups and (is_full or count > _BATCHES_AHEAD * most or pixels > HELD_PIXELS):
            # A full group goes first, otherwise the one that has waited longest.
            batch = groups.pop(frame.image.shape if is_full else next(iter(groups)))
            count, pixels = count - len(batch), pixels - batch[0].image.size // 3 * len(batch)
            is_full = False
            yield batch
    yield from groups.values()


def _ahead(calls: Iterable[tuple[int, Callable[[], T]]], threads: int) -> Generator[T]:
    """Call functions in threads, a few ahead, and yield what they return in their order.

    Each comes with the pixels that it holds: together they hold a bounded number.
    """
    waiting: deque[tuple[int, Future[T]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for pixels, call in calls:
                while len(waiting) >= _AHEAD or (
                    waiting and pixels + sum(x for x, _ in waiting) > HELD_PIXELS
                ):
                    yield waiting.popleft()[1].result()
                waiting.append((pixels, pool.submit(call)))
            while waiting:
                yield waiting.popleft()[1].result()
        finally:
            for _, future in waiting:
                future.cancel()


class Run:
    """One process's work: reading, labelling, writing, and what becomes of every input."""

    def __init__(self, predictor: Predictor, job: Job, report: Report) -> None:
        self._predictor, self._job, self._report = predictor, job, report
        self._config, report.taxonomy = job.config, predictor.taxonomy
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bar = Progress(
            *columns, TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
            console=console, disable=not (job.progress and console.is_terminal),
        )  # fmt: skip
        self._task = self._bar.add_task("Predicting", total=0, note="")
        self._speaks = job.progress and not console.is_terminal
        self._start = self._spoke = time.monotonic()

    def label(self) -> None:
        """Label what is missing: images first, then one video or animation after another."""
        images: list[Input] = []
        streams: list[Input] = []
        for one in self._job.inputs:
            is_stream = one.kind == "video" or self._config.frames == "all"
            # What frames a stream has is known only when they are read.
            is_open = is_stream and self._config.kinds(one.kind == "video") != ("video",)
            if str(one.path) in self._report.failed:
                continue
            if is_open or self._missing(one, one.name):
                (streams if is_stream else images).append(one)
            else:
                self._report.skipped.append(str(one.path))
        self._bar.update(self._task, total=len(images) + len(streams))
        with lift_pillow_limit(), self._bar:
            reads = ((_weigh(x), partial(next, self._read(x), None)) for x in images)
            with closing(_ahead(reads, _THREADS)) as frames:
                self._write_all(frame for frame in frames if frame)
            for one in streams:
                self._label_stream(one)

    def _missing(self, one: Input, name: str) -> list[str]:
        """Return the kinds of results that an input or frame still lacks."""
        return [
            kind
            for kind in self._config.kinds(one.kind == "video")
            if (kind != "video" or name == one.name)
            and (
                self._config.overwrite
                or not (self._job.out_dir / PLACES[kind].format(name)).exists()
            )
        ]

    def _label_stream(self, one: Input) -> None:
        """Label the frames of a video or animation in their order, and record them."""
        video = None
        try:
            if one.kind == "video":
                video = FrameReader(one.path, self._config.every, self._config.max_frames)
                self._expect((video.count or 1) - 1)
        except ParseNetError as error:
            self._fail(str(one.path), error)
            return
        read = partial(next, self._read(one, video), None)
        with closing(_ahead(repeat((_weigh(one), read)), 1)) as reads:
            frames = takewhile(bool, reads)
            if video is None or "video" not in self._missing(one, one.name):
                self._write_all(filter(self._is_wanted, frames))
                return
            path = self._job.out_dir / PLACES["video"].format(one.name)
            with VideoWriter(path, video.rate) as movie:
                self._write_all(frames, movie)

    def _read(self, one: Input, video: FrameReader | None = None) -> Iterator[Frame]:
        """Read one frame after another; an image that has one only keeps its plain name.

        Anything an image can cause, running out of memory among them, costs that image only.
        """
        config, path, count = self._config, str(one.path), 0
        is_single = video is None and config.frames == "first"
        try:
            stream = None
            if one.kind == "address":
                stream = io.BytesIO(fetch_image(path, config.max_bytes, config.timeout))
            images = iter(video or read_frames(one.path, stream, config.max_pixels))
            first = list(islice(images, 1 if is_single else 2))
            is_single = is_single or (video is None and len(first) == 1)
            for image in islice(chain(first, images), 1 if is_single else config.max_frames):
                count += 1
                name = one.name if is_single else f"{one.name}/{count:06d}"
                yield Frame(one, name, path if is_single else f"{path} ({name})", image)
        except Exception as error:
            self._fail(path if is_single else f"{path} ({one.name}/{count + 1:06d})", error)

    def _is_wanted(self, frame: Frame) -> bool:
        """Tell whether a frame lacks results; those that do not are reported."""
        if self._missing(frame.source, frame.name):
            return True
        self._report.skipped.append(frame.title)
        self._expect(-1)
        return False

    def _write_all(self, frames: Iterable[Frame], movie: VideoWriter | None = None) -> None:
        """Label frames in batches of equal size, and write their results behind the network."""
        batches = form_batches(frames, self._config.batch_size, self._predictor.device.type)
        results = (result for batch in batches for result in self._predict(batch))
        # Of two bytes are the probabilities of each class, beside an image's three.
        factor = 1
        if "probabilities" in (self._config.save or ()):
            factor += self._predictor.taxonomy.num_classes // 2
        calls = (
            (factor * x.prediction.label.size, partial(self._write, x, movie)) for x in results
        )
        # One thread keeps the frames of a video in their order.
        for _ in _ahead(calls, 1 if movie else _THREADS):
            done, total = len(self._report.done), int(self._bar.tasks[0].total or 0)
            self._bar.update(self._task, completed=done)
            now = time.monotonic()
            if self._speaks and now - self._spoke >= _LINE_EVERY:
                self._spoke = now
                seconds = (now - self._start) / max(1, done) * (total - done)
                left = timedelta(seconds=round(seconds))
                _log.info("Predicting: %d of %d done, %s left.", done, total, left)

    def _predict(self, batch: list[Frame]) -> Iterator[Result]:
        """Label frames of equal size; when that fails, they are tried singly."""
        saved = self._config.save or ()
        try:
            predictions = self._predictor.predict(
                [frame.image for frame in batch],
                probabilities="probabilities" in saved,
                entropy="entropy" in saved,
                progress=self._note,
            )
        except Exception as error:
            if len(batch) == 1:
                self._fail(batch[0].title, error)
            for frame in batch if len(batch) > 1 else ():
                yield from self._predict([frame])
        else:
            for frame, prediction in zip(batch, predictions, strict=True):
                yield Result(frame, prediction, self._predictor.taxonomy, self._config)

    def _write(self, result: Result, movie: VideoWriter | None) -> None:
        frame, out_dir = result.frame, self._job.out_dir
        if movie is not None:
            movie.add(np.concatenate([frame.image, result.draw()], axis=1))
        try:
            for kind in self._missing(frame.source, frame.name):
                write_result(kind, out_dir / PLACES[kind].format(frame.name), result)
            self._report.done.append(frame.title)
        except Exception as error:
            self._fail(frame.title, error)
            if isinstance(error, OSError) and error.errno in _HOPELESS:
                raise ConfigError(
                    f"`out` must have room for results, got '{error.strerror}' in '{out_dir}'. "
                    "Make room and run the same command again: it goes on where it stopped."
                ) from error

    def _fail(self, title: str, error: Exception) -> None:
        is_known = isinstance(error, ParseNetError)
        sentence = f"'{title}' failed with {type(error).__name__}: {error}"
        self._report.failed[title] = str(error) if is_known else sentence
        self._expect(-1)

    def _expect(self, more: int) -> None:
        """Count on more frames, or on fewer."""
        self._bar.update(self._task, total=(self._bar.tasks[0].total or 0) + more)

    def _note(self, done: int, total: int) -> None:
        """Show how far the image is that is cut into windows."""
        self._bar.update(self._task, note="" if done >= total else f"window {done} of {total}")


def _weigh(one: Input) -> int:
    """Return the pixels of an image; of an address a guess, of what cannot be read 0."""
    try:
        with Image.open(one.path) as image:
            return math.prod(image.size)
    except Exception:
        return HELD_PIXELS // 4 if one.kind == "address" else 0
