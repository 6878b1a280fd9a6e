"""Weights with the real names and shapes, and one number per tensor, so that files are tiny."""

from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import Tensor


def torchvision_state(name: str, *, classifier: float | None = None) -> dict[str, Tensor]:
    """Return a state dict of torchvision's: the i-th tensor is filled with i / 100.

    Args:
        name: model of torchvision.
        classifier: what fills the classifier instead; nan in VGG-16's IMAGENET1K_FEATURES.
    """
    with torch.device("meta"):
        state = getattr(torchvision.models, name)(weights=None).state_dict()
    values = {
        key: classifier if classifier is not None and key.startswith("classifier") else i / 100
        for i, key in enumerate(state)
    }
    # One stored number, expanded: half a gigabyte in a few kilobytes, also on the disk.
    return {key: torch.tensor(values[key]).expand(state[key].shape) for key in state}


def write_hub_file(torch_home: Path, url: str, state: dict[str, Tensor]) -> Path:
    """Write a file where torch's hub would have put its download."""
    path = torch_home / "hub" / "checkpoints" / url.rpartition("/")[2]
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return path


def caffe_squeezenet() -> dict[str, np.ndarray]:
    """Return the 52 arrays of SqueezeNet v1.0 by Caffe's names, the i-th filled with i / 100."""
    kinds = {"squeeze": "conv1x1_1", "expand1x1": "conv1x1_2", "expand3x3": "conv3x3_2"}
    indices = dict(zip((3, 4, 5, 7, 8, 9, 10, 12), range(2, 10), strict=True))
    arrays = {}
    for i, (key, value) in enumerate(torchvision_state("squeezenet1_0").items()):
        parts = key.split(".")
        if parts[0] == "classifier":
            layer = "conv_final"
        elif parts[1] == "0":
            layer = "conv1"
        else:
            layer = f"fire{indices[int(parts[1])]}__{kinds[parts[2]]}"
        arrays[f"{layer}.{parts[-1]}"] = np.full(value.shape, i / 100, np.float32)
    return arrays


def caffe_vgg16() -> dict[str, Tensor]:
    """Return full VGG-16 by Caffe's names, fc6 to fc8 fully connected."""
    names = [f"conv{b}_{i}" for b, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, n + 1)]
    values = list(torchvision_state("vgg16").values())
    keys = [
        f"{name}.{kind}" for name in (*names, "fc6", "fc7", "fc8") for kind in ("weight", "bias")
    ]
    return dict(zip(keys, values, strict=True))
