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

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Write after an iteration; never with gradients half accumulated, which are not saved."""
        step = trainer.global_step
        is_late = time.monotonic() - self._written >= self.seconds
        if step > self._step_before and step % self.every == 0 and is_late:
            self._is_due = True
            loop = trainer.fit_loop
            assert loop._data_fetcher is not None
            if not loop.epoch_loop._should_check_val_fx(loop._data_fetcher):
                self.on_validation_end(trainer)
        self._step_before = step

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
        folder = Path(str(self.dirpath))

        def here(path: str) -> str:
            return str(folder / Path(path).name) if path else path

        state: dict[str, Any] = {
            name: here(value) if name.endswith("_path") else value
            for name, value in state_dict.items()
        }
        best = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(state | {"dirpath": self.dirpath, "best_k_models": best})

    def best(self) -> Path | None:
        """Return the best file, if its score is a number."""
        score = self.best_model_score
        return Path(self.best_model_path) if score is not None and score >= 0 else None


def refuse_other_run(path: Path, options: Mapping[str, Any]) -> Taxonomy:
    """Refuse to go on from a checkpoint with options that its run did not have.

    Args:
        path: checkpoint that training is to go on from; options are in `config.yaml` above it.
        options: those given, as plain values.

    Returns:
        the classes of that run.

    Raises:
        WeightsError: the file is missing or damaged.
        ConfigError: it has no training state, or is of another run.
    """
    record = read_weights(path).record
    if record is None or path.suffix != ".ckpt" or not _has_training_state(path):
        raise ConfigError(
            f"`ckpt_path` must be the `last.ckpt` of a run, got '{path}'. Its weights alone can "
            f"start a new run: `--model.network.weights {path}`."
        )
    saved = path.parent.parent / "config.yaml"
    trained = _compared(read_yaml(saved, "seed_everything: 0") if saved.is_file() else {})
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
        "": {name: options[name] for name in ("seed_everything",) if name in options},
        "trainer.": {k: v for k, v in trainer.items() if k == "accumulate_grad_batches"},
        "model.network.": model.get("network", {}),
        "model.optim.": model.get("optim", {}),
        "data.": options.get("data", {}),
    }
    return {above + name: x for above, values in sections.items() for name, x in values.items()}


def _has_training_state(path: Path) -> bool:
    return "optimizer_states" in torch.load(path, "cpu", weights_only=True, mmap=True)
