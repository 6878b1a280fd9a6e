"""`parsenet predict` and `parsenet submit`: label images, and those of VOC's test set."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from parsenet.config import InferenceConfig
from parsenet.errors import ConfigError
from parsenet.inference.inputs import PLACES, Input, find_inputs
from parsenet.inference.job import FAILED_NAME, Job, Report, RunConfig
from parsenet.options import positional
from parsenet.version import __version__

MODEL_SUFFIXES = (".safetensors", ".ckpt", ".onnx", ".pt2")
"""Endings that make the first input the model: `predict model.safetensors photos/`."""

_MOST_FAILURES = 20
"""Failures that are shown one by one; `failed.json` has all."""


@dataclass(frozen=True)
class PredictOptions:
    """Label images: by default a palette PNG of the same name and size for each.

    Results that exist are kept: the same command again goes on where it stopped. Exit codes: 0 all
    done, 1 some inputs failed (failed.json says why), 2 refused, 130 interrupted.
    """

    inputs: tuple[str, ...] = positional("+")
    """Images, folders, globs, @list.txt, http(s) addresses, videos; a checkpoint or an exported
    file in the first place is the model."""
    out: Path = Path("predictions")
    """Folder of the results."""
    model: Path | None = None
    """Checkpoint or exported file; without it the bundled model."""
    device: str = "auto"
    """Such as auto, cpu, cuda, cuda:1."""
    devices: int = 1
    """Share the work over so many GPUs, or processes on a CPU."""
    precision: str = "auto"
    """One of auto, 32-true, bf16-mixed."""
    recursive: bool = False
    """Look into folders of folders."""
    run: RunConfig = RunConfig()
    inference: InferenceConfig = InferenceConfig()
    resume: bool = False
    """Keep results that exist, as is the default."""
    json: bool = False
    """Print a summary as JSON."""
    quiet: bool = False
    """Print errors only."""


@dataclass(frozen=True)
class SubmitOptions:
    """Pack label maps of PASCAL VOC 2012 for its test server, or check a packed archive.

    The same command again goes on where it stopped. Exit codes: 0 the archive can be sent in, 1 it
    cannot (or images failed), 2 refused, 130 interrupted.
    """

    model: Path | None = positional("?", None)
    """Checkpoint; without it the bundled model."""
    root: Path | None = None
    """VOC's folder, with JPEGImages and ImageSets."""
    split: str = "test"
    """List of ids in ImageSets/Segmentation."""
    out: Path = Path("submission")
    """Folder of the label maps and their archive."""
    check: Path | None = None
    """Only check this archive (tar or zip)."""
    device: str = "auto"
    """Such as auto, cpu, cuda, cuda:1."""
    precision: str = "auto"
    """One of auto, 32-true, bf16-mixed."""
    inference: InferenceConfig = InferenceConfig()
    overwrite: bool = False
    """Replace label maps that exist."""
    quiet: bool = False
    """Print errors only."""


def predict(options: PredictOptions) -> int:
    """Run the command; return its exit code."""
    start = time.monotonic()
    model, words = options.model, options.inputs
    if words[0].lower().endswith(MODEL_SUFFIXES):
        if model is not None:
            raise ConfigError(
                f"`--model` must be given once, got '{model}' and '{words[0]}'. Leave one of them "
                "out."
            )
        model, words = Path(words[0]), words[1:]
        if not words:
            raise ConfigError(f"`INPUTS` must name images, got only the model '{model}'. Add some.")
    if options.resume and options.run.overwrite:
        raise ConfigError("`--resume` and `--overwrite` exclude each other. Leave one of them out.")
    found = find_inputs(words, options.recursive, exclude=options.out)
    settings, inputs = _settings(model, options.inference), tuple(found.found)
    job = Job(inputs, options.out, options.run, settings, found.wrong, not options.quiet)
    report = _label(job, model, options, options.devices)
    if options.json or not options.quiet:
        _tell(report, job, round(time.monotonic() - start, 3), options.json)
    return 1 if report.failed else 0


def _settings(model: Path | None, config: InferenceConfig) -> dict[str, Any]:
    """Say what decides about the labels; a folder holds results of one such choice."""
    name = f"bundled with {__version__}"
    if model is not None and model.is_file():  # loading tells of a missing one in a moment
        with model.open("rb") as file:
            name = f"{model.name} ({hashlib.file_digest(file, 'sha256').hexdigest()[:12]})"
    settings = {"model": name, "scales": list(config.scales), "flip": config.flip}
    return settings | {x: getattr(config, x) for x in ("context", "window", "overlap")}


