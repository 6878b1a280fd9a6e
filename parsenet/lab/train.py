"""One run of a grid: train, score once, and tell everything in plain values."""

import logging
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from PIL import Image

from parsenet.config import DataConfig
from parsenet.data.base import SegmentationDataset
from parsenet.engine.checkpoints import AtomicCheckpointIO, LastCheckpoint
from parsenet.engine.datamodule import SegmentationDataModule
from parsenet.engine.module import SegmentationModule
from parsenet.engine.record import describe_machine, now
from parsenet.engine.run import QUIET
from parsenet.errors import ConfigError
from parsenet.hardware import choose_precision
from parsenet.inference.drawing import write_image
from parsenet.inference.predictor import Predictor
from parsenet.lab.options import Options, Record, Scoring
from parsenet.lab.watch import Watch, learned_scales, thin
from parsenet.metrics.confusion import ImageCounter
from parsenet.metrics.scores import scores
from parsenet.reports.tables import SUMMARY

ONE_CLASS = 0.999
"""Share of the pixels from which on one predicted class counts as a collapse."""
_LONGEST_SIDE = 240
"""Pixels of a kept sample; a page shows many."""


@dataclass(frozen=True)
class Place:
    """Where a run is made."""

    device: str
    """Such as `cpu` or `cuda:1`."""
    out_dir: Path
    """Folder for predicted labels (`samples/`) and for the states of runs under way."""
    save_every: float = 600.0
    """Seconds between two writings of a run's state."""


