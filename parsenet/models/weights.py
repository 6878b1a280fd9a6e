"""Start weights of a trunk: where they come from, how they fit, and what was left over."""

import json
import logging
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from parsenet.config import NetworkConfig
from parsenet.errors import ConfigError, WeightsError, suggest
from parsenet.models.trunk import Trunk

METADATA_KEY = "parsenet"
"""Where our files keep their record: safetensors metadata, or a key of a Lightning checkpoint."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadReport:
    """What loading did, name by name."""

    loaded: tuple[str, ...]
    """Our parameters that were filled."""
    missing: tuple[str, ...]
    """Our parameters that the source does not have; they keep their random start."""
    unused: tuple[str, ...]
    """The source's parameters that the trunk has no place for, by their own names."""

    def __str__(self) -> str:
        lines = [f"{len(self.loaded)} parameters loaded"]
        for label, names in (("kept random", self.missing), ("not used", self.unused)):
            if names:
                lines.append(f"{len(names)} {label}: {', '.join(names)}")
        return "; ".join(lines)


def preprocess_of(config: NetworkConfig, trunk: Trunk) -> str:
    """Name the preprocessing: what the config says, else what its weights expect.

    Raises:
        ConfigError: the weights are a local file that does not say.
        WeightsError: the weights are neither a file nor a known name.
    """
    if config.preprocess is not None:
        return config.preprocess
    if config.weights is None:
        return trunk.preprocess
    if config.weights in trunk.sources:
        return trunk.sources[config.weights].preprocess
    if config.weights.endswith(".npz"):
        return "caffe"
    path = _find_file(trunk, config.weights)
    record = read_record(path)
    if record is not None:
        return str(record["preprocess"])
    raise ConfigError(
        f"`preprocess` must be given with weights that do not say what they expect, got '{path}'. "
        "Use `torchvision` for a file of torchvision's, `caffe` for one converted from Caffe."
    )


def load_weights(trunk: Trunk, config: NetworkConfig) -> LoadReport:
    """Fill a trunk from the config's `weights`.

    Returns:
        which of our parameters were loaded and which kept their random start, and which of the
        source's were not used.

    Raises:
        WeightsError: the source is missing, has a shape that does not fit, or fills nothing.
    """
    assert config.weights is not None
    return fill(trunk, _read_source(trunk, config.weights, config.download), config.weights)


def fill(trunk: Trunk, weights: dict[str, Tensor], source: str) -> LoadReport:
    """Copy parameters into a trunk by name, ours or any that it can translate."""
    own = trunk.state_dict()
    loaded, unused = {}, []
    for foreign, value in weights.items():
        name = foreign.removeprefix("network.").removeprefix("trunk.")
        # Own names too: Caffe's fc6 is called like ours and has another shape.
        name, fitted = trunk.translate(name, value) or (name, value)
        if name not in own:
            unused.append(foreign)
            continue
        if not torch.isfinite(fitted).all():  # IMAGENET1K_FEATURES has no classifier, only nan
            unused.append(f"{foreign} (not finite)")
            continue
        if fitted.shape != own[name].shape:
            raise WeightsError(
                f"'{foreign}' of '{source}' must have shape {tuple(own[name].shape)}, got "
                f"{tuple(value.shape)}. Choose the `trunk` that these weights belong to."
            )
        loaded[name] = fitted.to(own[name].dtype)
    if not loaded:
        raise WeightsError(
            f"'{source}' must hold parameters of this trunk, got {len(weights)} unknown names such "
            f"as '{next(iter(weights), '')}'. Choose the `trunk` that these weights belong to."
        )
    missing = tuple(name for name in own if name not in loaded)
    trunk.load_state_dict(loaded, strict=False)
    report = LoadReport(tuple(loaded), missing, tuple(unused))
    _log.info("Weights '%s': %s.", source, report)
    return report


def _read_source(trunk: Trunk, weights: str, download: bool) -> dict[str, Tensor]:
    if weights not in trunk.sources:
        return read_weights(_find_file(trunk, weights))
    from torchvision.models import get_weight  # two seconds, only when it is needed

    enum = get_weight(trunk.sources[weights].torchvision)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / enum.url.rpartition("/")[2]
    if not cached.is_file():
        if not download:
            raise WeightsError(
                f"`weights` '{weights}' must be in torch's cache, got no '{cached}'. Add "
                f"`--model.network.download true` (`parsenet figures`: `--download`) to fetch "
                f"{enum.url}, or copy that file there."
            )
        cached.parent.mkdir(parents=True, exist_ok=True)
        try:
            # The name ends in the start of the file's hash.
            torch.hub.download_url_to_file(enum.url, str(cached), cached.stem.rpartition("-")[2])
        except (OSError, HTTPException, RuntimeError) as error:  # RuntimeError: another hash
            raise WeightsError(
                f"`weights` '{weights}' could not be downloaded from {enum.url}: {error}. "
                f"Fetch it on a machine with a connection and copy it to '{cached}'."
            ) from error
    return read_weights(cached)


def _find_file(trunk: Trunk, weights: str) -> Path:
    """Return the path of a local file; a name that is neither it nor a source is refused."""
    if not Path(weights).is_file():
        remedy = suggest(weights, trunk.sources) if trunk.sources else "Check the path."
        raise WeightsError(
            f"`weights` must be a file that exists or a known name, got '{weights}'. {remedy}"
        )
    return Path(weights)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read named tensors from `.npz`, `.safetensors`, `.pth`, `.pt` or `.ckpt`, unpickling nothing.

    Raises:
        WeightsError: the file is missing, of another kind, or damaged.
    """
    if not path.is_file():
        raise WeightsError(f"The weights file '{path}' must exist. Check `weights`.")
    try:
        if path.suffix == ".npz":
            # Opened here: of a damaged file numpy would leave the handle open.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        if path.suffix in (".pth", ".pt", ".ckpt"):
            content = torch.load(path, map_location="cpu", weights_only=True)
            content = content.get("state_dict", content)
            return {k: v for k, v in content.items() if isinstance(v, Tensor)}
    except Exception as error:  # every reader has its own; all mean the same to the user
        raise WeightsError(
            f"'{path}' could not be read as weights: {_first_line(error)} Get the file anew."
        ) from error
    raise WeightsError(
        f"`weights` must end in .npz, .pth, .pt, .ckpt or .safetensors, got '{path.name}'."
    )


def read_record(path: Path) -> dict[str, object] | None:
    """Read what a file of ours says about itself: network, classes, preprocessing; else None."""
    if not path.is_file():
        raise WeightsError(f"The weights file '{path}' must exist. Check its path.")
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, "pt") as file:
                text = (file.metadata() or {}).get(METADATA_KEY)
            return None if text is None else json.loads(text)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise WeightsError(
            f"'{path}' could not be read as a checkpoint: {_first_line(error)} Get the file anew."
        ) from error
    return content.get(METADATA_KEY) if isinstance(content, dict) else None


def _first_line(error: Exception) -> str:
    """Return the first line of a message, or the error's kind where it has none (EOFError)."""
    return (str(error) or type(error).__name__).splitlines()[0]
