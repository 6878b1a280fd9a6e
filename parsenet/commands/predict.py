"""`parsenet predict` and `parsenet submit`: label images, and those of VOC's test set."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parsenet.config import InferenceConfig
from parsenet.errors import ConfigError
from parsenet.inference.inputs import Input, find_inputs, result_path
from parsenet.inference.job import FAILED_NAME, Job, Report, RunConfig
from parsenet.options import positional
from parsenet.version import __version__

if TYPE_CHECKING:
    from parsenet.inference.predictor import Predictor

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
    model, words = _split_model(options)
    if options.resume and options.run.overwrite:
        raise ConfigError("`--resume` and `--overwrite` exclude each other. Leave one of them out.")
    inputs = find_inputs(words, options.recursive, exclude=options.out)

    from parsenet.inference.predictor import Predictor
    from parsenet.inference.run import predict_all

    settings = _settings(model, options.inference)
    load = partial(Predictor.load, model, precision=options.precision, config=options.inference)
    job = Job(
        tuple(inputs.found), options.out, options.run, settings, inputs.wrong, not options.quiet
    )
    report = Report(failed=inputs.wrong)
    if options.devices == 1:
        predictor = load(device=options.device)
        if not options.quiet:
            introduce(predictor, model)
        report = predict_all(predictor, job) if inputs.found else report
    elif inputs.found:
        from parsenet.inference.devices import predict_on_devices

        report = predict_on_devices(load, job, options.device, options.devices)
    show_failures(report, options.out)
    if options.json or not options.quiet:
        _tell(report, job, round(time.monotonic() - start, 3), options.json)
    return 1 if report.failed else 0


def _split_model(options: PredictOptions) -> tuple[Path | None, tuple[str, ...]]:
    """Take a checkpoint in the first place as the model."""
    first, *others = options.inputs
    if not first.lower().endswith(MODEL_SUFFIXES):
        return options.model, options.inputs
    if options.model is not None:
        raise ConfigError(
            f"`--model` must be given once, got '{options.model}' and '{first}'. Leave one of them "
            "out."
        )
    if not others:
        raise ConfigError(f"`INPUTS` must name images, got only the model '{first}'. Add some.")
    return Path(first), tuple(others)


def _settings(model: Path | None, config: InferenceConfig) -> dict[str, Any]:
    """Say what decides about the labels; a folder holds results of one such choice."""
    settings = {"scales": list(config.scales), "flip": config.flip, "context": config.context}
    settings |= {"window": config.window, "overlap": config.overlap}
    if model is None:
        return {"model": f"bundled with {__version__}"} | settings
    if not model.is_file():
        return settings  # loading says so in a moment
    with model.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"model": f"{model.name} ({digest[:12]})"} | settings


def introduce(predictor: Predictor, model: Path | None) -> None:
    """Say which network labels the images."""
    name = "the bundled model" if model is None else str(model)
    taxonomy = predictor.taxonomy
    classes = f"{taxonomy.num_classes} classes of '{taxonomy.name}'"
    print(f"Model: {name}, {classes}, on {predictor.device}.", file=sys.stderr)


def show_failures(report: Report, out: Path) -> None:
    """Tell the first failures on standard error; `failed.json` has all."""
    for reason in list(report.failed.values())[:_MOST_FAILURES]:
        print(f"failed: {reason}", file=sys.stderr)
    more = len(report.failed) - _MOST_FAILURES
    if more > 0:
        print(f"failed: {more} more, see '{out / FAILED_NAME}'.", file=sys.stderr)


def _tell(report: Report, job: Job, seconds: float, as_json: bool) -> None:
    """Print what happened, and of a single image the areas of its classes."""
    taxonomy, done, skipped = report.taxonomy, len(report.done), len(report.skipped)
    paths = [result_path(job.out_dir, "label", one.name) for one in job.inputs]
    areas: dict[str, Any] = {}
    if taxonomy is not None and len(paths) == 1 and paths[0].is_file():
        import numpy as np
        from PIL import Image

        from parsenet.inference.writers import describe_areas

        label = np.asarray(Image.open(paths[0]))
        areas = {"size": label.shape, "areas": describe_areas(label, taxonomy)}
    if as_json:
        summary = {
            "model": str(job.settings.get("model")),
            "classes": taxonomy.names if taxonomy else [],
            "out": str(job.out_dir),
            "labelled": done,
            "skipped": skipped,
            "failed": report.failed,
        }
        print(json.dumps(summary | areas | {"seconds": seconds}, indent=2))
        return
    width = max((len(area["class"]) for area in areas.get("areas", ())), default=0)
    for area in areas.get("areas", ()):
        share = 100 * area["share"]
        print(f"{area['class']:{width}}  {share:5.1f} %  {area['pixels']:>9} pixels")
    where = f"; results are in '{job.out_dir}'" if done or skipped else ""
    print(f"{done} labelled, {skipped} already there, {len(report.failed)} failed{where}.")


def submit(options: SubmitOptions) -> int:
    """Run the command; return its exit code."""
    if options.check is not None:
        return _check(options, options.check)
    if options.root is None:
        raise ConfigError("`--root` must name VOC's folder, got nothing. Add it.")

    from parsenet.inference.predictor import Predictor
    from parsenet.inference.run import predict_all
    from parsenet.submission import check_archive, find_split, pack, require_voc, results_folder

    images = find_split(options.root, options.split)
    config = options.inference
    predictor = Predictor.load(options.model, options.device, options.precision, config)
    require_voc(predictor.taxonomy)
    if not options.quiet:
        introduce(predictor, options.model)
    folder = results_folder(options.split)
    report = predict_all(
        predictor,
        Job(
            tuple(Input(path, f"{folder}/{name}") for name, path in images.items()),
            options.out,
            RunConfig(overwrite=options.overwrite),
            _settings(options.model, config),
            progress=not options.quiet,
        ),
    )
    show_failures(report, options.out)
    if report.failed:
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


def _check(options: SubmitOptions, archive: Path) -> int:
    from parsenet.submission import check_archive, find_split

    images = None if options.root is None else find_split(options.root, options.split)
    faults = check_archive(archive, options.split, images)
    for sentence in faults:
        print(sentence)
    if images is None:
        print("Ids and sizes were not compared. Add `--root VOCdevkit/VOC2012`.", file=sys.stderr)
    if not faults and not options.quiet:
        print(f"'{archive}' is as the server wants it.")
    return 1 if faults else 0
