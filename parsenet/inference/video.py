"""Frames out of videos, and images into a video; OpenCV does the coding."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import UInt8

from parsenet.errors import ConfigError, ImageError

_DEFAULT_RATE = 25.0
_MAX_WIDTH = 3840
"""Pixels: players and hardware decoders stop about here."""


class FrameReader:
    """Each n-th frame of a video as RGB, in their order, at most so many as the limit.

    Raises:
        ConfigError: OpenCV is not installed.
        ImageError: the video cannot be opened, or gives no frame at all.
    """

    def __init__(self, path: Path | str, every: int = 1, limit: int | None = None) -> None:
        cv2 = import_cv2()
        self._path, self._every, self._limit = path, every, limit
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise ImageError(
                f"'{path}' must be a video that OpenCV can open. Convert it to MP4 (H.264)."
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = (rate if 0 < rate < 1000 else _DEFAULT_RATE) / every
        """Frames per second."""
        stated = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        count = -(-int(stated) // every) if 0 < stated < 2**40 else limit
        self.count = count if limit is None or count is None else min(count, limit)
        """How many frames there are said to be; None where the file does not say."""

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Yield the frames; the video is closed when they end."""
        index = given = 0
        try:
            while (self._limit is None or given < self._limit) and self._capture.grab():
                if index % self._every == 0:
                    is_there, pixels = self._capture.retrieve()
                    if not is_there:
                        break
                    given += 1
                    yield np.ascontiguousarray(pixels[..., ::-1])  # OpenCV's order is BGR
                index += 1
        finally:
            self._capture.release()
        if not given:
            raise ImageError(f"'{self._path}' must hold a frame, got none. Convert it to MP4.")


class VideoWriter:
    """An MP4 that appears under its name when it is finished, and not at all when it fails.

    Args:
        path: file to write, ending in `.mp4`.
        rate: frames per second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate = path, rate
        self._part = path.with_name(f".{uuid.uuid4().hex}.part.mp4")
        self._writer: Any = None
        self._size = (0, 0)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._writer is None:
            return
        self._writer.release()
        try:
            if kind is None:
                self._part.replace(self._path)
        finally:
            self._part.unlink(missing_ok=True)

    def add(self, image: UInt8[np.ndarray, "h w 3"]) -> None:
        """Append a frame of RGB values; images of another size are scaled to the first one's.

        Raises:
            ConfigError: OpenCV is not installed, or cannot write MP4 here.
        """
        cv2 = import_cv2()
        if self._writer is None:
            # The codec halves the colour's resolution and wants even sides.
            factor = min(1.0, _MAX_WIDTH / image.shape[1])
            height, width = (max(2, int(x * factor) // 2 * 2) for x in image.shape[:2])
            self._size = width, height
            self._path.parent.mkdir(parents=True, exist_ok=True)
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._part), code, self._rate, self._size)
            if not self._writer.isOpened():
                raise ConfigError(
                    f"OpenCV must be able to write '{self._path}', got a refusal. Save `overlay` "
                    "and join the frames with ffmpeg."
                )
        if (image.shape[1], image.shape[0]) != self._size:
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(np.ascontiguousarray(image[..., ::-1]))


def import_cv2() -> ModuleType:
    """Return OpenCV, or say how to install it."""
    try:
        import cv2
    except ImportError as error:
        raise ConfigError(
            "Videos need OpenCV, which is not installed. Run `pip install 'parsenet[video]'`."
        ) from error
    module: ModuleType = cv2
    return module
