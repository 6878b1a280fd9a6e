"""The contract of a trunk: image in, named feature maps out.

A new trunk is one file with one class, and one line in the table of `build.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from parsenet.errors import ConfigError

Names = tuple[str, ...]


class FeatureMap(NamedTuple):
    """Channels and stride of a map that heads may read.

    The cell (y, x) of a map of stride s describes the image around pixel (s*y + (s-1)/2,
    s*x + (s-1)/2), as close as the trunk's layers allow, and an image of H rows gives ceil(H/s).
    """

    channels: int
    stride: int


class TorchvisionWeights(NamedTuple):
    """Weights that torchvision offers for a trunk."""

    name: str
    """Name for `torchvision.models.get_weight`."""
    preprocess: str
    """Name in `parsenet.models.parsenet.PREPROCESS`."""


class Trunk(nn.Module, ABC):
    """Abstract base of every trunk."""

    feature_maps: dict[str, FeatureMap]
    """What `forward` returns: conv3, conv4, conv5 and fc7 at least."""
    sources: ClassVar[dict[str, TorchvisionWeights]] = {}
    """Pretrained weights by their config name (`imagenet1k_v1`, ...)."""
    preprocess: ClassVar[str] = "caffe"
    """What weights from an `.npz` with Caffe names expect."""
    bytes_per_pixel: ClassVar[int] = 1000
    """Memory that a network on this trunk takes per pixel of the image at the worst moment, in
    float32 without gradients; `benchmarks/large.py --activations` measures it. The default is
    more than any trunk here needs."""
    new_layers: ClassVar[tuple[str, ...]] = ()
    """Layers that no ImageNet weights exist for; they learn at the score layers' rate."""
    between: ClassVar[dict[str, tuple[Names, Names]]] = {}
    """The feature maps that `rescale_features` can change: the convolutions whose outputs, after a
    ReLU and at most pools, are the map, and those that read the map and nothing else."""

    @abstractmethod
    def forward(self, image: Float[Tensor, "n 3 H W"]) -> dict[str, Float[Tensor, "n _ _ _"]]:
        """Compute all feature maps of a normalised image, of any size from 1x1 up."""

    @abstractmethod
    def translate(self, name: str, value: Tensor) -> tuple[str, Tensor] | None:
        """Name and shape a foreign (torchvision or Caffe) parameter the way this trunk does.

        The trunk's own names pass through here too, as a foreign one may be spelled like them. None
        says that a name is ours already, or belongs to no layer of this trunk.
        """


def rescale_features(trunk: Trunk, factors: Mapping[str, float]) -> None:
    """Make feature maps larger or smaller, in place, and leave everything behind them as it is.

    A ReLU network is positively homogeneous: weights and biases of the layers that make a map times
    a, and the weights of the layers that read it divided by a, change that map (and pools of it)
    a-fold and nothing else. Powers of two change no bit of it, other factors a rounding error.

    Raises:
        ConfigError: a map cannot be rescaled in this trunk, or a factor is not positive.
    """
    for name, factor in factors.items():
        if name not in trunk.between:
            raise ConfigError(
                f"`rescale` must name feature maps between two convolutions of the trunk, got "
                f"'{name}'. {type(trunk).__name__} has: {', '.join(trunk.between) or 'none'}."
            )
        if not 0 < factor < float("inf"):
            raise ConfigError(f"`rescale` must hold positive factors, got {name}: {factor}.")
    with torch.no_grad():
        for name, factor in factors.items():
            made_by, read_by = trunk.between[name]
            for layer in map(trunk.get_submodule, made_by):
                for parameter in layer.parameters():
                    parameter.mul_(factor)
            for layer in map(trunk.get_submodule, read_by):
                assert isinstance(layer, nn.Conv2d)
                layer.weight.div_(factor)
