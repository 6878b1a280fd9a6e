"""What a run writes while it goes on: a row and a line per validation."""

import csv
import io
import logging
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from parsenet.data.sample import Batch
from parsenet.engine.module import SegmentationModule
from parsenet.files import write_bytes_atomically

_log = logging.getLogger(__name__)


class History(pl.Callback):
    """Write a row of `metrics.csv` and say a line at every validation of a training run.

    The rows travel in the checkpoint: a resumed run keeps those up to where it takes up again, and
    drops what came after.

    Args:
        path: file to write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._seconds_before = 0.0
        self._started = time.monotonic()
        self._losses: list[torch.Tensor] = []

    @property
    def seconds(self) -> float:
        """Seconds spent on this run, those before a resume counted in."""
        return self._seconds_before + time.monotonic() - self._started

    def state_dict(self) -> dict[str, Any]:
        """Return rows, seconds and the losses since the last row."""
        losses = [float(loss) for loss in self._losses]
        return {"rows": self.rows, "seconds": self.seconds, "losses": losses}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the rows of the run that is resumed."""
        self.rows = list(state_dict["rows"])
        self._seconds_before = float(state_dict["seconds"])
        self._losses = [torch.tensor(loss) for loss in state_dict["losses"]]

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401 - Lightning's signature
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Keep the loss; it is read later, for a GPU would have to wait now."""
        # Lightning has divided it by the number of accumulated batches.
        self._losses.append(outputs["loss"].detach() * trainer.accumulate_grad_batches)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add a row."""
        assert isinstance(pl_module, SegmentationModule)
        result = pl_module.result
        if trainer.sanity_checking or trainer.state.fn != "fit" or result is None:
            return
        row = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "seconds": round(self.seconds, 1),
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "train/loss": sum(map(float, self._losses)) / max(1, len(self._losses)),
            "val/pixel_acc": result.scores.pixel_accuracy,
            "val/mean_acc": result.scores.mean_accuracy,
            "val/mIoU": result.scores.mean_iou,
            "val/fw_IoU": result.scores.frequency_weighted_iou,
        }
        for name, iou in zip(pl_module.taxonomy.names, result.scores.class_iou, strict=True):
            row[f"val/IoU_{name}"] = iou
        self._losses = []
        self.rows.append(row)
        if trainer.is_global_zero:
            self._write()
            self._say(row, int(trainer.estimated_stepping_batches))

    def _write(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_bytes_atomically(self.path, text.getvalue().encode())

    def _say(self, row: dict[str, int | float], num_steps: int) -> None:
        left = row["seconds"] * (num_steps / max(1, row["step"]) - 1)
        _log.info(
            "step %d of %d: loss %.4g, pixel accuracy %.2f, mean IoU %.2f (per cent; %.0f min, "
            "about %.0f min left)",
            row["step"],
            num_steps,
            row["train/loss"],
            100 * row["val/pixel_acc"],
            100 * row["val/mIoU"],
            row["seconds"] / 60,
            left / 60,
        )
