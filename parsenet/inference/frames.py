"""What there is to label, one frame after another, read ahead of the network by threads.

Memory stays flat: images that are decoded but not yet taken hold at most a fixed number of pixels
(or are a single image). A place is given out in the order of the images, so that the one that
is waited for never waits itself.
"""

from __future__ import annotations

import io
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from queue import SimpleQueue
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from parsenet.data.reading import MAX_PIXELS, read_frames, read_size
from parsenet.errors import ConfigError, ImageError, ParseNetError
from parsenet.inference.addresses import MAX_BYTES, TIMEOUT, fetch_image
from parsenet.inference.budget import PixelBudget
from parsenet.inference.sources import Source
from parsenet.inference.video import FrameReader

AHEAD_PIXELS = 64 * 2**20
"""Pixels that may wait decoded (192 MiB); a single larger image is let through alone."""


@dataclass(frozen=True)
class ReadConfig:
    """How inputs become frames, and what is refused."""

    frames: Literal["first", "all"] = "first"
    """Of an animated image: its first frame, or all."""
    every: int = 1
    """Of videos and cameras take each n-th frame."""
    max_frames: int | None = None
    """Of videos, cameras and animations take at most so many frames."""
    max_pixels: int = MAX_PIXELS
    """Larger images are refused as decompression bombs."""
    max_bytes: int = MAX_BYTES
    """Larger downloads are refused."""
    timeout: float = TIMEOUT
    """Seconds that a server may stay silent."""
    threads: int = 2
    """Threads that read and decode."""

    def __post_init__(self) -> None:
        for name in ("every", "max_pixels", "max_bytes", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if self.max_frames is not None and self.max_frames < 1:
            raise ConfigError(
                f"`max_frames` must be at least 1, got {self.max_frames}. Leave it out for all."
            )
        if not self.timeout > 0:
            raise ConfigError(f"`timeout` must be positive, got {self.timeout}. It is in seconds.")


@dataclass(frozen=True)
class Frame:
    """One image to label, or the sentence that says why it cannot be."""

    source: Source
    name: str
    """Name of its results without ending."""
    image: UInt8[np.ndarray, "h w 3"] | None = None
    """RGB in [0, 255]."""
    error: str | None = None
    """Why there is no image."""

    @property
    def title(self) -> str:
        """What to call it in messages."""
        return self.source.title(self.name)

    @property
    def pixels(self) -> int:
        """Number of pixels, 0 where there is no image."""
        return 0 if self.image is None else self.image.shape[0] * self.image.shape[1]


@dataclass(frozen=True)
class Stream:
    """Frames that come in their order only, and what is known of them beforehand."""

    frames: Generator[Frame]
    count: int | None
    """How many there are said to be."""
    rate: float
    """Frames per second."""


def read_ahead(sources: Sequence[Source], config: ReadConfig) -> Generator[Frame]:
    """Decode images in threads, and yield them in their order as soon as they are there.

    An image that cannot be read gives a frame with an error. Closing the generator stops the
    threads.

    Args:
        sources: images, of which the first frame is read.
        config: limits and threads.
    """
    budget = PixelBudget(AHEAD_PIXELS)
    waiting: deque[Future[tuple[int, Frame]]] = deque()
    todo = iter(enumerate(sources))
    with ThreadPoolExecutor(config.threads, "decode") as pool:
        try:
            while True:
                while len(waiting) < 2 * config.threads + 2 and (item := next(todo, None)):
                    waiting.append(pool.submit(_read_in_turn, *item, config, budget))
                if not waiting:
                    return
                pixels, frame = waiting.popleft().result()
                yield frame
                # Only now: a huge image is not joined by a second one while it is labelled.
                budget.give_back(pixels)
        finally:
            budget.close()
            pool.shutdown(wait=False, cancel_futures=True)


def open_stream(source: Source, config: ReadConfig) -> Stream:
    """Open a video, a camera, or an animation of which all frames are wanted.

    Args:
        source: what to read.
        config: limits, and which frames.

    Raises:
        ConfigError: OpenCV is needed and not installed.
        ImageError: it cannot be opened.
    """
    if source.kind not in ("video", "camera"):
        return Stream(_in_thread(_read_animation(source, config), AHEAD_PIXELS), None, 10.0)
    reader = FrameReader(source.path, config.every, config.max_frames)
    # What lies waiting of a camera is what the image lags behind.
    ahead = AHEAD_PIXELS if source.kind == "video" else 1
    return Stream(_in_thread(_read_video(source, reader), ahead), reader.count, reader.rate)


def _read_in_turn(
    turn: int, source: Source, config: ReadConfig, budget: PixelBudget
) -> tuple[int, Frame]:
    """Read one image when there is room for it; return the pixels of its place too."""
    pixels, error = 0, None
    try:
        with _explained(source):
            content = _fetch(source, config)
            height, width = read_size(source.path, _stream(content))
            pixels = min(height * width, config.max_pixels)
    except ImageError as reason:
        error = str(reason)
    finally:
        budget.take_in_turn(turn, pixels)
    if error:
        return pixels, Frame(source, source.name, error=error)
    try:
        with _explained(source), closing(_images(source, content, config)) as images:
            return pixels, Frame(source, source.name, next(images))
    except ImageError as reason:
        return pixels, Frame(source, source.name, error=str(reason))


def _read_animation(source: Source, config: ReadConfig) -> Generator[Frame]:
    """Yield all frames; an image that has one only keeps its plain name."""
    count = 0
    try:
        with _explained(source), closing(_images(source, _fetch(source, config), config)) as images:
            first, second = next(images), next(images, None)
            if second is None:
                yield Frame(source, source.name, first)
                return
            for image in chain((first, second), images):
                count += 1
                yield Frame(source, f"{source.name}/{count:06d}", image)
                if count == config.max_frames:
                    return
    except ImageError as error:
        yield Frame(source, f"{source.name}/{count + 1:06d}", error=str(error))


def _read_video(source: Source, reader: FrameReader) -> Generator[Frame]:
    count = 0
    try:
        with _explained(source):
            for count, image in enumerate(reader, start=1):
                yield Frame(source, f"{source.name}/{count:06d}", image)
    except ImageError as error:
        yield Frame(source, f"{source.name}/{count + 1:06d}", error=str(error))


def _in_thread(frames: Generator[Frame], ahead: int) -> Generator[Frame]:
    """Run a generator in a thread of its own, so many pixels ahead of who takes its frames."""
    budget = PixelBudget(ahead)
    queue: SimpleQueue[Frame | None] = SimpleQueue()
    is_stopped = threading.Event()

    def fill() -> None:
        with closing(frames):
            for frame in frames:
                budget.take(frame.pixels)
                if is_stopped.is_set():
                    break
                queue.put(frame)
        queue.put(None)

    thread = threading.Thread(target=fill, name="decode", daemon=True)
    thread.start()
    try:
        while frame := queue.get():
            budget.give_back(frame.pixels)
            yield frame
    finally:
        is_stopped.set()
        budget.close()
        thread.join()


def _fetch(source: Source, config: ReadConfig) -> bytes | None:
    """Return the encoded image of what is no file."""
    if source.kind == "address":
        return fetch_image(str(source.path), config.max_bytes, config.timeout)
    if source.kind == "stdin":
        content = sys.stdin.buffer.read(config.max_bytes + 1)
        if not content:
            raise ImageError("`-` must get an image on standard input, got nothing. Pipe one in.")
        if len(content) > config.max_bytes:
            raise ImageError(
                f"`-` must get at most {config.max_bytes} bytes, got more. Give the file instead."
            )
        return content
    return None


def _images(
    source: Source, content: bytes | None, config: ReadConfig
) -> Generator[UInt8[np.ndarray, "h w 3"]]:
    yield from read_frames(source.path, _stream(content), config.max_pixels)


def _stream(content: bytes | None) -> io.BytesIO | None:
    return None if content is None else io.BytesIO(content)


@contextmanager
def _explained(source: Source) -> Iterator[None]:
    """Turn whatever a file can do to a decoder, running out of memory too, into a sentence."""
    try:
        yield
    except (ParseNetError, GeneratorExit):
        raise
    except Exception as error:
        raise ImageError(f"'{source.path}' failed with {type(error).__name__}: {error}") from error
