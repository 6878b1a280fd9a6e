"""Export a checkpoint: trace, write, check, and only then let the file appear."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from parsenet.data.reading import read_image, read_mask
from parsenet.errors import ConfigError, DataNotFoundError
from parsenet.evaluation.folders import Pair
from parsenet.export.agreement import Agreement, compare, refuse_disagreement
from parsenet.export.card import write_card
from parsenet.export.formats import SUFFIXES, save_onnx, save_program
from parsenet.export.graph import describe_interface, trace
from parsenet.export.images import Pixels, draw_images, find_in, find_labelled, read_small
from parsenet.export.int8 import quantize
from parsenet.files import write_bytes_atomically
from parsenet.inference.exported import Interface
from parsenet.inference.predictor import LOADERS, Predictor
from parsenet.inference.segmenter import NetworkSegmenter, Segmenter
from parsenet.metrics.counting import count
from parsenet.metrics.scores import scores
from parsenet.models.checkpoint import LoadedNetwork, load_network, portable_record, save_network
from parsenet.pretrained import bundled_path

_LOGGER = logging.getLogger(__name__)

_NUM_CALIBRATED = 32
"""Images to measure activations on; more change the ranges little."""


@dataclass(frozen=True)
class ExportConfig:
    """What to make of a checkpoint."""

    out: Path
    """File to write; its ending tells `parsenet predict` how to run it."""
    format: str
    """`onnx`, `torch-export` or `safetensors`."""
    preprocess_inside: bool = False
    """Take uint8 RGB images (N, H, W, 3)."""
    images: Path | None = None
    """Folder of images to check with; None draws some."""
    num_images: int = 8
    """How many of them."""
    calibrate: Path | None = None
    """Folder of images to measure activations on, for integers of 8 bits; None stays in float."""
    labels: Path | None = None
    """Folder of the true label maps of `images`, to score with."""
    scores: Path | None = None
    """`metrics.json` of the checkpoint; None looks beside it."""
    licence: str = ""
    """Terms of the file, for its card."""
    command: str = ""
    """What the user typed, for the card."""

    def __post_init__(self) -> None:
        if self.format not in SUFFIXES:
            raise ConfigError(
                f"`format` must be {', '.join(SUFFIXES)}, got '{self.format}'. Use `onnx`."
            )
        suffix = SUFFIXES[self.format]
        if self.out.suffix != suffix:
            raise ConfigError(
                f"`out` must end in {suffix} for `format` {self.format}, got '{self.out}'. The "
                "ending tells how to run it."
            )
        if self.num_images < 1:
            raise ConfigError(f"`num_images` must be at least 1, got {self.num_images}.")
        if self.preprocess_inside and self.format == "safetensors":
            raise ConfigError(
                "`preprocess_inside` must be left out for `format` safetensors: this toolkit runs "
                "such a file, and preprocesses itself."
            )
        if self.calibrate is not None and self.format != "onnx":
            raise ConfigError(
                f"`int8` must go with `format` onnx, got '{self.format}'. Use `--format onnx`."
            )
        if self.labels is not None and self.images is None:
            raise ConfigError("`labels` must come with `images`, got none. Give both folders.")


@dataclass(frozen=True)
class Exported:
    """What became of an export."""

    path: Path
    """The file."""
    card: Path
    """Its card."""
    agreements: list[Agreement]
    """What the check found."""
    checked: str
    """What images it was made on."""
    losses: dict[str, float] | None
    """Mean IoU of `checkpoint` and `file` on so many `images`, where there were labels."""


def export(checkpoint: Path | None, config: ExportConfig) -> Exported:
    """Write a checkpoint in another form, if that gives the same labels.

    A file in integers gives others, by its nature: how many is reported.

    Args:
        checkpoint: `.safetensors` or `.ckpt`; None for the bundled model.
        config: what to make of it.

    Raises:
        ConfigError: the file would replace the checkpoint.
        WeightsError: the checkpoint cannot be read.
        DataNotFoundError: a folder holds no images, or scores are not where they should be.
        ExportError: the file gives other labels; it is not written.
        ParseNetError: a package that this needs is not installed.
    """
    source = bundled_path() if checkpoint is None else checkpoint
    if config.out.resolve() == source.resolve():
        raise ConfigError(
            f"`out` must be another file than the checkpoint, got '{config.out}' for both. Give a "
            "new name."
        )
    loaded = load_network(source)
    reference = NetworkSegmenter(
        loaded.network, loaded.taxonomy, torch.device("cpu"), "32-true", loaded.record
    )
    images, checked = _gather_images(config)
    pairs = []
    if config.images is not None and config.labels is not None:
        pairs = find_labelled(config.images, config.labels)
    record = _describe(source, loaded, config)
    config.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(".part", ".", config.out.parent) as folder:
        path = Path(folder) / config.out.name
        record = _write(path, reference, loaded, record, config)
        exported = LOADERS[path.suffix](path, "cpu", "auto" if "interface" in record else "32-true")
        agreements = compare(reference, exported, images)
        if config.calibrate is None:
            refuse_disagreement(agreements, config.out.name)
        losses = _score_both(reference, exported, pairs) if pairs else None
        text = write_card(config.out.name, record, agreements, checked, losses)
        path.replace(config.out)
    card = config.out.with_name(f"{config.out.name}.md")
    write_bytes_atomically(card, text.encode())
    return Exported(config.out, card, agreements, checked, losses)


def _write(
    path: Path,
    reference: NetworkSegmenter,
    loaded: LoadedNetwork,
    record: dict[str, Any],
    config: ExportConfig,
) -> dict[str, Any]:
    """Write the file to be checked; return what it says about itself."""
    if config.format == "safetensors":
        save_network(path, loaded.network, loaded.config, loaded.taxonomy, remarks=record)
        return record
    interface = describe_interface(reference, config.preprocess_inside)
    _LOGGER.info("Tracing the network; this takes some seconds.")
    program = trace(loaded.network.to(memory_format=torch.contiguous_format), interface)
    if config.format == "torch-export":
        record = record | {"interface": interface.to_dict()}
        save_program(program, record, path)
        return record
    if config.calibrate is None:
        record = record | {"interface": interface.to_dict()}
        save_onnx(program, interface, record, path)
        return record
    record = record | {"interface": replace(interface, precision="int8").to_dict()}
    in_float = path.with_name(f"float.{path.name}")
    save_onnx(program, interface, record, in_float)
    quantize(in_float, path, lambda: _calibration(config, interface, reference))
    return record


def _calibration(
    config: ExportConfig, interface: Interface, reference: NetworkSegmenter
) -> Iterator[Tensor]:
    """Give the images to measure activations on, as the file takes them."""
    assert config.calibrate is not None
    paths = find_in(config.calibrate, "calibrate", _NUM_CALIBRATED)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        for path in bar.track(paths, description="Calibrating"):
            image = torch.from_numpy(np.ascontiguousarray(read_small(path)))[None]
            if not interface.preprocess_inside:
                image = reference.network.preprocess(image.permute(0, 3, 1, 2)).contiguous()
            yield image


def _gather_images(config: ExportConfig) -> tuple[list[Pixels], str]:
    if config.images is None:
        return list(draw_images(config.num_images)), (
            f"{config.num_images} drawn images (gradients under noise, no photographs)"
        )
    paths = find_in(config.images, "images", config.num_images)
    return [read_small(path) for path in paths], f"{len(paths)} images of `--images`"


def _describe(source: Path, loaded: LoadedNetwork, config: ExportConfig) -> dict[str, Any]:
    """Return the record of the file, less its interface."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    record = portable_record(loaded.network, loaded.config, loaded.taxonomy)
    return record | {
        "checkpoint": source.name,
        "checkpoint_sha256": digest,
        "command": config.command,
        "licence": config.licence,
        "score": _read_score(source, digest, config.scores),
    }


