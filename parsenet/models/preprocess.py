"""From the image as stored to what a trunk's weights were trained on."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from parsenet.errors import ConfigError, suggest


class Constants(NamedTuple):
    """Channel order and the numbers of (x - mean) / std, in that order, for x in [0, 255]."""

    order: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


PREPROCESS = {
    # The authors' prototxt (mean_value).
    "caffe": Constants("BGR", (104.00699, 116.66877, 122.67892), (1.0, 1.0, 1.0)),
    # torchvision's ImageClassification transform, times 255.
    "torchvision": Constants("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    # VGG16_Weights.IMAGENET1K_FEATURES: Caffe features for RGB images; mean and std times 255.
    "torchvision_features": Constants("RGB", (122.99925, 116.9991, 103.9992), (1.0, 1.0, 1.0)),
}


class Preprocess(nn.Module):
    """Turn RGB images in [0, 255] into a trunk's input.

    Part of the network, so that it travels with the weights, and images reach the device as
    uint8.

    Args:
        name: key of `PREPROCESS`.

    Shape:
        input (N, 3, H, W), RGB, uint8 or float in [0, 255]; output the same in float.

    Raises:
        ConfigError: the name is not known.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        if name not in PREPROCESS:
            raise ConfigError(
                f"`preprocess` must be a known name, got '{name}'. {suggest(name, PREPROCESS)}"
            )
        self.name = name
        constants = PREPROCESS[name]
        self.swap = constants.order == "BGR"
        for field in ("mean", "std"):
            values = torch.tensor(getattr(constants, field)).view(1, 3, 1, 1)
            self.register_buffer(field, values, persistent=False)

    def forward(self, image: Shaped[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        """Reorder, subtract, divide."""
        x = image.to(self.mean.dtype)
        return ((x.flip(1) if self.swap else x) - self.mean) / self.std
