"""What a run saves while it goes on, and what may go on from it.

Lightning's own callback writes a state before the validation that is due on the same iteration,
and a run resumed from there leaves that validation out: with it, 7 of the 17 cases of
tests/engine/test_resume.py end unlike the straight run. So the last state is written here.
"""

import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from parsenet.errors import ConfigError
from parsenet.files import read_yaml, write_bytes_atomically
from parsenet.models.weights import read_weights
from parsenet.taxonomy import Taxonomy

_FREE_TO_CHANGE = {
    # They have no parameters.
    *("model.network.weights", "model.network.preprocess", "model.network.download"),
    *("model.network.dropout", "model.network.context_dropout"),
    # They change where and how fast, never what is learned.
    *("data.root", "data.num_workers", "data.check_labels", "data.test_split"),
}
"""Options that a resumed run may set anew."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write checkpoints atomically.

    Lightning writes to the system's temporary folder and moves the file from there, which copies it
    bit by bit where that folder is another disk.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None
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
        self._is_due = False

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Write after an iteration; never with gradients half accumulated, which are not saved."""
        loop, fetcher = trainer.fit_loop.epoch_loop, trainer.fit_loop._data_fetcher
        is_late = time.monotonic() - self._written >= self.seconds
        if is_late and trainer.global_step % self.every == 0 and not loop._should_accumulate():
            self._is_due = True
            assert fetcher is not None
            if not loop._should_check_val_fx(fetcher):
                self.on_validation_end(trainer)

    def on_validation_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Write what is due."""
        if self._is_due:
            self._is_due, self._written = False, time.monotonic()
            trainer.save_checkpoint(self.path, weights_only=False)


class BestCheckpoint(ModelCheckpoint):
    """Keep the network with the best validation mean IoU.

    The run folder may be renamed or moved before a resume: names are all that is kept of it.

    Args:
        folder: where to write.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            filename="best-step={step}-mIoU={val/mIoU:.4f}",
            auto_insert_metric_name=False,
            monitor="val/mIoU",
            mode="max",
            save_weights_only=True,
            save_on_train_epoch_end=False,  # there is a score only after a validation
            enable_version_counter=False,  # a resumed run writes the same file again
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Look for the files of the run that is resumed in the folder where it is now."""
        before, now = state_dict["dirpath"], str(self.dirpath)
        state = {
            k: v.replace(before, now) if isinstance(v, str) else v for k, v in state_dict.items()
        }
        best = {path.replace(before, now): x for path, x in state_dict["best_k_models"].items()}
        super().load_state_dict(state | {"best_k_models": best})

    def best(self) -> Path | None:
        """Return the best file, if its score is a number."""
        score = self.best_model_score
        return Path(self.best_model_path) if score is not None and score >= 0 else None


def refuse_other_run(path: Path, options: Mapping[str, Any]) -> Taxonomy:
    """Refuse to go on with options that the checkpoint's run did not have; return its classes."""
    record = read_weights(path).record
    is_state = record is not None and path.suffix == ".ckpt"
    content = torch.load(path, "cpu", weights_only=True, mmap=True) if is_state else {}
    if record is None or "optimizer_states" not in content:
        raise ConfigError(
            f"`ckpt_path` must be the `last.ckpt` of a run, got '{path}'. Its weights alone can "
            f"start a new run: `--model.network.weights {path}`."
        )
    saved = path.parent.parent / "config.yaml"
    trained = _compared(read_yaml(saved, "seed_everything: 0")) if saved.is_file() else {}
    trained |= {f"model.network.{name}": value for name, value in record["network"].items()}
    for name, given in _compared(options).items():
        if name in trained and name not in _FREE_TO_CHANGE and given != trained[name]:
            raise ConfigError(
                f"`{name}` must be {trained[name]} to go on from '{path}', got {given}. Start a "
                "new run with another `--run_dir DIR`."
            )
    return Taxonomy.from_dict(record["taxonomy"])


def _compared(options: Mapping[str, Any]) -> dict[str, Any]:
    """Name the options that decide what is learned."""
    model, trainer = options.get("model", {}), options.get("trainer", {})
    sections = {
        "model.network": model.get("network", {}),
        "model.optim": model.get("optim", {}),
        "data": options.get("data", {}),
    }
    return {
        "seed_everything": options.get("seed_everything"),
        "trainer.accumulate_grad_batches": trainer.get("accumulate_grad_batches"),
        **{f"{above}.{name}": x for above in sections for name, x in sections[above].items()},
    }
