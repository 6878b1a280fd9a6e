"""What goes on beside a run: a row and a line per validation, a progress bar, and guards.

Guards stop a run, or warn, with a reason, when going on would waste it.
"""
# ruff: noqa: ANN401 - Lightning's signatures

import logging
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import RichProgressBar

from parsenet.engine.module import SegmentationModule
from parsenet.errors import TrainingError
from parsenet.metrics.record import write_table
from parsenet.models.l2norm import L2Norm

_log = logging.getLogger(__name__)

DEAD = 1e-3
"""A feature whose L2Norm factors all fall below this share of their start says nothing any more."""

LOOK_EVERY = 10
"""Iterations between two looks at the loss on a GPU, which has to wait for each."""


class History(pl.Callback):
    """Write a row of `metrics.csv` and say a line at every validation of a training run.

    The rows travel in the checkpoint: a resumed run keeps those up to where it takes up again, and
    drops what came after.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, int | float]] = []
        self._started = time.monotonic()
        self._loss_sum: torch.Tensor | float = 0.0
        self._num_losses = 0

    @property
    def seconds(self) -> float:
        """Seconds spent on this run, those before a resume counted in."""
        return time.monotonic() - self._started

    def state_dict(self) -> dict[str, Any]:
        """Return rows, seconds and the losses since the last row."""
        losses = {"loss_sum": float(self._loss_sum), "num_losses": self._num_losses}
        return {"rows": self.rows, "seconds": self.seconds, **losses}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the rows of the run that is resumed."""
        self.rows = list(state_dict["rows"])
        self._started = time.monotonic() - state_dict["seconds"]
        self._loss_sum, self._num_losses = state_dict["loss_sum"], state_dict["num_losses"]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: object
    ) -> None:
        """Add up the loss; it is read later, for a GPU would have to wait now."""
        # Lightning has divided it by the number of accumulated batches.
        self._loss_sum += outputs["loss"].detach() * trainer.accumulate_grad_batches
        self._num_losses += 1

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add a row, and say how far the run is."""
        assert isinstance(pl_module, SegmentationModule)
        result = pl_module.result
        if trainer.sanity_checking or trainer.state.fn != "fit" or result is None:
            return
        step, loss = trainer.global_step, float(self._loss_sum) / max(1, self._num_losses)
        self._loss_sum, self._num_losses = 0.0, 0
        self.rows.append({
            "epoch": trainer.current_epoch,
            "step": step,
            "seconds": round(self.seconds, 1),
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "train/loss": loss,
            **result.logged,
        })
        if trainer.is_global_zero:
            write_table(self.path, self.rows)
            num_steps = int(trainer.estimated_stepping_batches)
            _log.info(
                "step %d of %d: loss %.4g, pixel accuracy %.2f, mean IoU %.2f (per cent; %.0f min, "
                "about %.0f min left)",
                step,
                num_steps,
                loss,
                100 * result.scores.pixel_accuracy,
                100 * result.scores.mean_iou,
                self.seconds / 60,
                self.seconds / 60 * (num_steps / max(1, step) - 1),
            )


class ProgressBar(RichProgressBar):
    """Lightning's rich bar without the number of epochs, which it shows as -2 if none is set."""

    def __init__(self) -> None:
        super().__init__(leave=True)
        self._shown: dict[str, Any] = {}

    def _get_train_description(self, current_epoch: int) -> str:
        return f"Epoch {current_epoch}".ljust(len(self.validation_description))

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Return what stands beside the bar; read only now and then, for a GPU has to wait."""
        if trainer.fit_loop.batch_idx % LOOK_EVERY == 0 or not trainer.training:
            self._shown = super().get_metrics(trainer, pl_module)
            self._shown.pop("v_num", None)  # number of the logger's folder
        return self._shown


class Guards(pl.Callback):
    """Watch loss, predictions and L2Norm scales.

    Raises:
        TrainingError: the loss is not finite, or every factor of an L2Norm has died.
    """

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        """Stop when the loss is not finite; on a GPU only now and then."""
        loss: torch.Tensor = outputs["loss"]
        if loss.is_cuda and trainer.global_step % LOOK_EVERY:
            return
        if not math.isfinite(float(loss)):
            hint = ", set `network.normalize: true`" if _fuses_raw(pl_module) else ""
            raise TrainingError(
                f"The loss must be finite, got {float(loss)} at iteration {trainer.global_step} "
                f"(images {', '.join(batch.id)}). Lower `optim.lr`{hint}, or train with "
                "`--trainer.precision 32-true`."
            )

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Warn when one class is all that is predicted; stop when a feature has died."""
        if trainer.sanity_checking:
            return
        assert isinstance(pl_module, SegmentationModule)
        if pl_module.result is not None and trainer.is_global_zero:
            predicted = np.flatnonzero(pl_module.result.counts.sum(0))
            if len(predicted) == 1 and pl_module.taxonomy.num_classes > 1:
                _log.warning(
                    "Only '%s' was predicted on all %d images: the network has collapsed or has "
                    "not begun to learn. Likely causes: a learning rate too high or too low for "
                    "`optim.loss: %s`%s, or too few iterations so far (%d).",
                    pl_module.taxonomy.names[predicted[0]],
                    len(pl_module.result.images),
                    pl_module.optim.loss,
                    ", raw features of unlike magnitude" if _fuses_raw(pl_module) else "",
                    trainer.global_step,
                )
        start = pl_module.config.norm_scale
        for name, module in pl_module.network.named_modules():
            if isinstance(module, L2Norm):
                largest = float(module.scale.detach().abs().max())
                if largest < DEAD * start:
                    raise TrainingError(
                        f"The scales of `{name}` must stay alive, got at most {largest:.2g} after "
                        f"starting at {start}. Lower `optim.lr` or `optim.weight_decay`."
                    )


def _fuses_raw(pl_module: pl.LightningModule) -> bool:
    """Tell whether features of unlike magnitude are fused without L2Norm."""
    assert isinstance(pl_module, SegmentationModule)
    return not pl_module.config.normalize and len(pl_module.config.features) > 1
