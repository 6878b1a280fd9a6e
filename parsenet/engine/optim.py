"""The authors' solver: Caffe's multipliers, Caffe's momentum, the poly schedule."""

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from parsenet.config import OptimConfig
from parsenet.errors import ConfigError, suggest


def parameter_groups(
    network: nn.Module, new_layers: tuple[str, ...], config: OptimConfig
) -> list[dict[str, object]]:
    """Sort parameters by rate multiplier and weight decay.

    Weights x1, biases x2; layers that start at random x10 and x20; L2Norm scales x1. Decay on all
    but biases. The names of layers that start at random begin with one of `new_layers`.

    Returns:
        one group per pair of multiplier and decay, for a torch optimiser.

    Source: `lr_mult` and `decay_mult` of the authors' VOC2012 prototxt.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        multiplier, decay = 1.0, config.weight_decay
        if any(name == prefix or name.startswith(f"{prefix}.") for prefix in new_layers):
            multiplier *= config.score_lr_mult
        if name.endswith("bias"):
            multiplier, decay = multiplier * config.bias_lr_mult, 0.0
        groups.setdefault((multiplier, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": config.lr * multiplier, "weight_decay": decay}
        for (multiplier, decay), parameters in groups.items()
    ]


def freeze(trunk: nn.Module, layers: tuple[str, ...]) -> None:
    """Take layers out of training: no gradient, no decay, no place in the optimiser.

    A name stands for all parts of a module, such as those of `fire2`.

    Raises:
        ConfigError: the trunk has no such layer.
    """
    known = dict(trunk.named_modules())
    for name in layers:
        if name not in known or not name:
            children = [child for child, _ in trunk.named_children()]
            raise ConfigError(
                f"`freeze` must name layers of the trunk, got '{name}'. {suggest(name, children)}"
            )
        known[name].requires_grad_(False)


class PolyLR(LambdaLR):
    """lr * (1 - iteration / num_steps)^power, with a linear warm-up if asked for.

    For SGD it also makes torch's momentum Caffe's. Caffe keeps the rate inside the velocity
    (v = m*v + lr*g; w -= v), torch outside (b = m*b + g; w -= lr*b), which differs while the rate
    changes. With v = lr*b the two are one when torch's momentum is m * lr_before / lr_now, so that
    is what each step sets.

    Source: `lr_policy: "poly"` and SGDSolver of Caffe (weiliu89/caffe, branch fcn, solver.cpp).
    """

    def __init__(self, optimizer: Optimizer, num_steps: int, config: OptimConfig) -> None:
        self.momentum = config.momentum
        self._factor_before = 0.0
        super().__init__(
            optimizer, lambda step: poly_factor(step, num_steps, config.power, config.warmup_steps)
        )

    def step(self, epoch: int | None = None) -> None:
        """Set the rate, and the momentum that goes with it, for the next iteration."""
        super().step(epoch)
        factor = self.lr_lambdas[0](self.last_epoch)
        for group in self.optimizer.param_groups:
            if "momentum" in group and factor > 0 and self._factor_before > 0:
                group["momentum"] = self.momentum * self._factor_before / factor
        self._factor_before = factor


def poly_factor(step: int, num_steps: int, power: float, warmup_steps: int = 0) -> float:
    """Return the share of the base rate at an iteration, 0 from the last one on."""
    warm = min(1.0, (step + 1) / (warmup_steps + 1))
    return float(warm * max(0.0, 1 - step / num_steps) ** power)


def build_optimizer(
    network: nn.Module, new_layers: tuple[str, ...], config: OptimConfig, num_steps: int
) -> tuple[Optimizer, PolyLR]:
    """Build the optimiser and its schedule for so many iterations (optimiser steps)."""
    groups = parameter_groups(network, new_layers, config)
    optimizer: Optimizer
    if config.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)
    else:
        optimizer = torch.optim.AdamW(groups, lr=config.lr)
    return optimizer, PolyLR(optimizer, num_steps, config)
