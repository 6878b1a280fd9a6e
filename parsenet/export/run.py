"""Export a checkpoint: trace, write, check, and only then let the file appear."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jinja2 import StrictUndefined, Template
from rich.console import Console
from rich.progress import track
from torch import Tensor

from parsenet.errors import ConfigError, DataNotFoundError, ExportError
from parsenet.export import check
from parsenet.export.config import ExportConfig
from parsenet.export.formats import quantize, save_onnx, save_program, trace
from parsenet.files import write_bytes_atomically
from parsenet.inference.predictor import Predictor
from parsenet.inference.segmenter import NetworkSegmenter
from parsenet.models.checkpoint import LoadedNetwork, describe, load_network, save_network
from parsenet.models.parsenet import PREPROCESS
from parsenet.pretrained import bundled_path
from parsenet.reports.tables import markdown_table

LEAST_SHARE = 0.9999
"""Pixels whose labels must be equal; the others are ties that rounding decides."""
_NUM_CALIBRATED = 32
"""Images to measure activations on; more change the ranges little."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exported:
    """What became of an export."""

    path: Path
    """The file."""
    record: dict[str, Any]
    """What it says about itself."""
    agreements: list[check.Agreement]
    """What the check found."""
    checked: str
    """What images it was made on."""
    losses: dict[str, float] | None
    """Mean IoU of `checkpoint` and `file` on so many `images`, where there were labels."""

    def to_card(self) -> str:
        """Write the model card in Markdown: what the file is, made of what, and how checked."""
        heads = ["images", "pixels", "labels equal, %", "largest difference of a score"]
        rows = [
            [x.what, f"{x.pixels:,}", f"{100 * x.share:.4f}", f"{x.difference:.2g}"]
            for x in self.agreements
        ]
        text = Path(__file__).with_name("card.md.j2").read_text(encoding="utf-8")
        template = Template(
            text, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
            undefined=StrictUndefined,
        )  # fmt: skip
        card: str = template.render(
            name=self.path.name,
            record={"interface": None, **self.record},
            constants=PREPROCESS[self.record["preprocess"]],
            checked=self.checked,
            table=markdown_table(heads, rows, "lrrr"),
            losses=self.losses,
        )
        return card


def export(config: ExportConfig) -> Exported:
    """Write a checkpoint in another form, if that gives the same labels; its card lies beside it.

    A file in integers gives others, by its nature: how many is reported.

    Raises:
        ConfigError: the file would replace the checkpoint.
        WeightsError: the checkpoint cannot be read.
        DataNotFoundError: a folder holds no images, or scores are not where they should be.
        ExportError: fewer than 99.99 % of the pixels of one kind of image have equal labels; the
            file is not written.
        ParseNetError: a package that this needs is not installed.
    """
    source, out = config.checkpoint or bundled_path(), config.out
    if out.resolve() == source.resolve():
        raise ConfigError(
            f"`out` must be another file than the checkpoint, got '{out}' for both. Give a new "
            "name."
        )
    loaded = load_network(source)
    reference = NetworkSegmenter(
        loaded.network, loaded.taxonomy, torch.device("cpu"), "32-true", loaded.record
    )
    images, checked = check.draw_images(config.num_images), "drawn images (no photographs)"
    if config.images is not None:
        paths = check.find_images(config.images, "images", config.num_images)
        images, checked = [check.read_small(path) for path in paths], "images of `--images`"
    pairs = []
    if config.images is not None and config.labels is not None:
        pairs = check.find_labelled(config.images, config.labels)
    record = _describe(source, loaded, config)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(".part", ".", out.parent) as folder:
        path = Path(folder) / out.name
        _write(path, reference, loaded, record, config)
        precision = "auto" if "interface" in record else "32-true"
        exported = Predictor.load(path, "cpu", precision).segmenter
        agreements = check.compare(reference, exported, images)
        worst = min(agreements, key=lambda agreement: agreement.share)
        if worst.share < LEAST_SHARE and not config.int8:
            raise ExportError(
                f"'{out.name}' must label at least {100 * LEAST_SHARE:.2f} % of pixels as the "
                f"checkpoint does, got {100 * worst.share:.3f} % ({worst.what}). It was not "
                "written; give `out` another ending."
            )
        losses = check.score_both(reference, exported, pairs) if pairs else None
        path.replace(out)
    done = Exported(out, record, agreements, f"{len(images)} {checked}", losses)
    write_bytes_atomically(out.with_name(f"{out.name}.md"), done.to_card().encode())
    return done


def _write(
    path: Path,
    reference: NetworkSegmenter,
    loaded: LoadedNetwork,
    record: dict[str, Any],
    config: ExportConfig,
) -> None:
    """Write the file to be checked; a traced one adds its interface to the record."""
    if path.suffix == ".safetensors":
        save_network(path, loaded.network, loaded.config, loaded.taxonomy, remarks=record)
        return
    _log.info("Tracing the network; this takes some seconds.")
    program, interface = trace(reference, config.preprocess_inside)
    record["interface"] = asdict(replace(interface, precision="int8") if config.int8 else interface)
    if path.suffix == ".pt2":
        save_program(program, record, path)
    elif config.calibrate is None:
        save_onnx(program, interface, record, path)
    else:
        in_float = path.with_name(f"float.{path.name}")
        save_onnx(program, interface, record, in_float)
        quantize(in_float, path, _calibration(config.calibrate, reference, config))


def _calibration(
    folder: Path, reference: NetworkSegmenter, config: ExportConfig
) -> Iterator[Tensor]:
    """Give the images to measure activations on, as the file takes them."""
    paths = check.find_images(folder, "calibrate", _NUM_CALIBRATED)
    for path in track(paths, "Calibrating", console=Console(stderr=True), transient=True):
        image = check.read_small(path)
        if config.preprocess_inside:
            yield image.permute(0, 2, 3, 1).contiguous()
        else:
            yield reference.network.preprocess(image).contiguous()


def _describe(source: Path, loaded: LoadedNetwork, config: ExportConfig) -> dict[str, Any]:
    """Return the record of the file, less its interface."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    return describe(loaded.network, loaded.config, loaded.taxonomy, portable=True) | {
        "checkpoint": source.name,
        "checkpoint_sha256": digest,
        "command": config.to_command(),
        "licence": config.licence,
        "score": _read_score(source, digest, config.scores),
    }


def _read_score(source: Path, digest: str, given: Path | None) -> dict[str, Any] | None:
    """Read the score of this very checkpoint; one that lies beside it may be of another."""
    path = given or source.with_name("metrics.json")
    if given is not None and not path.is_file():
        raise DataNotFoundError(f"`scores` must be a file, got '{given}'. Check its name.")
    metrics = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    of = metrics.get("card", {}).get("checkpoint")
    if of == digest:
        return {key: metrics[key] for key in ("mean_iou", "pixel_accuracy", "protocol", "card")}
    if given is not None:
        raise ConfigError(
            f"`scores` must be of this checkpoint (sha256 {digest[:12]}), got those of "
            f"{of[:12] if of else 'an unknown one'}. Score it with `parsenet validate`."
        )
    return None
