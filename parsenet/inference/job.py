"""What a run is asked to do, and what becomes of it; no torch, for the command line's help."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from parsenet.data.reading import MAX_PIXELS
from parsenet.errors import ConfigError, suggest
from parsenet.files import write_bytes_atomically
from parsenet.inference.inputs import MAX_BYTES, PLACES, TIMEOUT, Input
from parsenet.inference.video import import_cv2
from parsenet.taxonomy import Taxonomy

SETTINGS_NAME = "predictions.json"
"""File in the output folder: what its results were made with, and of which inputs."""

FAILED_NAME = "failed.json"
"""File in the output folder that says what failed, and why; absent when nothing did."""


@dataclass(frozen=True)
class RunConfig:
    """How inputs become results."""

    save: tuple[str, ...] | None = None
    """Any of label, overlay, probabilities, entropy, areas, coco, sheet, video; by default label,
    and video for videos."""
    overlay: float | None = None
    """Add overlays of this opacity in [0, 1]."""
    no_legend: bool = False
    """Keep overlays as large as their images."""
    overwrite: bool = False
    """Replace results that exist; otherwise only what is missing is made."""
    batch_size: int | Literal["auto"] = "auto"
    """Images of equal size that run together; auto takes one on a CPU."""
    frames: Literal["first", "all"] = "first"
    """Of an animated image: its first frame, or all."""
    every: int = 1
    """Of videos take each n-th frame."""
    max_frames: int | None = None
    """Of videos and animations take at most so many frames."""
    max_pixels: int = MAX_PIXELS
    """Refuse larger images as decompression bombs."""
    max_bytes: int = MAX_BYTES
    """Refuse larger downloads."""
    timeout: float = TIMEOUT
    """Seconds that a server may stay silent."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "every", "max_frames", "max_pixels", "max_bytes"):
            value = getattr(self, name)
            if isinstance(value, int) and value < 1:
                raise ConfigError(f"`{name}` must be at least 1, got {value}.")
        if not self.timeout > 0:
            raise ConfigError(f"`timeout` must be positive, got {self.timeout}. It is in seconds.")
        for kind in self.save or ():
            if kind not in PLACES:
                raise ConfigError(
                    f"`save` must name known results, got '{kind}'. {suggest(kind, PLACES)}"
                )
        if self.save == ():
            raise ConfigError("`save` must name at least one result, got none. Use `label`.")
        if self.overlay is not None and not 0 <= self.overlay <= 1:
            raise ConfigError(
                f"`overlay` must be in [0, 1], got {self.overlay}. Half and half is 0.5."
            )

    def kinds(self, is_video: bool) -> tuple[str, ...]:
        """Return what is saved of an image, or of a video and its frames."""
        if is_video:
            return self.save or ("video",)
        added = () if self.overlay is None else ("overlay",)
        kinds = dict.fromkeys((*(self.save or ("label",)), *added))
        return tuple(kind for kind in kinds if kind != "video")


@dataclass
class Report:
    """What became of every input; of a video, of its frames."""

    done: list[str] = field(default_factory=list)
    """Those whose results were written, as they were typed."""
    skipped: list[str] = field(default_factory=list)
    """Those whose results all existed already."""
    failed: dict[str, str] = field(default_factory=dict)
    """Those without results, and a sentence that says why."""
    names: dict[str, str] = field(default_factory=dict)
    """Every input that the folder holds results of: its file by the name of its results."""
    taxonomy: Taxonomy | None = None
    """What the class indices mean; None before a network was loaded."""


@dataclass(frozen=True)
class Job:
    """All that a run needs to know but the network; processes get a copy each."""

    inputs: tuple[Input, ...]
    """What to label, each under a name of its own."""
    out_dir: Path
    """Folder of the results; made if it is missing."""
    config: RunConfig = RunConfig()
    """Which results, limits on what is read."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What decides about the labels; a folder that was made with others is refused."""
    wrong: Mapping[str, str] = field(default_factory=dict)
    """What was to be labelled too but cannot be found, with the reasons."""
    progress: bool = True
    """Show how far it is, on standard error."""

    def prepare(self) -> Report:
        """Make the folder, and note what its results are made of.

        Returns:
            a report with the inputs that cannot be labelled.

        Raises:
            ConfigError: results would replace inputs or be mixed with those of other settings, the
                folder cannot be made, or a library is missing.
        """
        kinds = self.config.kinds(is_video=False)
        if "coco" in kinds:
            from parsenet.data.coco import require_pycocotools

            require_pycocotools("`--save coco`")
        if any(one.kind == "video" for one in self.inputs):
            import_cv2()
        out_dir = self.out_dir.resolve()
        results = {
            out_dir / PLACES[kind].format(one.name)
            for one in self.inputs
            for kind in self.config.kinds(one.kind == "video")
        }
        for path in sorted({x.path.resolve() for x in self.inputs if isinstance(x.path, Path)}):
            if path in results or (path.parent == out_dir and "label" in kinds):
                raise ConfigError(
                    f"`out` must be a folder without inputs, got '{self.out_dir}' with "
                    f"'{path.name}'. Choose another `--out`."
                )
        report = Report(failed=dict(self.wrong))
        self._join_earlier(report)
        try:
            self.out_dir.mkdir(parents=True, exist_ok=True)
            (self.out_dir / FAILED_NAME).unlink(missing_ok=True)
            text = json.dumps({"settings": dict(self.settings), "inputs": report.names}, indent=1)
            write_bytes_atomically(self.out_dir / SETTINGS_NAME, text.encode("ascii"))
        except OSError as error:
            raise ConfigError(
                f"`out` must be a folder to write to, got '{self.out_dir}' ({error.strerror})."
            ) from error
        return report

    def _join_earlier(self, report: Report) -> None:
        """Name the inputs, also those of earlier runs; refuse results of other settings."""
        settings, overwrite = dict(self.settings), self.config.overwrite
        try:
            known = json.loads((self.out_dir / SETTINGS_NAME).read_text(encoding="ascii"))
            made_with, report.names = dict(known["settings"]), dict(known["inputs"])
        except (OSError, ValueError, TypeError, KeyError):  # none, or a file of something else
            made_with = settings
        if made_with != settings:
            report.names = {}
        if made_with != settings and not overwrite:
            changed = "; ".join(
                f"{key} {made_with.get(key)} instead of {settings.get(key)}"
                for key in sorted({*made_with, *settings})
                if made_with.get(key) != settings.get(key)
            )
            raise ConfigError(
                f"`out` must be empty or made with the same settings, got '{self.out_dir}' made "
                f"with {changed}. Choose another `--out`, or `--overwrite`."
            )
        for one in self.inputs:
            file = os.path.abspath(one.path) if isinstance(one.path, Path) else one.path  # noqa: PTH100 - links stay
            known_file = file if overwrite else report.names.get(one.name, file)
            report.names[one.name] = known_file
            if known_file != file:
                report.failed[str(one.path)] = (
                    f"'{one.path}' must have a name of its own, got '{one.name}' as '{known_file}' "
                    f"has in '{self.out_dir}'. Choose another `--out`."
                )
