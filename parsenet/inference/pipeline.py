"""Reading, network and writing at the same time, each with a bounded number of pixels in hand.

Threads read ahead and write behind; the network runs in the main thread alone. Decoders, encoders
and the network all leave Python's lock while they work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import TypeAlias

from parsenet.errors import ParseNetError
from parsenet.inference.batches import form_batches
from parsenet.inference.frames import Frame, ReadConfig, open_stream, read_ahead
from parsenet.inference.predictor import Prediction, Predictor
from parsenet.inference.recorder import Recorder
from parsenet.inference.sources import Source
from parsenet.inference.writing import ResultWriter

Labelled: TypeAlias = tuple[Frame, Prediction]


class Pipeline:
    """Labels images and streams, and hands them to a writer.

    Args:
        predictor: labels the images.
        writer: says what is missing, and takes predictions.
        reading: limits and threads.
        batch_size: images of equal size that go through the network together, None to choose.
    """

    def __init__(
        self,
        predictor: Predictor,
        writer: ResultWriter,
        reading: ReadConfig,
        batch_size: int | None = None,
    ) -> None:
        self._predictor = predictor
        self._writer = writer
        self._reading = reading
        self._batch_size = batch_size

    def run_images(self, sources: Sequence[Source]) -> None:
        """Label the first frame of each image whose results are missing.

        Raises:
            ConfigError: there is no room for results.
        """
        todo = [source for source in sources if self._writer.wants(source, source.name)]
        with closing(read_ahead(todo, self._reading)) as frames:
            for frame, prediction in self._label(frames):
                self._writer.submit(frame, prediction)

    def run_stream(self, source: Source) -> None:
        """Label a video, a camera, or all frames of an animation.

        Ctrl-C is how a camera is stopped: what it gave until then is kept.

        Raises:
            ConfigError: there is no room for results, or OpenCV is missing.
        """
        path = self._writer.video_path(source)
        if path is None and source.is_stream and not self._writer.wants_frames(source):
            return
        try:
            stream = open_stream(source, self._reading)
        except ParseNetError as error:
            self._writer.fail(Frame(source, source.name), str(error))
            return
        self._writer.watch.expect(None if stream.count is None else stream.count - 1)
        config = self._writer.folder.config
        with ExitStack() as stack:
            stack.enter_context(closing(stream.frames))
            recorder = None
            if path is not None:
                is_live = source.kind == "camera"
                taxonomy, opacity = self._predictor.taxonomy, config.opacity
                recorder = Recorder(path, stream.rate, taxonomy, opacity, is_live)
                stack.enter_context(recorder)
            try:
                self._run_frames(stream.frames, recorder)
            except KeyboardInterrupt:
                if source.kind != "camera":
                    raise

    def _run_frames(self, frames: Iterator[Frame], recorder: Recorder | None) -> None:
        if recorder is None:
            frames = (x for x in frames if x.error or self._writer.wants(x.source, x.name))
        for frame, prediction in self._label(frames):
            if recorder:
                recorder.add(frame, prediction)
            self._writer.submit(frame, prediction)

    def _label(self, frames: Iterable[Frame]) -> Iterator[Labelled]:
        readable = self._report_unreadable(frames)
        device_type = self._predictor.device.type
        for batch in form_batches(readable, self._batch_size, device_type):
            yield from self._label_batch(batch)

    def _report_unreadable(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if frame.error:
                self._writer.fail(frame, frame.error)
            else:
                yield frame

    def _label_batch(self, batch: Sequence[Frame]) -> Iterator[Labelled]:
        """Label a batch; when it fails, its images are tried one by one."""
        config = self._writer.folder.config
        try:
            predictions = self._predictor.predict(
                [frame.image for frame in batch if frame.image is not None],
                probabilities=config.needs_probabilities,
                entropy=config.wants("entropy"),
                progress=self._writer.watch.note,
            )
        # Anything an image can cause, running out of memory among them, costs that image only.
        except Exception as error:
            if len(batch) > 1:
                for frame in batch:
                    yield from self._label_batch([frame])
                return
            known = isinstance(error, ParseNetError)
            reason = str(error) if known else (
                f"'{batch[0].title}' failed with {type(error).__name__}: {error}"
            )  # fmt: skip
            self._writer.fail(batch[0], reason)
            return
        yield from zip(batch, predictions, strict=True)
