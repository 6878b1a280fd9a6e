"""The paper's figures, from a network and images at hand; here is what they are asked for."""

from dataclasses import dataclass
from typing import Literal

from parsenet.config import PreprocessName
from parsenet.errors import ConfigError


@dataclass(frozen=True)
class Start:
    """Where a bare trunk's weights come from; a checkpoint has its own."""

    weights: str | None = None
    """Of a trunk: as model.network.weights (its ImageNet weights where it has some)."""
    preprocess: PreprocessName | None = None
    """Of a trunk: as model.network.preprocess."""
    download: bool = False
    """Fetch ImageNet weights."""
    device: str = "auto"
    """Where to run."""


@dataclass(frozen=True)
class Probe:
    """How an image is disturbed, and what counts as a change. PAPER gives no values: ours."""

    patch: int = 32
    """Side of the patch of noise, in pixels."""
    stride: int = 16
    """Pixels between two positions of the patch; the heat map has a cell for each."""
    noise: Literal["uniform", "gaussian", "grey"] = "uniform"
    """What the patch holds: `uniform` in 0..255, the image with `gaussian` noise (standard
    deviation 64), or flat `grey` (128)."""
    threshold: float = 0.1
    """A position counts from this share of the greatest change."""
    at: tuple[int, ...] | None = None
    """ROW,COLUMN of the pixel whose activation is watched (that of the greatest one)."""
    channel: int | None = None
    """The channel that is watched (the greatest one's)."""

    def __post_init__(self) -> None:
        if min(self.patch, self.stride) < 1:
            raise ConfigError(
                f"`patch` and `stride` must be at least 1, got {self.patch} and {self.stride}."
            )
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"`threshold` must be in (0, 1], got {self.threshold}.")
        if self.at is not None and len(self.at) != 2:
            raise ConfigError(f"`at` must be ROW,COLUMN, got {len(self.at)} numbers.")
