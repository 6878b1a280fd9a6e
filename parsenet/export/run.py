"""Export a checkpoint: trace, write, check, and only then let the file appear."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from jinja2 import StrictUndefined, Template
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn import functional

from parsenet.data.labels import read_mask
from parsenet.data.reading import is_image, read_image
from parsenet.errors import ConfigError, DataNotFoundError, ExportError
from parsenet.export.config import ExportConfig
from parsenet.export.formats import quantize, save_onnx, save_program, trace
from parsenet.files import write_bytes_atomically
from parsenet.inference.predictor import Predictor
from parsenet.inference.segmenter import Box, NetworkSegmenter, Segmenter
from parsenet.metrics.counting import count
from parsenet.metrics.scores import scores
from parsenet.models.checkpoint import LoadedNetwork, describe, load_network, save_network
from parsenet.models.parsenet import PREPROCESS
from parsenet.pretrained import bundled_path

LEAST_SHARE = 0.9999
"""Pixels whose labels must be equal; the others are ties that rounding decides."""
_SIZES = ((97, 131), (64, 200), (33, 49))
"""(height, width) that images are brought to: odd, even and flat, small."""
_MOST_PIXELS = 2**20
"""Larger images are shrunk: checking looks at whole images, and memory has an end."""
_EVERYWHERE = Box(-np.inf, np.inf, -np.inf, np.inf)
_NUM_CALIBRATED = 32
"""Images to measure activations on; more change the ranges little."""
_log = logging.getLogger(__name__)

_track = partial(track, console=Console(stderr=True), transient=True)

Images = UInt8[Tensor, "_ 3 _ _"]


class Agreement(NamedTuple):
    """What became of some images' labels, such as those of `97 x 131`."""

    what: str
    pixels: int
    share: float
    """Share of pixels with equal labels."""
    difference: float
    """Largest difference of a class score."""


class Exported(NamedTuple):
    """What became of an export: the file, what it says about itself, what its check found."""

    path: Path
    record: dict[str, Any]
    agreements: list[Agreement]
    checked: str
    """What images the check was made on."""
    losses: dict[str, float] | None
    """Mean IoU of `checkpoint` and `file` on so many `images`, where there were labels."""

    def to_card(self) -> str:
        """Write the model card in Markdown: what the file is, made of what, and how checked."""
        text = Path(__file__).with_name("card.md.j2").read_text(encoding="utf-8")
        template = Template(
            text, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
            undefined=StrictUndefined,
        )  # fmt: skip
        constants = PREPROCESS[self.record["preprocess"]]
        return template.render(self._asdict(), constants=constants)  # type: ignore[no-any-return]


