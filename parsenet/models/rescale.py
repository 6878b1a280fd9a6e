"""The same network with its taps at other scales: whether scale is what breaks fusion."""

from collections.abc import Mapping

import torch
from torch import nn

from parsenet.errors import ConfigError
from parsenet.models.trunk import Trunk


def rescale_tap(trunk: Trunk, factors: Mapping[str, float]) -> None:
    """Make taps larger or smaller, in place, and leave everything behind them as it is.

    A ReLU network is positively homogeneous: weights and biases of the layers that make a map times
    a, and the weights of the layers that read it divided by a, change that map (and pools of it)
    a-fold and nothing else. Powers of two change no bit of it, other factors a rounding error.

    Args:
        trunk: the trunk to change.
        factors: tap to positive factor; any of conv3, conv4, conv5.

    Raises:
        ConfigError: a tap cannot be rescaled in this trunk, or a factor is not positive.
    """
    for name, factor in factors.items():
        if name not in trunk.between:
            raise ConfigError(
                f"`rescale` must name taps between two convolutions of the trunk, got '{name}'. "
                f"{type(trunk).__name__} has: {', '.join(trunk.between) or 'none'}."
            )
        if not 0 < factor < float("inf"):
            raise ConfigError(f"`rescale` must hold positive factors, got {name}: {factor}.")
    with torch.no_grad():
        for name, factor in factors.items():
            for layer in map(trunk.get_submodule, trunk.between[name].made_by):
                assert isinstance(layer, nn.Conv2d)
                assert layer.bias is not None
                layer.weight.mul_(factor)
                layer.bias.mul_(factor)
            for layer in map(trunk.get_submodule, trunk.between[name].read_by):
                assert isinstance(layer, nn.Conv2d)
                layer.weight.div_(factor)