def _label(
    job: Job, model: Path | None, options: PredictOptions | SubmitOptions, devices: int = 1
) -> Report:
    """Load the network and say which one it is, label, and tell of the first failures."""
    from parsenet.inference.predictor import Predictor

    load = partial(Predictor.load, model, precision=options.precision, config=options.inference)
    if devices != 1 and job.inputs:
        from parsenet.inference.devices import predict_on_devices

        report = predict_on_devices(load, job, options.device, devices)
    else:
        from parsenet.inference.run import predict_all

        predictor = load(device=options.device)
        taxonomy = predictor.taxonomy
        if isinstance(options, SubmitOptions):
            from parsenet.submission import require_voc

            require_voc(taxonomy)
        if not options.quiet:
            network = "the bundled model" if model is None else str(model)
            classes = f"{taxonomy.num_classes} classes of '{taxonomy.name}'"
            print(f"Model: {network}, {classes}, on {predictor.device}.", file=sys.stderr)
        report = predict_all(predictor, job) if job.inputs else Report(failed=dict(job.wrong))
    for reason in list(report.failed.values())[:_MOST_FAILURES]:
        print(f"failed: {reason}", file=sys.stderr)
    if (more := len(report.failed) - _MOST_FAILURES) > 0:
        print(f"failed: {more} more, see '{job.out_dir / FAILED_NAME}'.", file=sys.stderr)
    return report


def _tell(report: Report, job: Job, seconds: float, as_json: bool) -> None:
    """Print what happened, and of a single image the areas of its classes."""
    taxonomy, done, skipped = report.taxonomy, len(report.done), len(report.skipped)
    paths = [job.out_dir / PLACES["label"].format(one.name) for one in job.inputs]
    size: tuple[int, ...] = ()
    areas: list[dict[str, Any]] = []
    if taxonomy is not None and len(paths) == 1 and paths[0].is_file():
        import numpy as np
        from PIL import Image

        from parsenet.inference.writers import describe_areas

        label = np.asarray(Image.open(paths[0]))
        size, areas = label.shape, describe_areas(label, taxonomy)
    if as_json:
        summary = {
            "model": job.settings["model"],
            "classes": taxonomy.names if taxonomy else [],
            "out": str(job.out_dir),
            "labelled": done,
            "skipped": skipped,
            "failed": report.failed,
            **({"size": size, "areas": areas} if areas else {}),
            "seconds": seconds,
        }
        print(json.dumps(summary, indent=2))
        return
    width = max((len(area["class"]) for area in areas), default=0)
    for area in areas:
        share = 100 * area["share"]
        print(f"{area['class']:{width}}  {share:5.1f} %  {area['pixels']:>9} pixels")
    where = f"; results are in '{job.out_dir}'" if done or skipped else ""
    print(f"{done} labelled, {skipped} already there, {len(report.failed)} failed{where}.")


def submit(options: SubmitOptions) -> int:
    """Run the command; return its exit code."""
    from parsenet.submission import check_archive, find_split, pack, results_folder

    if options.check is not None:
        images = None if options.root is None else find_split(options.root, options.split)
        if faults := check_archive(options.check, options.split, images):
            print(*faults, sep="\n")
        if images is None:
            told = "Ids and sizes were not compared. Add `--root VOCdevkit/VOC2012`."
            print(told, file=sys.stderr)
        if not faults and not options.quiet:
            print(f"'{options.check}' is as the server wants it.")
        return 1 if faults else 0
    if options.root is None:
        raise ConfigError("`--root` must name VOC's folder, got nothing. Add it.")
    images = find_split(options.root, options.split)
    folder = results_folder(options.split)
    inputs = tuple(Input(path, f"{folder}/{name}") for name, path in images.items())
    config = RunConfig(overwrite=options.overwrite)
    settings = _settings(options.model, options.inference)
    job = Job(inputs, options.out, config, settings, progress=not options.quiet)
    if _label(job, options.model, options).failed:
        return 1
    archive = options.out / "results.tgz"
    pack(options.out, list(images), options.split, archive)
    if faults := check_archive(archive, options.split, images):
        archive.unlink()
        print(*faults, sep="\n")
        way_out = "No archive was written. Run the same command again with `--overwrite`."
        print(f"error: {way_out}", file=sys.stderr)
        return 1
    if not options.quiet:
        print(f"{len(images)} label maps are in '{archive}', as the server wants it.")
    return 0