def export(config: ExportConfig) -> Exported:
    """Write a checkpoint in another form, if that gives the same labels; its card lies beside it.

    A file in integers gives others, by its nature: how many is reported.

    Raises:
        ExportError: fewer than 99.99 % of the pixels of one kind of image have equal labels; the
            file is not written.
        ParseNetError: a file cannot be read, a folder holds no images, a package is missing.
    """
    source, out = config.checkpoint or bundled_path(), config.out
    if out.resolve() == source.resolve():
        raise ConfigError(
            f"`out` must be another file than the checkpoint, got '{out}' for both. Give a new "
            "name."
        )
    loaded = load_network(source)
    reference = NetworkSegmenter(loaded.network, loaded.taxonomy, "cpu", "32-true", loaded.record)
    images, checked = draw_images(config.num_images), "drawn images (no photographs)"
    pairs = []
    if config.images is not None:
        paths = find_images(config.images, "images", config.num_images)
        images, checked = [read_small(path) for path in paths], "images of `--images`"
        if config.labels is not None:
            pairs = find_labelled(config.images, config.labels)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    record = describe(loaded.network, loaded.config, loaded.taxonomy, portable=True) | {
        "checkpoint": source.name,
        "checkpoint_sha256": digest,
        "command": config.to_command(),
        "licence": config.licence,
        "score": _read_score(source, digest, config.scores),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(".part", ".", out.parent) as folder:
        path = Path(folder) / out.name
        _write(path, reference, loaded, record, config)
        precision = "auto" if "interface" in record else "32-true"
        exported = Predictor.load(path, "cpu", precision).segmenter
        agreements = compare(reference, exported, images)
        worst = min(agreements, key=lambda agreement: agreement.share)
        if worst.share < LEAST_SHARE and not config.int8:
            raise ExportError(
                f"'{out.name}' must label at least {100 * LEAST_SHARE:.2f} % of pixels as the "
                f"checkpoint does, got {100 * worst.share:.3f} % ({worst.what}). It was not "
                "written; give `out` another ending."
            )
        losses = score_both(reference, exported, pairs) if pairs else None
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
    record["interface"] = interface | ({"precision": "int8"} if config.int8 else {})
    if path.suffix == ".pt2":
        save_program(program, record, path)
    elif config.calibrate is None:
        save_onnx(program, interface, record, path)
    else:
        in_float = path.with_name(f"float.{path.name}")
        save_onnx(program, interface, record, in_float)
        paths = find_images(config.calibrate, "calibrate", _NUM_CALIBRATED)
        images = (read_small(x) for x in _track(paths, "Calibrating"))
        inside, preprocess = config.preprocess_inside, reference.network.preprocess
        taken = (x.permute(0, 2, 3, 1) if inside else preprocess(x) for x in images)
        quantize(in_float, path, (x.contiguous() for x in taken))


def _read_score(source: Path, digest: str, given: Path | None) -> dict[str, Any] | None:
    """Read the score of this very checkpoint; one that lies beside it may be of another."""
    path = given or source.with_name("metrics.json")
    metrics = json.loads(path.read_text(encoding="utf-8")) if given or path.is_file() else {}
    of = metrics.get("card", {}).get("checkpoint") or "none"
    if of == digest:
        return {key: metrics[key] for key in ("mean_iou", "pixel_accuracy", "protocol", "card")}
    if given is not None:
        raise ConfigError(
            f"`scores` must be of this checkpoint (sha256 {digest[:12]}), got those of {of[:12]}. "
            "Score it with `parsenet validate`."
        )
    return None


def find_images(folder: Path, option: str, num: int | None = None) -> list[Path]:
    """List the images of a folder and its subfolders, `num` of them spread evenly."""
    found = sorted(path for path in folder.rglob("*") if is_image(path))
    if not found:
        raise DataNotFoundError(
            f"`{option}` must be a folder of images, got none in '{folder}'. Check its name."
        )
    num = min(num or len(found), len(found))
    return [found[i * len(found) // num] for i in range(num)]


def find_labelled(images: Path, labels: Path) -> list[tuple[Path, Path]]:
    """Match the images of a folder with label maps of their names; others are left out."""
    masks = {path.stem: path for path in find_images(labels, "labels")}
    found = find_images(images, "images")
    pairs = [(path, masks[path.stem]) for path in found if path.stem in masks]
    if not pairs:
        raise DataNotFoundError(
            f"`labels` must hold label maps named like the images in '{images}', got none in "
            f"'{labels}'. Check the folders."
        )
    return pairs


def read_small(path: Path) -> Images:
    """Read an image, shrunk to a megapixel where it has more."""
    image = torch.from_numpy(np.array(read_image(path))).permute(2, 0, 1)[None]
    height, width = image.shape[2:]
    share = min(1.0, (_MOST_PIXELS / (height * width)) ** 0.5)
    return _resize(image, (max(1, int(height * share)), max(1, int(width * share))))


def draw_images(num: int) -> list[Images]:
    """Draw soft blobs of random colours, 240 x 321, for want of photographs."""
    coarse = np.random.default_rng(0).integers(0, 256, (num, 1, 3, 24, 32), np.uint8)
    return [_resize(image, (240, 321)) for image in torch.from_numpy(coarse)]


def _resize(images: Images, size: tuple[int, int]) -> Images:
    return functional.interpolate(images, size, mode="bilinear", antialias=True)


def compare(reference: Segmenter, exported: Segmenter, images: Sequence[Images]) -> list[Agreement]:
    """Label images twice: at their own size and others, two at once, and as windows."""
    sized = {f"{h} x {w}": [_resize(image, (h, w)) for image in images] for h, w in _SIZES}
    first, one = next(iter(sized.items()))
    other = [*one[1:], one[0]]
    together = [torch.cat(pair) for pair in zip(one, other, strict=True)]
    cases = {"own size": list(images), **sized, f"{first}, two at once": together}
    windows = f"{first}, context given"
    if reference.has_context:
        cases[windows] = one
    found = []
    for what, batches in cases.items():
        pixels, same, difference = 0, 0, 0.0
        for i, batch in enumerate(batches):
            # As a window of a larger image: the context is that of something else.
            context = other[i].flip(2) if what == windows else None
            expected, given = (_score(x, batch, context) for x in (reference, exported))
            pixels += expected[:, 0].numel()
            # Of nan, argmax would make the class 0.
            same += int(((expected.argmax(1) == given.argmax(1)) & given.isfinite().all(1)).sum())
            difference = float(np.maximum(difference, float((expected - given).abs().max())))
        found.append(Agreement(what, pixels, same / pixels, difference))
    return found


def _score(
    segmenter: Segmenter, images: Images, context: Images | None
) -> Float[Tensor, "n k h w"]:
    total, number = (None, 1) if context is None else segmenter.pool6_sum(context, _EVERYWHERE)
    pool6 = None if total is None else total / number
    return torch.cat(list(segmenter.bands(images, pool6)), 2)


def score_both(
    reference: Segmenter, exported: Segmenter, pairs: Sequence[tuple[Path, Path]]
) -> dict[str, float]:
    """Return mean IoU of `checkpoint` and `file` on labelled images at their own size."""
    taxonomy = reference.taxonomy
    counts = np.zeros((2, taxonomy.num_classes, taxonomy.num_classes), np.int64)
    for path, mask in _track(pairs, "Scoring"):
        image, truth = read_image(path), read_mask(mask, taxonomy)
        for i, segmenter in enumerate((reference, exported)):
            label = Predictor(segmenter, taxonomy)(image)
            counts[i] += count(label, truth, taxonomy.num_classes, taxonomy.void)
    before, after = (scores(matrix).mean_iou for matrix in counts)
    return {"images": float(len(pairs)), "checkpoint": before, "file": after}
