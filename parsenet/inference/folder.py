"""Predict many pictures into a folder; one bad picture never ends the run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from parsenet.data.reading import read_image
from parsenet.errors import ConfigError, ParseNetError
from parsenet.files import write_bytes_atomically
from parsenet.inference.predictor import Predictor
from parsenet.inference.sources import Source
from parsenet.inference.writers import write_label, write_overlay

FAILED_NAME = "failed.json"
"""File in the output folder that says which pictures failed, and why; absent when none did."""


@dataclass
class Report:
    """What became of every picture of a run."""

    done: list[Path] = field(default_factory=list)
    """Pictures whose results were written."""
    skipped: list[Path] = field(default_factory=list)
    """Pictures whose results all existed already."""
    failed: dict[Path, str] = field(default_factory=dict)
    """Pictures without results, and a sentence that says why."""


def predict_all(
    predictor: Predictor,
    sources: Sequence[Source],
    out_dir: Path,
    overlay: float | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Report:
    """Write `<name>.png` for every picture, and on request `overlay/<name>.jpg`.

    Every file appears whole or not at all, so an interrupted run (Ctrl-C) goes on where it
    stopped when it is started again. `failed.json` tells what went wrong, also after Ctrl-C.

    Args:
        predictor: labels the pictures.
        sources: pictures and the names of their results.
        out_dir: folder of the results; made if it is missing.
        overlay: opacity of the colours in overlays, None for no overlays.
        overwrite: replace results that exist; otherwise they are kept.
        progress: show a bar with the time left, on standard error.

    Raises:
        ConfigError: the opacity is not in [0, 1], or `out_dir` is no folder to write to.
    """
    if overlay is not None and not 0 <= overlay <= 1:
        raise ConfigError(f"`overlay` must be in [0, 1], got {overlay}. Half and half is 0.5.")
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        (out_dir / FAILED_NAME).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"`out` must be a folder to write to, got '{out_dir}' ({error.strerror})."
        ) from error
    report = Report()
    inputs = {source.path.resolve() for source in sources}
    try:
        for path, name in _track(sources, progress):
            results = _results(out_dir, name, overlay)
            missing = [result for result in results if overwrite or not result.exists()]
            if not missing:
                report.skipped.append(path)
            elif reason := _try(predictor, path, missing, overlay, inputs):
                report.failed[path] = reason
            else:
                report.done.append(path)
    finally:
        _record(report.failed, out_dir / FAILED_NAME)
    return report


def _results(out_dir: Path, name: str, overlay: float | None) -> list[Path]:
    label = out_dir / f"{name}.png"
    return [label] if overlay is None else [label, out_dir / "overlay" / f"{name}.jpg"]


def _try(
    predictor: Predictor, path: Path, missing: list[Path], overlay: float | None, inputs: set[Path]
) -> str | None:
    """Predict one picture; return None, or the sentence that says what went wrong."""
    for result in missing:
        if result.resolve() in inputs:
            return f"'{result}' must not replace an input. Choose another `--out`."
    try:
        _predict(predictor, path, missing, overlay)
    except ParseNetError as error:
        return str(error)
    # Anything a picture can cause, running out of memory among them, costs that picture only.
    except Exception as error:
        return f"'{path}' failed with {type(error).__name__}: {error}"
    return None


def _predict(predictor: Predictor, path: Path, missing: list[Path], overlay: float | None) -> None:
    image = read_image(path)
    label = predictor(image)
    for result in missing:
        if result.suffix == ".png":
            write_label(result, label, predictor.taxonomy)
        elif overlay is not None:
            write_overlay(result, image, label, predictor.taxonomy, overlay)


def _record(failed: dict[Path, str], path: Path) -> None:
    if failed:
        reasons = {str(path): reason for path, reason in failed.items()}
        text = json.dumps(reasons, indent=2, ensure_ascii=False)
        # File names that are no Unicode become JSON escapes.
        write_bytes_atomically(path, text.encode(errors="backslashreplace"))


def _track(sources: Sequence[Source], progress: bool) -> Iterator[Source]:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not progress,
    )
    with bar:
        yield from bar.track(sources, description="Predicting")
