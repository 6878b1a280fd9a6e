"""Start weights of a trunk: where they come from, how they fit, and what was left over."""

import json
import logging
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from parsenet.config import NetworkConfig
from parsenet.errors import ConfigError, WeightsError, suggest
from parsenet.models.trunk import Trunk

METADATA_KEY = "parsenet"
"""Where our files keep their record: safetensors metadata, or a key of a Lightning checkpoint."""

_log = logging.getLogger(__name__)


class WeightsFile(NamedTuple):
    """What a file of weights holds."""

    tensors: dict[str, Tensor]
    record: Any
    """What a file of ours says about itself: network, classes, preprocessing; else None."""


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
    """Name the preprocessing that the config's weights expect, or raise a ConfigError."""
    if config.weights is None:
        return trunk.preprocess
    if config.weights in trunk.sources:
        return trunk.sources[config.weights].preprocess
    if config.weights.endswith(".npz"):
        return "caffe"
    path = _find(trunk, config)
    record = read_weights(path).record
    if record is None:
        raise ConfigError(
            f"`preprocess` must be given with weights that do not say what they expect, got "
            f"'{path}'. Use `torchvision` for a file of torchvision's, `caffe` for one converted "
            "from Caffe."
        )
    return str(record["preprocess"])


def load_weights(trunk: Trunk, config: NetworkConfig) -> LoadReport:
    """Fill a trunk from the config's `weights`.

    Raises:
        WeightsError: the source is missing or damaged, does not fit, or fills nothing.
    """
    return fill(trunk, read_weights(_find(trunk, config)).tensors, str(config.weights))


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
        if fitted.isnan().all():  # torchvision's way to say that it has none
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
    refuse_not_finite(loaded, source)
    trunk.load_state_dict(loaded, strict=False)
    missing = tuple(name for name in own if name not in loaded)
    report = LoadReport(tuple(loaded), missing, tuple(unused))
    _log.info("Weights '%s': %s.", source, report)
    return report


def refuse_not_finite(weights: dict[str, Tensor], source: object) -> None:
    """Refuse weights that are nan or infinite: a network of them labels everything alike."""
    for name, value in weights.items():
        if not value.isfinite().all():
            raise WeightsError(
                f"'{source}' must hold finite numbers, got nan or infinity in '{name}'. Get the "
                "file anew, or take a checkpoint from before the training diverged."
            )


def read_weights(path: Path) -> WeightsFile:
    """Read `.npz`, `.safetensors`, `.pth`, `.pt` or `.ckpt`, unpickling nothing but tensors.

    Raises:
        WeightsError: the file is missing, of another kind, or damaged.
    """
    if not path.is_file():
        raise WeightsError(f"The weights file '{path}' must exist. Check its path.")
    try:
        if path.suffix == ".npz":
            # Opened here: of a damaged file numpy would leave the handle open.
            with path.open("rb") as npz, np.load(npz, allow_pickle=False) as arrays:
                return WeightsFile({n: torch.from_numpy(arrays[n]) for n in arrays.files}, None)
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, "pt") as file:
                names = file.keys()
                record = json.loads((file.metadata() or {}).get(METADATA_KEY, "null"))
                return WeightsFile({name: file.get_tensor(name) for name in names}, record)
        if path.suffix in (".pth", ".pt", ".ckpt"):
            # Mapped, a checkpoint's optimizer state is not read; files before torch 1.6 cannot be.
            mapped = path.suffix == ".ckpt"
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
            content = content if isinstance(content, dict) else {}
            state = content.get("state_dict", content)
            tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
            return WeightsFile(tensors, content.get(METADATA_KEY))
    except Exception as error:  # every reader has its own; all mean the same to the user
        first = (str(error) or type(error).__name__).splitlines()[0]  # EOFError has no message
        raise WeightsError(
            f"'{path}' could not be read as weights: {first} Get the file anew."
        ) from error
    raise WeightsError(
        f"`weights` must end in .npz, .pth, .pt, .ckpt or .safetensors, got '{path.name}'."
    )


def _find(trunk: Trunk, config: NetworkConfig) -> Path:
    """Return the path of the config's weights, fetched into torch's cache where that is allowed."""
    weights = str(config.weights)
    if weights not in trunk.sources:
        if not Path(weights).is_file():
            remedy = suggest(weights, trunk.sources) if trunk.sources else "Check the path."
            raise WeightsError(
                f"`weights` must be a file that exists or a known name, got '{weights}'. {remedy}"
            )
        return Path(weights)
    from torchvision.models import get_weight  # two seconds, only when it is needed

    url = get_weight(trunk.sources[weights].name).url
    cached = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    if cached.is_file():
        return cached
    if not config.download:
        raise WeightsError(
            f"`weights` '{weights}' must be in torch's cache, got no '{cached}'. Add "
            f"`--model.network.download true` (`parsenet figures`: `--download`) to fetch "
            f"{url}, or copy that file there."
        )
    cached.parent.mkdir(parents=True, exist_ok=True)
    try:
        # The name ends in the start of the file's hash.
        torch.hub.download_url_to_file(url, str(cached), cached.stem.rpartition("-")[2])
    except (OSError, HTTPException, RuntimeError) as error:  # RuntimeError: another hash
        raise WeightsError(
            f"`weights` '{weights}' could not be downloaded from {url}: {error}. "
            f"Fetch it on a machine with a connection and copy it to '{cached}'."
        ) from error
    return cached
