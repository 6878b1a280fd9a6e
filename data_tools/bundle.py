"""Put a trained network into the package: the bundled model, in half precision, and its card.

    python data_tools/bundle.py runs/squeezenet_bundled
    parsenet validate --data.dataset voc2012 --data.root VOCdevkit/VOC2012 --ckpt_path parsenet/pretrained/model.safetensors --run_dir runs/bundled
    python data_tools/bundle.py runs/squeezenet_bundled runs/bundled

The first line prints the size of the file, the last one the card's scores. Every figure of the card
comes from the run's record and from the scores of the very file in the package.
"""  # noqa: E501 - a command to copy

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parsenet.cli import run_script
from parsenet.errors import ConfigError
from parsenet.files import write_bytes_atomically
from parsenet.options import positional
from parsenet.pretrained import CARD_NAME, MODEL_NAME

MAX_BYTES = 4_000_000
"""What the package is willing to carry."""
FREQUENT = ("background", "bird", "cat", "cow", "dog", "horse", "person", "sheep")
"""Classes that the subset of VOC 2012 was chosen for, and background."""
PEER = {"pixel accuracy": 0.905, "IoU, mean of the eight": 0.679}
"""DeepLabv3-MobileNetV2-0.5 (2.8 MB) on the same 238 images under the same protocol."""


def write_model(run_dir: Path, out: Path) -> int:
    """Write the run's network in half precision; return the size of the file in bytes."""
    from parsenet.models.checkpoint import load_network, save_network

    loaded = load_network(run_dir / MODEL_NAME)
    path = out / MODEL_NAME
    save_network(path, loaded.network, loaded.config, loaded.taxonomy, half=True)
    size = path.stat().st_size
    if size > MAX_BYTES:
        path.unlink()
        raise ConfigError(f"The model must have at most {MAX_BYTES} bytes, got {size}.")
    return size


def write_card(run_dir: Path, scores_dir: Path, out: Path) -> dict[str, float]:
    """Write the card from the run's record and the scores of the file in the package.

    Returns:
        what the card compares with the peer.
    """
    record = json.loads((run_dir / "record.json").read_text(encoding="utf-8"))
    metrics = json.loads((scores_dir / "metrics.json").read_text(encoding="utf-8"))
    classes = {row["name"]: row for row in metrics["classes"]}
    ious = [classes[name]["iou"] for name in FREQUENT]
    reached = {
        "pixel accuracy": metrics["pixel_accuracy"],
        "IoU, mean of the eight": sum(ious) / len(ious),
    }
    size = (out / MODEL_NAME).stat().st_size
    text = _CARD.format(
        size=size / 1e6,
        parameters=record["num_parameters"],
        commit=record["git_commit"][:7],
        date=record["finished"][:10],
        device=record["device"],
        torch=record["versions"]["torch"],
        seed=record["seed"],
        minutes=record["seconds"] / 60,
        iterations=_iterations(run_dir),
        protocol=metrics["protocol"],
        comparison="\n".join(_compare(name, reached[name]) for name in reached),
        rows="\n".join(_row(row) for row in metrics["classes"]),
        weak=_weak(classes),
    )
    write_bytes_atomically(out / CARD_NAME, text.encode())
    return reached


def _iterations(run_dir: Path) -> int:
    last = (run_dir / "metrics.csv").read_text(encoding="utf-8").splitlines()[-1]
    return int(last.split(",")[1])


def _compare(name: str, value: float) -> str:
    numbers = f"{100 * value:.2f} | {100 * PEER[name]:.1f} | {100 * (value - PEER[name]):+.2f}"
    return f"| {name} | {numbers} |"


def _row(row: dict[str, Any]) -> str:
    numbers = ["-" if row[key] is None else f"{100 * row[key]:.2f}" for key in ("iou", "accuracy")]
    return f"| {row['name']} | {numbers[0]} | {numbers[1]} | {row['pixels']:,} |"


def _weak(classes: dict[str, dict[str, Any]]) -> str:
    weak = [name for name, row in classes.items() if row["pixels"] and (row["iou"] or 0) < 0.25]
    return ", ".join(weak)


_CARD = """\
# The bundled model

ParseNet on SqueezeNet v1.0: pool6, fc7, conv5, conv4 and conv3, L2-normalized, late fusion, 21
classes of PASCAL VOC 2012. {parameters:,} parameters, {size:.2f} MB in half precision (computed
in float32). Written by `python data_tools/bundle.py`; no figure of this model was typed in.

## Scores

Of this very file, {date}: {protocol}. **These 238 images were chosen for cat, dog, horse, cow
and sheep; no figure here is "VOC 2012 val".**

| per cent | this model | DeepLabv3-MobileNetV2-0.5, 2.8 MB | difference |
|---|---:|---:|---:|
{comparison}

The eight are background, bird, cat, cow, dog, horse, person and sheep. Where the difference is
negative the bar is missed.

| class | IoU | accuracy | pixels in val |
|---|---:|---:|---:|
{rows}

## What it is bad at

Classes with an IoU under 25 per cent, which it hardly knows: {weak}. Small and cut-off things,
people above all, are missed; cats and dogs are mixed within one animal. Anything that is not one
of the 20 classes is background to it. Do not use it where a wrong label can hurt somebody.

## How it was made

`configs/voc2012/squeezenet_bundled.yaml` at commit {commit}, seed {seed}: {iterations} iterations
of eight crops, {minutes:.0f} minutes ({device}, two cores shared with other work, torch {torch}).
For its first 3,200 iterations the rate fell as for 30 epochs; the run was then broken off and
resumed with the 20 epochs that the file says now.

- Data: 3,135 images of VOC 2012's trainaug (VOC and SBD labels), a subset rich in animals. The
  images are under Flickr's terms and belong to their owners; none of them is in this package.
- Start: SqueezeNet v1.0's ImageNet weights from Caffe (BGR minus mean). ImageNet's terms allow
  research and education; whether weights learned from it may be used otherwise is not settled.
- Input: RGB in [0, 255], any size; preprocessing is inside. Output: class indices 0..20.
- Licence of the file: BSD-3-Clause, as far as it is ours to give.
"""


@dataclass(frozen=True)
class BundleOptions:
    """Put a trained network into the package, or with its scores the card."""

    run_dir: Path = positional()
    """Folder that `parsenet fit` wrote."""
    scores_dir: Path | None = positional("?", None)
    """Folder that `parsenet validate` wrote, for the card."""
    out: Path = Path("parsenet/pretrained")
    """Folder to write to."""


def run(options: BundleOptions) -> int:
    """Write the model or its card."""
    if options.scores_dir is None:
        size = write_model(options.run_dir, options.out)
        print(f"{options.out / MODEL_NAME}: {size:,} bytes")
    else:
        reached = write_card(options.run_dir, options.scores_dir, options.out)
        figures = ", ".join(f"{name} {100 * value:.2f}" for name, value in reached.items())
        print(f"{options.out / CARD_NAME}: {figures}")
    return 0


if __name__ == "__main__":
    sys.exit(run_script("data_tools/bundle.py", run))
