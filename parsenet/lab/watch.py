"""What is measured while a run trains: every loss, and how long the feature vectors are."""

import math
import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from parsenet.engine.module import SegmentationModule
from parsenet.models.l2norm import L2Norm

LOOK_EVERY = 10
"""Iterations between two looks at the loss; a GPU has to wait for each."""
NUM_POINTS = 50
"""Points that are kept of a curve, about."""
NUM_LOOKS = 20
"""Times that the features are measured over a run, about."""


class Watch(pl.Callback):
    """Keep losses and feature norms, and end a run whose loss is not finite.

    Args:
        config: options of the run, kept in its state.

    Attributes:
        diverged: why the run was ended, or None.
        has_begun: whether training goes on: a state that was there has been taken up.
        norms: by feature map and pool6: points (iteration, length), where length is the mean over
            the pixels of that iteration's training batch of the feature vector's L2 norm, before
            any normalization; fc7 and pool6 as dropout left them.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        self.diverged: str | None = None
        self.has_begun = False
        self.norms: dict[str, list[tuple[int, float]]] = {}
        self._started = time.monotonic()
        self._config = config
        self._losses: list[Tensor] = []
        self._hook: RemovableHandle | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know."""
        return {
            "config": self._config,
            "diverged": self.diverged,
            "norms": self.norms,
            "losses": torch.tensor(self.losses(), dtype=torch.float64),
            "seconds": self.seconds(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what was measured before."""
        self.diverged = state_dict["diverged"]
        self.norms = state_dict["norms"]
        self._losses = list(state_dict["losses"])
        self._started -= float(state_dict["seconds"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen to the trunk; leave a run that had diverged when it was stopped as it is."""
        self.has_begun = True
        trainer.should_stop = self.diverged is not None
        assert isinstance(pl_module, SegmentationModule)
        num_steps = int(trainer.estimated_stepping_batches)

        def hook(
            module: nn.Module, inputs: object, features: dict[str, Float[Tensor, "n _ _ _"]]
        ) -> None:
            step = trainer.global_step
            if step % max(1, num_steps // NUM_LOOKS) == 0 or step == num_steps - 1:
                self.look(step, features)

        self._hook = pl_module.network.trunk.register_forward_hook(hook)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen no more."""
        assert self._hook is not None
        self._hook.remove()

    def look(self, step: int, features: dict[str, Float[Tensor, "n _ _ _"]]) -> None:
        """Measure what the trunk returns for a batch; of accumulated batches the first counts."""
        maps = {**features, "pool6": features["fc7"].mean((2, 3), keepdim=True)}
        for name, value in maps.items():
            points = self.norms.setdefault(name, [])
            if not points or points[-1][0] != step:
                points.append((step, float(value.detach().float().norm(dim=1).mean())))

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401 - Lightning's signature
        batch: Any,  # noqa: ANN401 - as above
        batch_idx: int,
    ) -> None:
        """Keep the loss; look at it now and then."""
        # Lightning has divided it by the number of accumulated batches.
        loss = outputs["loss"].detach() * trainer.accumulate_grad_batches
        self._losses.append(loss)
        if loss.is_cuda and len(self._losses) % LOOK_EVERY:
            return
        if not math.isfinite(value := float(loss)):
            self.diverged = f"the loss was {value} at iteration {trainer.global_step}"
            trainer.should_stop = True

    def losses(self) -> list[float]:
        """Return the loss of every batch."""
        return [float(loss) for loss in self._losses]

    def seconds(self) -> float:
        """Return how long the run has taken, before it was killed and since."""
        return time.monotonic() - self._started


def thin(losses: list[float], accumulated: int) -> list[tuple[int, float]]:
    """Average the losses of all batches, of which an iteration has accumulated some, over blocks.

    About `NUM_POINTS` are left: (last iteration of the block, mean loss).
    """
    size = max(accumulated, math.ceil(len(losses) / NUM_POINTS))
    points = []
    for start in range(0, len(losses), size):
        block = losses[start : start + size]
        points.append((math.ceil((start + len(block)) / accumulated), sum(block) / len(block)))
    return points


def learned_scales(module: SegmentationModule) -> dict[str, dict[str, float]]:
    """Return mean, smallest and largest factor of every L2Norm, by feature."""
    scales = {}
    for name, part in module.network.named_modules():
        if isinstance(part, L2Norm):
            low, high = (float(x) for x in part.scale.detach().float().aminmax())
            mean = float(part.scale.detach().float().mean())
            scales[name.rpartition(".")[2]] = {"mean": mean, "low": low, "high": high}
    return scales
