"""What a run saves while it goes on: the best network, and the last state to resume from.

Lightning's own callback writes a state before the validation that is due on the same iteration,
and a run resumed from there leaves that validation out: with it, 7 of the 17 cases of
tests/engine/test_resume.py end unlike the straight run. So the last state is written here.
"""

import io
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint, ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from parsenet.files import write_bytes_atomically


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write checkpoints atomically.

    Lightning writes to the system's temporary folder and moves the file from there, which copies it
    bit by bit where that folder is another disk.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any = None,  # noqa: ANN401 - Lightning's signature
    ) -> None:
        """Write a file."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_bytes_atomically(Path(path), content.getvalue())


class LastCheckpoint(Checkpoint):
    """Write everything a resumed run needs, every so many iterations or seconds.

    Where a validation follows on such an iteration, it is written after that: a run resumed from
    before it would leave it out.

    Args:
        path: file to write.
        every: iterations between two writings.
        seconds: time that must have gone by as well.
    """

    def __init__(self, path: Path, every: int = 1, seconds: float = 0.0) -> None:
        self.path = path
        self.every = every
        self.seconds = seconds
        self._written = time.monotonic()
        self._step_before = 0
        self._is_due = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Know the iteration that a resumed run begins with."""
        self._step_before = trainer.global_step

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401 - Lightning's signature
        batch: Any,  # noqa: ANN401 - as above
        batch_idx: int,
    ) -> None:
        """Write after an iteration; never with gradients half accumulated, which are not saved."""
        step = trainer.global_step
        is_late = time.monotonic() - self._written >= self.seconds
        if step > self._step_before and step % self.every == 0 and is_late:
            self._is_due = True
            loop = trainer.fit_loop
            assert loop._data_fetcher is not None
            if not loop.epoch_loop._should_check_val_fx(loop._data_fetcher):
                self._save(trainer)
        self._step_before = step

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write what was put off."""
        if self._is_due:
            self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        self._is_due, self._written = False, time.monotonic()
        trainer.save_checkpoint(self.path, weights_only=False)


class BestCheckpoint(ModelCheckpoint):
    """Lightning's, for a run folder that may have been renamed or moved: names are all it keeps."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Look for the files of the run that is resumed in the folder where it is now."""
        folder = Path(str(self.dirpath))

        def here(path: str) -> str:
            return str(folder / Path(path).name) if path else path

        state: dict[str, Any] = {
            name: here(value) if name.endswith("_path") else value
            for name, value in state_dict.items()
        }
        best = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(state | {"dirpath": self.dirpath, "best_k_models": best})


def build_checkpoints(folder: Path, every: int) -> list[Callback]:
    """Keep the best checkpoint by validation mean IoU, and the last one for a resume."""
    best = BestCheckpoint(
        folder,
        filename="best-step={step}-mIoU={val/mIoU:.4f}",
        auto_insert_metric_name=False,
        monitor="val/mIoU",
        mode="max",
        save_weights_only=True,
        save_on_train_epoch_end=False,  # there is a score only after a validation
        enable_version_counter=False,  # a resumed run writes the same file again
    )
    return [best, LastCheckpoint(folder / "last.ckpt", every)]


def best_path(trainer: pl.Trainer) -> Path | None:
    """Return the checkpoint with the best validation mean IoU, if it is a number."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, BestCheckpoint) and callback.best_model_path:
            score = callback.best_model_score
            return Path(callback.best_model_path) if score is not None and score >= 0 else None
    return None