class Bench:
    """Makes runs, one after another, in one place.

    Args:
        place: where.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._device = torch.device(place.device)
        self._checked: set[DataConfig] = set()

    def run(self, options: Options) -> Record:
        """Train and score, from the state that a killed run left, if there is one.

        The state stays until the result is on disk: whoever writes that removes it.

        Returns:
            everything about the run but its place in the grid.

        Raises:
            ParseNetError: something the user can mend.
        """
        started = now()
        watch = Watch(options.to_dict())
        pl.seed_everything(options.seed, verbose=False)
        # Lightning sets a data module up anew for each run; reading all labels once is enough.
        check = options.data.check_labels and options.data not in self._checked
        data = SegmentationDataModule(**vars(replace(options.data, check_labels=check)))
        data.seed = options.seed
        module = SegmentationModule(options.network, options.optim, data.taxonomy)
        module.seed = options.seed
        trainer = self._train(module, data, watch, options)
        self._checked.add(options.data)
        seconds_training = watch.seconds()
        known = "bf16-mixed" if trainer.precision == "bf16-mixed" else "32-true"
        predictor = Predictor(
            module.network, data.taxonomy, str(self._device), known, options.scoring.inference
        )
        folder = self.place.out_dir / "samples" / options.key
        scored = _score(predictor, data.datasets["val"], options.scoring, folder)
        losses = watch.losses()
        return {
            "key": options.key,
            "inputs": dict(options.inputs),
            "config": options.to_dict(),
            "date": started,
            "seconds": round(watch.seconds(), 1),
            "seconds_training": round(seconds_training, 1),
            "machine": describe_machine(self._device),
            "precision": str(trainer.precision),
            "num_iterations": trainer.global_step,
            "num_parameters": sum(p.numel() for p in module.parameters()),
            "curve": thin(losses, trainer.accumulate_grad_batches),
            "highest_loss": max((loss for loss in losses if np.isfinite(loss)), default=None),
            "norms": watch.norms,
            "scales": learned_scales(module),
            **scored,
            **judge(watch.diverged, scored),
        }

    def _train(
        self,
        module: SegmentationModule,
        data: SegmentationDataModule,
        watch: Watch,
        options: Options,
    ) -> pl.Trainer:
        state = options.state_in(self.place.out_dir)
        with warnings.catch_warnings():
            for message in (*QUIET, ".*You defined a `validation_step` but"):
                warnings.filterwarnings("ignore", message)
            trainer = self._make_trainer(options, watch, state)
            before = state if _can_resume(state, options) else None
            try:
                trainer.fit(module, datamodule=data, ckpt_path=before, weights_only=True)
            except Exception as error:
                # A state of other code, most likely: the next try begins anew.
                if not watch.has_begun and not isinstance(error, torch.cuda.OutOfMemoryError):
                    state.unlink(missing_ok=True)
                raise
        return trainer

    def _make_trainer(self, options: Options, watch: Watch, state: Path) -> pl.Trainer:
        device = self._device
        defaults: dict[str, Any] = {
            "accelerator": "gpu" if device.type == "cuda" else device.type,
            "devices": [device.index or 0] if device.type == "cuda" else 1,
            "precision": choose_precision(device),
            "callbacks": [watch, LastCheckpoint(state, seconds=self.place.save_every)],
            "plugins": [AtomicCheckpointIO()],
            "use_distributed_sampler": False,
            "logger": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "limit_val_batches": 0,
        }
        given = {name: value for name, value in options.trainer.items() if value is not None}
        try:
            return pl.Trainer(**defaults | given)
        except (TypeError, ValueError, MisconfigurationException) as error:
            reason = " ".join(str(error).split())
            raise ConfigError(
                f"`trainer` must hold options of Lightning's Trainer, got: {reason}."
            ) from error


def _can_resume(state: Path, options: Options) -> bool:
    """Say whether a killed run left a state to go on from; a useless one is removed."""
    try:
        content = torch.load(state, map_location="cpu", weights_only=True, mmap=True)
        if options.agree_with(content["callbacks"]["Watch"].get("config", {})):
            return True
    except FileNotFoundError:
        return False
    except Exception:  # whatever is wrong with it, the run can be made from its beginning
        pass
    state.unlink()
    return False


def _score(
    predictor: Predictor, dataset: SegmentationDataset, scoring: Scoring, folder: Path
) -> Record:
    """Label and count images spread over a split; keep the labels of some as images."""
    chosen = _spread(len(dataset), scoring.images)
    kept = {chosen[i] for i in _spread(len(chosen), min(scoring.samples, len(chosen)))}
    taxonomy = predictor.taxonomy
    counter = ImageCounter(taxonomy.num_classes, taxonomy.void)
    samples = []
    for index in chosen:
        item = dataset[index]
        image = np.ascontiguousarray(item.image.permute(1, 2, 0).numpy())
        prediction = predictor(image)
        counter.update(torch.from_numpy(prediction)[None], item.label[None], (item.id,))
        if index in kept:
            samples.append(f"{item.id.replace('/', '_')}.png")
            _keep(folder / samples[-1], taxonomy.colourise(prediction), Image.Resampling.NEAREST)
            truth = folder.parent / "ground_truth" / samples[-1]
            if not truth.is_file():
                _keep(folder.parent / "image" / truth.name, image, Image.Resampling.LANCZOS)
                _keep(truth, taxonomy.colourise(item.label.numpy()), Image.Resampling.NEAREST)
    counts, names = counter.to_counts().total(), taxonomy.names
    result, predicted = scores(counts), counts.sum(0)
    return {
        "num_images": len(chosen),
        "scores": {metric: getattr(result, metric) for metric in SUMMARY},
        "class_iou": dict(zip(names, result.class_iou, strict=True)),
        "class_pixels": dict(zip(names, result.class_pixels, strict=True)),
        "largest_class": names[int(predicted.argmax())],
        "largest_share": float(predicted.max() / max(1, predicted.sum())),
        "samples": [name.removesuffix(".png") for name in samples],
    }


def _spread(total: int, count: int | None) -> list[int]:
    """Choose positions spread evenly over a list; None takes all."""
    if count is None or count >= total:
        return list(range(total))
    return [int(i) for i in np.linspace(0, total - 1, count).round()] if count else []


def _keep(path: Path, pixels: np.ndarray, how: Image.Resampling) -> None:
    image = Image.fromarray(pixels)
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), how)
    write_image(path, image, optimize=True)


def judge(diverged: str | None, scored: Record) -> Record:
    """Say whether a run came to nothing, and why.

    Args:
        diverged: why it was ended, if it was.
        scored: `largest_class`, and `largest_share` of the pixels that it was predicted on.
    """
    reason = diverged
    if reason is None and scored["largest_share"] >= ONE_CLASS:
        share = 100 * scored["largest_share"]
        reason = f"'{scored['largest_class']}' was predicted on {share:.2f} % of the pixels"
    return {"collapsed": reason is not None, "reason": reason}


def quiet_lightning() -> None:
    """Keep Lightning from saying on which device it runs, once per run."""
    for name in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
