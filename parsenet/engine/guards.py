"""Guards that stop a run, or warn, with a reason, when going on would waste it."""

import logging
import math
from typing import Any

import numpy as np
import pytorch_lightning as pl
from torch import Tensor

from parsenet.data.sample import Batch
from parsenet.engine.module import SegmentationModule
from parsenet.errors import TrainingError
from parsenet.models.l2norm import L2Norm

_log = logging.getLogger(__name__)

DEAD = 1e-3
"""A feature whose L2Norm factors all fall below this share of their start says nothing any more."""


LOOK_EVERY = 50
"""Iterations between two looks at the loss on a GPU, which has to wait for each."""


class Guards(pl.Callback):
    """Watch loss, predictions and L2Norm scales.

    Raises:
        TrainingError: the loss is not finite, or every factor of an L2Norm has died.
    """

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401 - Lightning's signature
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Stop when the loss is not finite; on a GPU only now and then."""
        loss: Tensor = outputs["loss"]
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
                    pl_module.result.num_images,
                    pl_module.optim.loss,
                    ", raw features of unlike magnitude" if _fuses_raw(pl_module) else "",
                    trainer.global_step,
                )
        for name, module in pl_module.network.named_modules():
            if isinstance(module, L2Norm):
                largest = float(module.scale.detach().abs().max())
                if largest < DEAD * pl_module.config.norm_scale:
                    raise TrainingError(
                        f"The scales of `{name}` must stay alive, got at most {largest:.2g} after "
                        f"starting at {pl_module.config.norm_scale}. Lower `optim.lr` or "
                        "`optim.weight_decay`."
                    )


def _fuses_raw(pl_module: pl.LightningModule) -> bool:
    """Tell whether features of unlike magnitude are fused without L2Norm."""
    assert isinstance(pl_module, SegmentationModule)
    return not pl_module.config.normalize and len(pl_module.config.features) > 1
