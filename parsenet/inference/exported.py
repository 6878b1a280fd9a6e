"""Exported files, run by ONNX Runtime or by torch, in the place of a network of ours."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from parsenet.errors import ConfigError, ParseNetError, WeightsError
from parsenet.hardware import choose_device
from parsenet.inference.segmenter import Box, Segmenter, sum_cells
from parsenet.models.parsenet import Preprocess
from parsenet.models.weights import METADATA_KEY
from parsenet.taxonomy import Taxonomy

# All is in a folder of the archive's own. Without one, torch would take the file for one of an
# older form, which it unpickles.
_PARTS_OF_PROGRAM = re.compile(
    r"[^/]+/(models/model\.json|archive_format|archive_version|byteorder|version|\.data/[^/]*"
    r"|extra/[^/]*|data/(weights|constants)/((weight|tensor)_[^/]*|model_\2_config\.json)"
    r"|data/sample_inputs/[^/]*)"
)


Run = Callable[[Tensor, Tensor], list[Tensor]]
"""Runs a file: (image, pool6) to scores and, where the network has context, fc7. A `pool6` of nan
has it take the image's own; one without channels stands for none."""


class ExportedSegmenter(Segmenter):
    """An exported file, run by its runtime on a device, with what the file says about itself."""

    def __init__(self, run: Run, record: dict[str, Any], device: torch.device) -> None:
        self.device, self.record, self._run = device, record, run
        self.taxonomy = Taxonomy.from_dict(record["taxonomy"])
        interface = record["interface"]
        self.precision, self.stride = interface["precision"], interface["stride"]
        self.bytes_per_pixel = interface["bytes_per_pixel"]
        self._channels, self._stride = interface["context_channels"], interface["context_stride"]
        self.has_context = self._channels > 0
        self._preprocess: Preprocess | None = None
        if not interface["preprocess_inside"]:
            self._preprocess = Preprocess(record["preprocess"]).to(device)

    def bands(
        self, images: UInt8[Tensor, "n 3 H W"], pool6: Float[Tensor, "n c 1 1"] | None = None
    ) -> Iterator[Float[Tensor, "n k H W"]]:
        """Score images, all rows in one band: that is how the file was made."""
        yield self._score(images, pool6)[0]

    def pool6_sum(
        self, image: UInt8[Tensor, "1 3 H W"], box: Box
    ) -> tuple[Float[Tensor, "1 c 1 1"], int]:
        """Add up fc7 over the cells whose centres lie in a part."""
        return sum_cells(self._score(image, None)[1], self._stride, box)

    def _score(self, images: Tensor, pool6: Tensor | None) -> list[Tensor]:
        if pool6 is None:
            pool6 = torch.full((1, self._channels, 1, 1), torch.nan, device=self.device)
        image = images.permute(0, 2, 3, 1) if self._preprocess is None else self._preprocess(images)
        return self._run(image.contiguous(), pool6)


def load_exported(path: Path, device: str = "auto", precision: str = "auto") -> Segmenter:
    """Load an `.onnx` or `.pt2` file of `parsenet export`.

    ONNX Runtime runs the first, on the CPU. The second is a program: torch evaluates expressions
    that it finds there, so load it only from people you trust. Files that hold pickles, which
    could do anything, are refused. `precision` is `auto`, or what the file computes with.

    Raises:
        WeightsError: the file is missing or damaged, holds pickles, or has no record.
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
    try:
        segmenter = ExportedSegmenter(run, json.loads(text or "{}"), chosen)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"'{path}' must have a '{METADATA_KEY}' record that this version can read, got "
            f"{repr(error) if text else 'none'}. Use a file that its `parsenet export` wrote."
        ) from error
    if precision not in ("auto", segmenter.precision):
        raise ConfigError(
            f"`precision` must be `auto` or what the exported file computes with, "
            f"{segmenter.precision}, got '{precision}'. Use `auto`, or the checkpoint."
        )
    return segmenter


def require(package: str, what: str) -> Any:  # noqa: ANN401 - a module of no known type
    """Import a package of the extra `export`, or raise a ParseNetError that says what needs it."""
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
    """Open a torch.export archive, unless torch would unpickle or run something that it holds."""
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
