"""Exported files, run by ONNX Runtime or by torch, in the place of a network of ours."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from parsenet.errors import ConfigError, ParseNetError, WeightsError
from parsenet.hardware import choose_device
from parsenet.inference.segmenter import Box, Segmenter, sum_cells
from parsenet.models.parsenet import Preprocess
from parsenet.models.weights import METADATA_KEY
from parsenet.taxonomy import Taxonomy

_PROGRAM = "models/model.json"
"""A torch.export program inside its archive; `export.save` calls it `model`."""
_ABOUT_ARCHIVE = ("archive_format", "archive_version", "byteorder", "version")
"""Words on the archive itself, beside the program."""


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

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


Run: TypeAlias = Callable[
    [Shaped[Tensor, "n _ _ _"], Float[Tensor, "1 c 1 1"] | None],
    tuple[Float[Tensor, "n k H W"], Float[Tensor, "n c h w"] | None],
]
"""Runs a file: (image, pool6) to (scores, fc7). A `pool6` of nan has it take the image's own;
networks without context take None and give None."""


class ExportedSegmenter(Segmenter):
    """An exported file, run by its runtime.

    Args:
        run: runs it.
        record: what the file says about itself.
        device: where it runs.
        precision: what the user wants it to compute with; it can only be what it does, or `auto`.

    Raises:
        ConfigError: the file computes with another precision.
        KeyError: the record does not say everything.
        TypeError: the record says it in the terms of another version.
    """

    def __init__(
        self, run: Run, record: dict[str, Any], device: torch.device, precision: str
    ) -> None:
        self.interface = Interface(**record["interface"])
        self.taxonomy = Taxonomy.from_dict(record["taxonomy"])
        self.device, self.record = device, record
        self.precision = self.interface.precision
        if precision not in ("auto", self.precision):
            raise ConfigError(
                f"`precision` must be `auto` or what the exported file computes with, "
                f"{self.precision}, got '{precision}'. Use `auto`, or the checkpoint."
            )
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
        fc7 = self._score(image, None)[1]
        if fc7 is None:
            raise ConfigError(
                "`context` must be `window` for a file without global context, got `whole`."
            )
        return sum_cells(fc7, self.interface.context_stride, box)

    def _score(
        self, images: UInt8[Tensor, "n 3 H W"], pool6: Float[Tensor, "1 c 1 1"] | None
    ) -> tuple[Float[Tensor, "n k H W"], Float[Tensor, "n c h w"] | None]:
        if not self.has_context and pool6 is not None:
            raise ConfigError(
                "`pool6` must be None for a file without global context, got a tensor."
            )
        if self.has_context and pool6 is None:
            size = (1, self.interface.context_channels, 1, 1)
            pool6 = torch.full(size, torch.nan, device=self.device)
        if self.interface.preprocess_inside:
            images = images.permute(0, 2, 3, 1)
        else:
            images = self._preprocess(images)
        return self._run(images.contiguous(), pool6)


def load_onnx(path: Path, device: str = "auto", precision: str = "auto") -> Segmenter:
    """Load an `.onnx` file of `parsenet export` into ONNX Runtime, on the CPU.

    Args:
        path: the file.
        device: `auto` or `cpu`.
        precision: `auto`, or what the file computes with.

    Raises:
        WeightsError: the file is missing or damaged, or does not say what its classes are.
        ConfigError: it cannot run on that device, or with that precision.
        ParseNetError: ONNX Runtime is not installed.
    """
    if device not in ("auto", "cpu"):
        raise ConfigError(
            f"`device` must be `cpu` for an .onnx file, got '{device}'. Use `cpu`, or a .pt2 file."
        )
    _refuse_missing(path)
    try:
        import onnxruntime as ort
    except ModuleNotFoundError as error:
        raise ParseNetError(
            f"'{path.name}' needs '{error.name}', which is not installed. "
            "Run `pip install 'parsenet[export]'`."
        ) from error
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors only: it warns of shapes that it could not infer
    # Blocks double in size otherwise: an image larger than all before took twice its memory.
    providers = [("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})]
    try:
        session = ort.InferenceSession(path, options, providers=providers)
    except Exception as error:  # it has a kind of its own for each fault
        raise _damaged(path, error) from error
    names = [entry.name for entry in session.get_outputs()]

    def run(image: Tensor, pool6: Tensor | None) -> tuple[Tensor, Tensor | None]:
        given: dict[str, np.ndarray] = {"image": image.numpy()}
        if pool6 is not None:
            given["pool6"] = pool6.numpy()
        answers = [torch.from_numpy(x) for x in session.run(names, given)]
        return answers[0], answers[1] if len(answers) > 1 else None

    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    return _wrap(path, run, text, torch.device("cpu"), precision)


def load_program(path: Path, device: str = "auto", precision: str = "auto") -> Segmenter:
    """Load a `.pt2` file of `parsenet export`, a torch.export program.

    Torch evaluates expressions that it finds in such a file: load it only from people you trust.
    Files that hold pickles, which could do anything, are refused.

    Args:
        path: the file.
        device: where to run, `auto` to choose.
        precision: `auto`, or what the file computes with.

    Raises:
        WeightsError: the file is missing or damaged, holds pickles, or does not say what its
            classes are.
        ConfigError: it cannot run on that device, or with that precision.
    """
    chosen = choose_device(device)
    _refuse_missing(path)
    extra = {METADATA_KEY: ""}
    try:
        refuse_pickles(path)
        program = torch.export.load(path, extra_files=extra)
        if chosen.type != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, str(chosen))
        module = program.module()
    except WeightsError:
        raise
    except Exception as error:  # zipfile, json and torch each have their own
        raise _damaged(path, error) from error

    def run(image: Tensor, pool6: Tensor | None) -> tuple[Tensor, Tensor | None]:
        with torch.inference_mode():
            if pool6 is None:
                return module(image), None
            scores, fc7 = module(image, pool6)
            return scores, fc7

    return _wrap(path, run, extra[METADATA_KEY], chosen, precision)


def refuse_pickles(path: Path) -> None:
    """Refuse a torch.export archive that torch would unpickle parts of.

    Raises:
        WeightsError: there is a pickle in it, or something that a program of ours never has.
    """
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            # All of it is in a folder of the archive's own. Without one, torch would take the file
            # for one of an older form, which it unpickles.
            top, _, name = entry.filename.partition("/")
            folder, _, last = name.rpartition("/")
            if not name:
                name, known = top, False
            elif folder in ("data/weights", "data/constants"):
                known = last.startswith(("weight_", "tensor_")) or last == (
                    f"model_{folder.rpartition('/')[2]}_config.json"
                )
                if last.endswith(".json") and known:
                    entries = json.loads(archive.read(entry))["config"].values()
                    known = not any(x["use_pickle"] for x in entries)
            elif folder == "data/sample_inputs":
                known = entry.file_size == 0
            else:
                known = name in (_PROGRAM, *_ABOUT_ARCHIVE) or folder in (".data", "extra")
            if not known:
                raise WeightsError(
                    f"'{path}' must hold a program and plain numbers, got '{name}', which could "
                    "run code of its own. Use a file that `parsenet export` wrote."
                )


def _wrap(
    path: Path, run: Run, text: str | None, device: torch.device, precision: str
) -> ExportedSegmenter:
    """Put what runs a file together with what the file says."""
    if not text:
        raise WeightsError(
            f"'{path}' must say what its classes, colours and preprocessing are, got no "
            f"'{METADATA_KEY}' record. Use a file that `parsenet export` wrote."
        )
    try:
        return ExportedSegmenter(run, json.loads(text), device, precision)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise WeightsError(
            f"'{path}' must have a record that this version can read, got {error!r}. Export the "
            "checkpoint again."
        ) from error


def _refuse_missing(path: Path) -> None:
    if not path.is_file():
        raise WeightsError(f"The weights file '{path}' must exist. Check its path.")


def _damaged(path: Path, error: Exception) -> WeightsError:
    first = (str(error) or type(error).__name__).splitlines()[0]
    return WeightsError(f"'{path}' could not be read as an exported network: {first} Get it anew.")
