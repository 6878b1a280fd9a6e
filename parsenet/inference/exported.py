"""Exported files, run by ONNX Runtime or by torch, in the place of a network of ours."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from parsenet.errors import ConfigError, ParseNetError, WeightsError
from parsenet.hardware import choose_device
from parsenet.inference.segmenter import Box, Segmenter, sum_cells
from parsenet.models.parsenet import Preprocess
from parsenet.models.weights import METADATA_KEY
from parsenet.taxonomy import Taxonomy

_PARTS_OF_PROGRAM = re.compile(
    # All is in a folder of the archive's own. Without one, torch would take the file for one of an
    # older form, which it unpickles.
    r"[^/]+/(models/model\.json|archive_format|archive_version|byteorder|version|\.data/[^/]*"
    r"|extra/[^/]*|data/(weights|constants)/((weight|tensor)_[^/]*|model_\2_config\.json)"
    r"|data/sample_inputs/[^/]*)"
)


@dataclass(frozen=True)
class Interface:
    """What one has to know to run an exported file; its record holds it as `interface`."""

    preprocess_inside: bool
    """Whether `image` is uint8 RGB (N, H, W, 3), as decoders give it, and not float32
    (N, 3, H, W) in the trunk's own order and scale."""
    precision: Literal["32-true", "int8"]
    """What it computes with."""
    stride: int
    """Pixels per cell of the coarsest map."""
    context_stride: int
    """Pixels per cell of fc7."""
    context_channels: int
    """Channels of `pool6`, the second input, and of `fc7`, the second output; 0 where there is
    neither, because the network does not look at the whole image."""
    bytes_per_pixel: int
    """Bytes of activations per pixel of an image at the worst moment."""


Run: TypeAlias = Callable[[Shaped[Tensor, "n _ _ _"], Float[Tensor, "1 c 1 1"]], list[Tensor]]
"""Runs a file: (image, pool6) to scores and, where the network has context, fc7. A `pool6` of nan
has it take the image's own; one without channels stands for none."""


class ExportedSegmenter(Segmenter):
    """An exported file, run by its runtime.

    Args:
        run: runs it.
        record: what the file says about itself.
        device: where it runs.
    """

    def __init__(self, run: Run, record: dict[str, Any], device: torch.device) -> None:
        self.interface = Interface(**record["interface"])
        self.taxonomy = Taxonomy.from_dict(record["taxonomy"])
        self.device, self.record = device, record
        self.precision = self.interface.precision
        self.stride = self.interface.stride
        self.bytes_per_pixel = self.interface.bytes_per_pixel
        self.has_context = self.interface.context_channels > 0
        self._run = run
        self._preprocess = Preprocess(record["preprocess"]).to(device)

    def bands(
        self, images: UInt8[Tensor, "n 3 H W"], pool6: Float[Tensor, "1 c 1 1"] | None = None
    ) -> Iterator[Float[Tensor, "n k H W"]]:
        """Score images, all rows in one band: that is how the file was made."""
        yield self._score(images, pool6)[0]

    def pool6_sum(
        self, image: UInt8[Tensor, "1 3 H W"], box: Box
    ) -> tuple[Float[Tensor, "1 c 1 1"], int]:
        """Add up fc7 over the cells whose centres lie in a part."""
        return sum_cells(self._score(image, None)[1], self.interface.context_stride, box)

    def _score(self, images: Tensor, pool6: Tensor | None) -> list[Tensor]:
        if pool6 is None:
            channels = self.interface.context_channels
            pool6 = torch.full((1, channels, 1, 1), torch.nan, device=self.device)
        if self.interface.preprocess_inside:
            images = images.permute(0, 2, 3, 1)
        else:
            images = self._preprocess(images)
        return self._run(images.contiguous(), pool6)


