"""`parsenet predict`: label images, videos and whatever else has pixels."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parsenet.errors import ConfigError

if TYPE_CHECKING:
    from parsenet.config import InferenceConfig
    from parsenet.inference.devices import Loading
    from parsenet.inference.folder import Job
    from parsenet.inference.predictor import Predictor
    from parsenet.inference.report import Report
    from parsenet.inference.sources import Sources

MODEL_SUFFIXES = (".safetensors", ".ckpt", ".onnx", ".pt2")
"""Endings that make the first input the model: `predict model.safetensors photos/`."""

_MOST_FAILURES = 20
"""Failures that are shown one by one; `failed.json` has all."""

EXAMPLES = """\
examples:
  parsenet predict photo.jpg                             with the bundled model
  parsenet predict photos/ --recursive --out labels
  parsenet predict model.safetensors 'photos/*.jpg' --save label,overlay,areas
  parsenet predict @list.txt --save coco --coco polygons --json
  curl -s https://example.org/cat.jpg | parsenet predict - --overlay 0.6
  parsenet predict https://example.org/cat.jpg clip.mp4 camera:0

Results that exist are kept: the same command again goes on where it stopped.
Exit codes: 0 all done, 1 some inputs failed (failed.json says why), 2 refused, 130 interrupted.
"""


def main(words: list[str]) -> int:
    """Run the command; return its exit code."""
    given = build_parser().parse_args(words[1:])
    start = time.monotonic()
    model, inputs = _split_model(given.model, given.input)

    from parsenet.inference.devices import Loading
    from parsenet.inference.sources import find_images

    loading = Loading(model, given.device, given.precision, _inference_config(given))
    sources = find_images(inputs, given.recursive, exclude=given.out)
    job = _plan(given, loading, sources)
    predictor = loading.load()
    _say(given, introduce(predictor, model))
    with heeding_termination():
        report = _run(given, loading, predictor, job)
    show_failures(report, given.out)
    summary = _summarise(report, job, predictor) | {"seconds": round(time.monotonic() - start, 3)}
    if given.json:
        print(json.dumps(summary, indent=2))
    elif not given.quiet:
        _show(summary)
    return 1 if report.failed else 0


def build_parser() -> argparse.ArgumentParser:
    """Describe the options."""
    parser = argparse.ArgumentParser(
        "parsenet predict",
        description="Label images: by default a palette PNG of the same name and size for each.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "input",
        nargs="+",
        metavar="INPUT",
        help="images, folders, globs, @list.txt, - (standard input), http(s) addresses, videos, "
        "camera:N; a checkpoint or an exported file in the first place is the model",
    )
    add = parser.add_argument_group("model").add_argument
    add("--model", type=Path, metavar="FILE", help="checkpoint; without it the bundled model")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")
    add("--devices", type=int, default=1, metavar="N", help="share the work over N GPUs/processes")
    add("--precision", default="auto", help="auto, 32-true or bf16-mixed")
    add("--batch-size", type=_count_or_auto, default=None, metavar="N|auto",
        help="images of equal size that run together (auto: 1 on a CPU)")  # fmt: skip
    add = parser.add_argument_group("inputs").add_argument
    add("--recursive", action="store_true", help="look into folders of folders")
    add("--frames", choices=("first", "all"), default="first", help="of animated images")
    add("--every", type=int, default=1, metavar="N", help="of videos take each N-th frame")
    add("--max-frames", type=int, metavar="N", help="of videos and cameras take at most N frames")
    add("--max-pixels", type=int, metavar="N", help="refuse larger images (178956970)")
    add("--max-bytes", type=int, metavar="N", help="refuse larger downloads (67108864)")
    add("--timeout", type=float, default=20.0, metavar="S", help="seconds a server may be silent")
    _add_results(parser)
    _add_sizes(parser)
    return parser


def _add_results(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("results").add_argument
    add("--out", type=Path, default=Path("predictions"), metavar="DIR", help="folder (predictions)")
    add("--save", type=_words, metavar="KIND,...",
        help="any of label, overlay, probabilities, probability-maps, entropy, areas, coco, sheet, "
        "video; default label, and video for videos")  # fmt: skip
    add("--overlay", type=float, metavar="OPACITY", help="add overlays of this opacity in [0, 1]")
    add("--no-legend", action="store_true", help="overlays as large as their images")
    add("--coco", choices=("rle", "polygons"), default="rle", help="form of regions in coco.json")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--resume", action="store_true", help="keep results that exist (default)")
    group.add_argument("--overwrite", action="store_true", help="replace results that exist")
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")
    parser.add_argument("--quiet", action="store_true", help="print errors only")


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("sizes and test-time augmentation").add_argument
    add("--memory", type=float, default=2.0, metavar="GIB",
        help="for activations; larger images are cut into windows (2)")  # fmt: skip
    add("--window", type=int, metavar="N", help="side of windows in pixels")
    add("--overlap", type=int, metavar="N", help="pixels that windows share")
    add("--context", choices=("whole", "window"), default="whole", help="global context of windows")
    add("--scales", type=numbers, default=(1.0,), metavar="S,...", help="average over sizes")
    add("--flip", action="store_true", help="average with the mirrored image")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def numbers(text: str) -> tuple[float, ...]:
    """Read `0.75,1,1.25`."""
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be like 0.75,1,1.25, got '{text}'") from None


def _count_or_auto(text: str) -> int | None:
    if text == "auto" or text.isdecimal():
        return None if text == "auto" else int(text)
    raise argparse.ArgumentTypeError(f"must be auto or a number, got '{text}'")


def _split_model(model: Path | None, inputs: list[str]) -> tuple[Path | None, list[str]]:
    """Take a checkpoint in the first place as the model."""
    if not inputs[0].lower().endswith(MODEL_SUFFIXES):
        return model, inputs
    if model is not None:
        raise ConfigError(
            f"`--model` must be given once, got '{model}' and '{inputs[0]}'. Leave one of them out."
        )
    if len(inputs) == 1:
        raise ConfigError(f"`INPUT` must name images, got only the model '{inputs[0]}'. Add some.")
    return Path(inputs[0]), inputs[1:]


def _inference_config(given: argparse.Namespace) -> InferenceConfig:
    from parsenet.config import InferenceConfig

    overlap = InferenceConfig.overlap if given.overlap is None else given.overlap
    return InferenceConfig(
        memory=given.memory,
        window=given.window,
        overlap=overlap,
        context=given.context,
        scales=given.scales,
        flip=given.flip,
    )


def _plan(given: argparse.Namespace, loading: Loading, sources: Sources) -> Job:
    """Gather what is to be done."""
    from parsenet.inference.folder import Job, RunConfig
    from parsenet.inference.frames import ReadConfig
    from parsenet.inference.results import SaveConfig

    saving = SaveConfig(legend=not given.no_legend, coco_form=given.coco)
    if given.save is not None:
        saving = replace(saving, kinds=given.save, stream_kinds=given.save)
    if given.overlay is not None:
        kinds = tuple(dict.fromkeys((*saving.kinds, "overlay")))
        saving = replace(saving, kinds=kinds, opacity=given.overlay)
    reading = ReadConfig(
        frames=given.frames, every=given.every, max_frames=given.max_frames, timeout=given.timeout
    )
    for name in ("max_pixels", "max_bytes"):
        if getattr(given, name) is not None:
            reading = replace(reading, **{name: getattr(given, name)})
    run = RunConfig(
        overwrite=given.overwrite,
        batch_size=given.batch_size,
        progress=not given.quiet,
        settings=loading.settings(),
    )
    return Job(tuple(sources.found), given.out, saving, reading, run, sources.wrong)


def introduce(predictor: Predictor, model: Path | None) -> str:
    """Say which network labels the images."""
    taxonomy = predictor.taxonomy
    name = "the bundled model" if model is None else str(model)
    return (
        f"Model: {name}, {taxonomy.num_classes} classes of '{taxonomy.name}', on "
        f"{predictor.device}."
    )


def _run(given: argparse.Namespace, loading: Loading, predictor: Predictor, job: Job) -> Report:
    from parsenet.inference.devices import predict_on_devices
    from parsenet.inference.report import Report

    if given.devices < 1:
        raise ConfigError(f"`devices` must be at least 1, got {given.devices}.")
    if not job.sources:
        return Report(failed=dict(job.wrong))
    if given.devices > 1:
        return predict_on_devices(loading, job, predictor.taxonomy, given.devices)
    return job.execute(predictor)


@contextmanager
def heeding_termination() -> Iterator[None]:
    """Let SIGTERM, which batch systems send, end a run as Ctrl-C does: with whole files."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def show_failures(report: Report, out: Path) -> None:
    """Tell the first failures on standard error; `failed.json` has all."""
    for reason in list(report.failed.values())[:_MOST_FAILURES]:
        print(f"failed: {reason}", file=sys.stderr)
    more = len(report.failed) - _MOST_FAILURES
    if more > 0:
        print(f"failed: {more} more, see '{out / 'failed.json'}'.", file=sys.stderr)


