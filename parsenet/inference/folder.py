"""Predict many images into a folder; one bad image never ends the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from parsenet.data.coco_masks import require_pycocotools
from parsenet.data.reading import lift_pillow_limit
from parsenet.errors import ConfigError
from parsenet.inference.areas import write_areas
from parsenet.inference.coco import write_coco
from parsenet.inference.frames import ReadConfig
from parsenet.inference.journal import Journal
from parsenet.inference.pipeline import Pipeline
from parsenet.inference.predictor import Predictor
from parsenet.inference.progress import Watch
from parsenet.inference.report import FAILED_NAME, Report
from parsenet.inference.results import ResultFolder, SaveConfig
from parsenet.inference.sheet import write_sheets
from parsenet.inference.sources import Source
from parsenet.inference.video import import_cv2
from parsenet.inference.writing import Manner, ResultWriter
from parsenet.taxonomy import Taxonomy


@dataclass(frozen=True)
class RunConfig:
    """How a run goes about its work."""

    overwrite: bool = False
    """Replace results that exist; otherwise they are kept, and only what is missing is made."""
    batch_size: int | None = None
    """Images of equal size that go through the network together; null chooses."""
    threads: int = 2
    """Threads that encode and write."""
    progress: bool = True
    """Show how far it is, on standard error."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What decides about the results; a folder made with others is refused."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"`{name}` must be at least 1, got {value}.")


def predict_all(
    predictor: Predictor,
    sources: Sequence[Source],
    out_dir: Path,
    saving: SaveConfig = SaveConfig(),
    reading: ReadConfig = ReadConfig(),
    run: RunConfig = RunConfig(),
) -> Report:
    """Write the results of every image into a folder.

    Every file appears whole or not at all, and `journal.jsonl` remembers what was made, so an
    interrupted run (Ctrl-C) goes on where it stopped when it is started again. `failed.json` tells
    what went wrong, also after Ctrl-C.

    Args:
        predictor: labels the images.
        sources: images and the names of their results.
        out_dir: folder of the results; made if it is missing.
        saving: which results, and how they look.
        reading: limits on what is read.
        run: overwriting, batches, threads.

    Raises:
        ConfigError: `out_dir` is no folder to write to or was made with other settings, there is
            no room in it, or a library is missing.
    """
    return Job(tuple(sources), out_dir, saving, reading, run).execute(predictor)


@dataclass(frozen=True)
class Job:
    """All that a run needs to know but the network; processes get a copy each."""

    sources: tuple[Source, ...]
    """Images and the names of their results."""
    out_dir: Path
    """Folder of the results."""
    saving: SaveConfig
    """Which results, and how they look."""
    reading: ReadConfig
    """Limits on what is read."""
    run: RunConfig
    """Overwriting, batches, threads."""
    wrong: Mapping[str, str] = field(default_factory=dict)
    """What was to be labelled too but cannot be found, with the reasons."""

    def execute(self, predictor: Predictor) -> Report:
        """Do all of it in this process.

        Raises:
            ConfigError: as `predict_all`.
        """
        self.prepare()
        journal = Journal(self.out_dir, self.run.settings, self.run.overwrite)
        report = Report()
        try:
            self.label(predictor, journal, report)
        finally:
            self.finish(journal, predictor.taxonomy, report)
        return report

    def prepare(self) -> None:
        """Make the folder, and find out what will be missing before the work begins.

        Raises:
            ConfigError: the folder cannot be made, or a library is not installed.
        """
        if self.saving.wants("coco"):
            require_pycocotools("`--save coco`")
        if any(source.is_stream for source in self.sources):
            import_cv2()
        try:
            self.out_dir.mkdir(parents=True, exist_ok=True)
            (self.out_dir / FAILED_NAME).unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(
                f"`out` must be a folder to write to, got '{self.out_dir}' ({error.strerror})."
            ) from error

    def label(
        self,
        predictor: Predictor,
        journal: Journal,
        report: Report,
        share: slice = slice(None),
    ) -> None:
        """Label the images, or a process's share of them; the report is filled on the way.

        Raises:
            ConfigError: there is no room for results.
        """
        mine = self.sources[share]
        folder = ResultFolder(self.out_dir, predictor.taxonomy, self.saving)
        run = self.run
        with (
            lift_pillow_limit(),
            Watch(len(mine), run.progress) as watch,
            ResultWriter(folder, journal, report, watch, self._manner()) as writer,
        ):
            pipeline = Pipeline(predictor, writer, self.reading, run.batch_size)
            for is_stream, group in groupby(mine, self._is_stream):
                if is_stream:
                    for source in group:
                        pipeline.run_stream(source)
                else:
                    pipeline.run_images(list(group))

    def finish(self, journal: Journal, taxonomy: Taxonomy, report: Report) -> None:
        """Write the files that are one for all images, of all that the journal knows."""
        report.failed |= self.wrong
        report.write_failures(self.out_dir)
        if self.saving.wants("areas"):
            write_areas(self.out_dir, journal.entries(), taxonomy)
        if self.saving.wants("coco"):
            write_coco(self.out_dir, journal.entries(), self.saving.coco_form, taxonomy)
        if self.saving.wants("sheet"):
            write_sheets(self.out_dir, journal.entries(), taxonomy)

    def _manner(self) -> Manner:
        files = (source.path for source in self.sources)
        inputs = frozenset(path.resolve() for path in files if isinstance(path, Path))
        return Manner(inputs, self.run.overwrite, self.run.threads)

    def _is_stream(self, source: Source) -> bool:
        return source.is_stream or self.reading.frames == "all"
