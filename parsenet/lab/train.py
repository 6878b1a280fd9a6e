"""One run of a grid: train, score once, and tell everything in plain values."""

import logging
import warnings
from dataclasses import replace
from functools import cache
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


class Bench:
    """Makes runs, one after another, in one place.

    Args:
        device: such as `cpu` or `cuda:1`.
        out_dir: folder for predicted labels (`samples/`) and for the states of runs under way.
        save_every: seconds between two writings of a run's state.
    """

    def __init__(self, device: str, out_dir: Path, save_every: float = 600.0) -> None:
        self.out_dir = out_dir
        self._device = torch.device(device)
        self._save_every = save_every
        self._checked: set[DataConfig] = set()
        # Lightning would say for each run on which device it is made.
        loggers = ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero", "lightning_fabric")
        for name in loggers:
            logging.getLogger(name).setLevel(logging.WARNING)

    def run(self, options: Options) -> Record:
        """Train and score, from the state that a killed run left, if there is one.

        The state stays until the result is on disk: whoever writes that removes it.
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
        folder = self.out_dir / "samples" / options.key
        scored = _score(predictor, data.datasets["val"], options.scoring, folder)
        losses = watch.losses()
        reason = watch.diverged or judge(scored["largest_class"], scored["largest_share"])
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
            "collapsed": reason is not None,
            "reason": reason,
        }

    def _train(
        self,
        module: SegmentationModule,
        data: SegmentationDataModule,
        watch: Watch,
        options: Options,
    ) -> pl.Trainer:
        state = options.state_in(self.out_dir)
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
            "callbacks": [watch, LastCheckpoint(state, seconds=self._save_every)],
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


@cache
def bench(device: str, out_dir: Path) -> Bench:
    """Return the one bench of this process."""
    return Bench(device, out_dir)


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
    kept = {chosen[i] for i in _spread(len(chosen), scoring.samples)}
    taxonomy = predictor.taxonomy
    counter = ImageCounter(taxonomy.num_classes, taxonomy.void)
    samples = []
    for index in chosen:
        item = dataset[index]
        image = np.ascontiguousarray(item.image.permute(1, 2, 0).numpy())
        prediction = predictor(image)
        counter.update(torch.from_numpy(prediction)[None], item.label[None], (item.id,))
        if index in kept:
            samples.append(item.id.replace("/", "_"))
            name = f"{samples[-1]}.png"
            _keep(folder / name, taxonomy.colourise(prediction), Image.Resampling.NEAREST)
            truth = folder.parent / "ground_truth" / name
            if not truth.is_file():
                _keep(folder.parent / "image" / name, image, Image.Resampling.LANCZOS)
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
        "samples": samples,
    }


def _spread(total: int, count: int | None) -> list[int]:
    """Choose positions spread evenly over a list; None takes all."""
    count = total if count is None else min(count, total)
    return [int(i) for i in np.linspace(0, total - 1, count).round()]


def _keep(path: Path, pixels: np.ndarray, how: Image.Resampling) -> None:
    image = Image.fromarray(pixels)
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), how)
    write_image(path, image, optimize=True)


def judge(largest_class: str, largest_share: float) -> str | None:
    """Say why a run came to nothing, by the class and its share that was predicted most."""
    if largest_share < ONE_CLASS:
        return None
    return f"'{largest_class}' was predicted on {100 * largest_share:.2f} % of the pixels"
