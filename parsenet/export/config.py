"""What `parsenet export` can be asked for; no torch."""

import shlex
from dataclasses import dataclass, fields
from pathlib import Path

from parsenet.errors import ConfigError
from parsenet.options import positional


@dataclass(frozen=True)
class ExportConfig:
    """Write a checkpoint for other runtimes, if that gives the same labels.

    Images of any size and number go in, global context is included.
    """

    out: Path
    """File to write; it ends in .onnx, .pt2 (torch.export) or .safetensors."""
    checkpoint: Path | None = positional("?", None)
    """File of a network; none for the bundled model."""
    preprocess_inside: bool = False
    """Take uint8 RGB images (N, H, W, 3)."""
    images: Path | None = None
    """Folder of images to check with; by default some are drawn."""
    num_images: int = 8
    """How many of them."""
    int8: bool = False
    """Compute with integers of 8 bits; .onnx only."""
    calibrate: Path | None = None
    """For --int8: folder of images like those to come."""
    labels: Path | None = None
    """Folder of the true label maps of --images, to score both with."""
    scores: Path | None = None
    """metrics.json of the checkpoint, for the card; by default the one beside it."""
    licence: str = ""
    """Terms of the file, for its card."""

    def __post_init__(self) -> None:
        if self.out.suffix not in (".onnx", ".pt2", ".safetensors"):
            raise ConfigError(
                f"`out` must end in .onnx, .pt2 or .safetensors, got '{self.out}'. The ending "
                "tells how to run it."
            )
        if self.num_images < 1:
            raise ConfigError(f"`num_images` must be at least 1, got {self.num_images}.")
        if self.preprocess_inside and self.out.suffix == ".safetensors":
            raise ConfigError(
                f"`preprocess_inside` must be left out for .safetensors, got '{self.out}'. This "
                "toolkit runs such a file, and preprocesses itself."
            )
        if self.int8 != (self.calibrate is not None) or (self.int8 and self.out.suffix != ".onnx"):
            raise ConfigError(
                "`int8` must come with `calibrate`, a folder of images like those to be labelled, "
                f"and `out` that ends in .onnx, got '{self.calibrate}' and '{self.out}'."
            )
        if self.labels is not None and self.images is None:
            raise ConfigError("`labels` must come with `images`, got none. Give both folders.")

    def to_command(self) -> str:
        """Write the command that asks for this; it names no folder of this machine."""
        words = ["parsenet", "export"]
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                words += [] if field.name == "checkpoint" else [f"--{field.name.replace('_', '-')}"]
                words += [] if value is True else [getattr(value, "name", str(value))]
        return shlex.join(words)
