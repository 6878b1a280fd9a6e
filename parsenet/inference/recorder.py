"""A video of frames beside their overlays, written by a thread of its own."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from parsenet.inference.budget import PixelBudget
from parsenet.inference.drawing import blend
from parsenet.inference.frames import AHEAD_PIXELS, Frame
from parsenet.inference.predictor import Prediction
from parsenet.inference.video import VideoWriter
from parsenet.taxonomy import Taxonomy


class Recorder:
    """Writes frames and overlays side by side; the file appears when all are in it.

    Args:
        path: MP4 to write.
        rate: frames per second.
        taxonomy: gives the colours.
        opacity: of the colours.
        is_live: repeat frames so that the video takes as long as the recording did.
    """

    def __init__(
        self,
        path: Path,
        rate: float,
        taxonomy: Taxonomy,
        opacity: float = 0.5,
        is_live: bool = False,
    ) -> None:
        self._writer = VideoWriter(path, rate)
        self._rate = rate
        self._taxonomy = taxonomy
        self._opacity = opacity
        self._is_live = is_live
        self._budget = PixelBudget(AHEAD_PIXELS)
        self._pool = ThreadPoolExecutor(1, "video")
        self._last: Future[None] | None = None
        self._start = time.monotonic()
        self._count = 0

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._budget.close()
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        try:
            if kind is None and self._last is not None:
                self._last.result()
        except BaseException as reason:
            self._writer.__exit__(type(reason))
            raise
        self._writer.__exit__(kind)

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Append a frame; waits while too many are not written yet.

        Raises:
            ConfigError: OpenCV cannot write the video.
        """
        if self._last is not None and self._last.done():
            self._last.result()
        self._budget.take(frame.pixels)
        repeats = 1
        if self._is_live:
            passed = time.monotonic() - self._start
            repeats = max(1, round(passed * self._rate) - self._count)
        self._count += repeats
        self._last = self._pool.submit(self._write, frame, prediction, repeats)

    def _write(self, frame: Frame, prediction: Prediction, repeats: int) -> None:
        try:
            assert frame.image is not None
            drawn = blend(frame.image, prediction.label, self._taxonomy, self._opacity)
            pair = np.concatenate([frame.image, drawn], axis=1)
            for _ in range(repeats):
                self._writer.add(pair)
        finally:
            self._budget.give_back(frame.pixels)