def _summarise(report: Report, job: Job, predictor: Predictor) -> dict[str, Any]:
    """Return what happened, as `--json` prints it."""
    from parsenet.inference.areas import describe_areas
    from parsenet.inference.journal import read_entry

    summary = {
        "model": str(job.run.settings.get("model")),
        "classes": list(predictor.taxonomy.names),
        "out": str(job.out_dir),
        "labelled": len(report.done),
        "skipped": len(report.skipped),
        "failed": report.failed,
    }
    if len(job.sources) == 1 and not job.sources[0].is_stream:
        entry = read_entry(job.out_dir, job.sources[0].name)
        if entry is not None:
            summary["size"] = entry["size"]
            summary["areas"] = describe_areas(entry, predictor.taxonomy)
    return summary


def _show(summary: dict[str, Any]) -> None:
    """Print the summary for people: the areas of a single image, and counts."""
    areas = summary.get("areas", [])
    width = max((len(area["class"]) for area in areas), default=0)
    for area in areas:
        print(f"{area['class']:{width}}  {100 * area['share']:5.1f} %  {area['pixels']:>9} pixels")
    done = summary["labelled"] or summary["skipped"]
    where = f"; results are in '{summary['out']}'" if done else ""
    counts = f"{summary['labelled']} labelled, {summary['skipped']} already there"
    print(f"{counts}, {len(summary['failed'])} failed{where}.")


def _say(given: argparse.Namespace, sentence: str) -> None:
    if not given.quiet:
        print(sentence, file=sys.stderr)
