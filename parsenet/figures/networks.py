"""The network of a figure: a checkpoint, or a bare trunk with its start weights."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, cast

import torch

from parsenet.config import FEATURES, NetworkConfig, PreprocessName
from parsenet.errors import WeightsError
from parsenet.hardware import choose_device
from parsenet.models.build import TRUNKS, build_model
from parsenet.models.checkpoint import load_network
from parsenet.models.parsenet import ParseNet
from parsenet.models.weights import load_weights


class Start(NamedTuple):
    """Where a bare trunk's weights come from; a checkpoint has its own."""

    weights: str | None = None
    """As `model.network.weights`; None takes the trunk's ImageNet weights where it has some."""
    preprocess: str | None = None
    """As `model.network.preprocess`."""
    download: bool = False
    """As `model.network.download`."""


class Subject(NamedTuple):
    """What a figure is drawn of."""

    network: ParseNet
    """In evaluation mode, on its device. Of a trunk: all five features, as training would start."""
    name: str
    """The checkpoint's file and folder, or the trunk's and what it started from."""
    device: torch.device
    """Where the network is."""


def open_subject(name: str, start: Start | None = None, device: str = "auto") -> Subject:
    """Load a checkpoint, or build a trunk.

    Args:
        name: a checkpoint's path, or a trunk of the table in `parsenet/models/build.py`.
        start: weights of a trunk; None for ImageNet's where there are some.
        device: where to run.

    Raises:
        WeightsError: it is neither, or its weights cannot be had.
        ConfigError: the device is not there.
    """
    chosen = choose_device(device)
    if name not in TRUNKS:
        if not Path(name).is_file():
            raise WeightsError(
                f"`model` must be a checkpoint or a trunk ({', '.join(TRUNKS)}), got '{name}'. "
                "Check the path."
            )
        return Subject(
            load_network(Path(name)).network.to(chosen), "/".join(Path(name).parts[-2:]), chosen
        )
    start = start or Start()
    config = NetworkConfig(
        trunk=name,
        features=FEATURES,
        weights=start.weights or _imagenet(name),
        preprocess=cast("PreprocessName | None", start.preprocess),
        download=start.download,
    )
    torch.manual_seed(0)  # of what has no weights
    network = build_model(config, 1)
    told = "random weights"
    if config.weights is not None:
        load_weights(network.trunk, config)  # which tells what keeps its random start
        told = Path(config.weights).name
    return Subject(network.eval().to(chosen), f"{name} ({told})", chosen)


def _imagenet(trunk: str) -> str | None:
    with torch.device("meta"):
        sources = TRUNKS[trunk](0.0).sources
    return next(iter(sources), None)