def _read_score(source: Path, digest: str, given: Path | None) -> dict[str, Any] | None:
    """Read the score of this very checkpoint; one that lies beside it may be of another."""
    path = given or source.with_name("metrics.json")
    if not path.is_file():
        if given is None:
            return None
        raise DataNotFoundError(f"`scores` must be a file, got '{given}'. Check its name.")
    metrics: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    of = metrics.get("card", {}).get("checkpoint")
    if of != digest:
        if given is None:
            return None
        raise ConfigError(
            f"`scores` must be of this checkpoint (sha256 {digest[:12]}), got those of "
            f"{of[:12] if of else 'an unknown one'}. Score it with `parsenet validate`."
        )
    return {key: metrics[key] for key in ("mean_iou", "pixel_accuracy", "protocol", "card")}


def _score_both(reference: Segmenter, exported: Segmenter, pairs: list[Pair]) -> dict[str, float]:
    """Score both on labelled images, at their own size."""
    taxonomy = reference.taxonomy
    predictors = {"checkpoint": reference, "file": exported}
    size = (taxonomy.num_classes, taxonomy.num_classes)
    counts = {name: np.zeros(size, np.int64) for name in predictors}
    with Progress(console=Console(stderr=True), transient=True) as bar:
        for pair in bar.track(pairs, description="Scoring"):
            image, truth = read_image(pair.prediction), read_mask(pair.label, taxonomy)
            for name, segmenter in predictors.items():
                label = Predictor(segmenter, taxonomy)(image)
                counts[name] += count(label, truth, taxonomy.num_classes, taxonomy.void)
    found = {name: scores(matrix).mean_iou for name, matrix in counts.items()}
    return {"images": float(len(pairs))} | found