def load_exported(path: Path, device: str = "auto", precision: str = "auto") -> Segmenter:
    """Load an `.onnx` or `.pt2` file of `parsenet export`.

    ONNX Runtime runs the first, on the CPU. The second is a program: torch evaluates expressions
    that it finds there, so load it only from people you trust. Files that hold pickles, which
    could do anything, are refused.

    Args:
        path: the file.
        device: where to run, `auto` to choose.
        precision: `auto`, or what the file computes with.

    Raises:
        WeightsError: the file is missing or damaged, holds pickles, or does not say what its
            classes are.
        ConfigError: it cannot run on that device, or with that precision.
        ParseNetError: ONNX Runtime is not installed.
    """
    is_onnx = path.suffix.lower() == ".onnx"
    if is_onnx and device not in ("auto", "cpu"):
        raise ConfigError(
            f"`device` must be `cpu` for an .onnx file, got '{device}'. Use `cpu`, or a .pt2 file."
        )
    chosen = choose_device("cpu" if is_onnx else device)
    if not path.is_file():
        raise WeightsError(f"The weights file '{path}' must exist. Check its path.")
    try:
        run, text = _open_onnx(path) if is_onnx else _open_program(path, chosen)
    except ParseNetError:
        raise
    except Exception as error:  # zipfile, json, torch and ONNX Runtime each have their own
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"'{path}' could not be read as an exported network: {first} Get it anew."
        ) from error
    if not text:
        raise WeightsError(
            f"'{path}' must say what its classes, colours and preprocessing are, got no "
            f"'{METADATA_KEY}' record. Use a file that `parsenet export` wrote."
        )
    try:
        segmenter = ExportedSegmenter(run, json.loads(text), chosen)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"'{path}' must have a record that this version can read, got {error!r}. Export the "
            "checkpoint again."
        ) from error
    if precision not in ("auto", segmenter.precision):
        raise ConfigError(
            f"`precision` must be `auto` or what the exported file computes with, "
            f"{segmenter.precision}, got '{precision}'. Use `auto`, or the checkpoint."
        )
    return segmenter


def require(package: str, what: str) -> Any:  # noqa: ANN401 - a module of no known type
    """Import a package of the extra `export`; the message says what needs it.

    Raises:
        ParseNetError: it is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise ParseNetError(
            f"{what} needs '{error.name}', which is not installed. "
            "Run `pip install 'parsenet[export]'`."
        ) from error


def _open_onnx(path: Path) -> tuple[Run, str | None]:
    runtime = require("onnxruntime", f"'{path.name}'")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors only: it warns of shapes that it could not infer
    # Blocks double in size otherwise: an image larger than all before took twice its memory.
    providers = [("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})]
    session = runtime.InferenceSession(path, options, providers=providers)

    def run(image: Tensor, pool6: Tensor) -> list[Tensor]:
        given = {"image": image.numpy()} | ({"pool6": pool6.numpy()} if pool6.numel() else {})
        return [torch.from_numpy(x) for x in session.run(None, given)]

    return run, session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)


def _open_program(path: Path, device: torch.device) -> tuple[Run, str | None]:
    refuse_pickles(path)
    extra = {METADATA_KEY: ""}
    program = torch.export.load(path, extra_files=extra)
    if device.type != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, str(device))
    module = program.module()

    def run(image: Tensor, pool6: Tensor) -> list[Tensor]:
        with torch.inference_mode():
            return list(module(image, pool6)) if pool6.numel() else [module(image)]

    return run, extra[METADATA_KEY]


def refuse_pickles(path: Path) -> None:
    """Refuse a torch.export archive that torch would unpickle parts of.

    Raises:
        WeightsError: there is a pickle in it, or something that a program of ours never has.
    """
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            folder, _, name = entry.filename.partition("/")
            known = _PARTS_OF_PROGRAM.fullmatch(entry.filename) is not None
            if name.startswith("data/sample_inputs/"):
                known &= entry.file_size == 0
            elif known and name.startswith("data/") and name.endswith(".json"):
                entries = json.loads(archive.read(entry))["config"].values()
                known = not any(x["use_pickle"] for x in entries)
            if not known:
                raise WeightsError(
                    f"'{path}' must hold a program and plain numbers, got '{name or folder}', "
                    "which could run code of its own. Use a file that `parsenet export` wrote."
                )
