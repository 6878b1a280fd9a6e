"""One run of a grid: train, score once, and tell everything in plain values."""

import io
import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from PIL import Image

from parsenet.config import DataConfig
from parsenet.data.base import SegmentationDataset, check_labels
from parsenet.data.build import build_dataset, taxonomy_of
from parsenet.data.labels import LabelMap
from parsenet.data.sample import TrainSampler, repeat_factors
from parsenet.engine.checkpoints import AtomicCheckpointIO, LastCheckpoint
from parsenet.engine.datamodule import TrainLoader
from parsenet.engine.module import SegmentationModule
from parsenet.engine.record import describe_machine, now
from parsenet.engine.run import QUIET
from parsenet.errors import ConfigError
from parsenet.files import write_bytes_atomically
from parsenet.hardware import choose_precision
from parsenet.inference.predictor import Predictor
from parsenet.lab.options import Options, Scoring
from parsenet.lab.results import Result
from parsenet.lab.watch import Watch, learned_scales, thin
from parsenet.metrics.confusion import ImageCounter
from parsenet.metrics.counting import ImageCounts
from parsenet.metrics.scores import scores
from parsenet.taxonomy import Taxonomy

ONE_CLASS = 0.999
"""Share of the pixels from which on one predicted class counts as a collapse."""
_LONGEST_SIDE = 240
"""Pixels of a kept sample; a page shows many."""


@dataclass(frozen=True)
class Place:
    """Where a run is made."""

    device: torch.device
    out_dir: Path
    """Folder for predicted labels (`samples/`) and for the states of runs under way."""
    tell: Callable[[int, float], None] = lambda step, loss: None
    """Called now and then with (iteration, loss)."""
    save_every: float = 600.0
    """Seconds between two writings of a run's state."""


class Images:
    """Training and validation images, kept from one run to the next.

    Args:
        config: which data.
    """

    def __init__(self, config: DataConfig) -> None:
        self.config = config
        self.taxonomy = taxonomy_of(config)
        self.train = build_dataset(config, config.train_split, train=True)
        self.val = build_dataset(config, config.val_split)
        self._weights = None
        if config.check_labels or config.balance:
            check_labels(self.val, progress=False)
            present = check_labels(self.train, progress=False)
            self._weights = repeat_factors(present, config.balance)

    def load(self, seed: int, progress: Callable[[], int]) -> TrainLoader:
        """Load training batches; order and augmentation are those of the seed.

        Args:
            seed: of the run.
            progress: counts the batches of this epoch that a resumed run has had.
        """
        config = self.config
        return TrainLoader(
            self.train,
            progress,
            TrainSampler(len(self.train), seed, weights=self._weights),
            batch_size=min(config.batch_size, len(self.train)),
            num_workers=config.num_workers,
            persistent_workers=config.num_workers > 0,
        )


class Bench:
    """Makes runs, one after another, on one device.

    Args:
        place: where.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._images: Images | None = None

    def run(self, options: Options) -> Result:
        """Train and score, from the state that a killed run left, if there is one.

        The state stays until the result is on disk: whoever writes that removes it.

        Returns:
            everything about the run but its place in the grid.

        Raises:
            ParseNetError: something the user can mend.
        """
        started, clock = now(), time.monotonic()
        images = self._find_images(options.data)
        pl.seed_everything(options.seed, verbose=False)
        module = SegmentationModule(options.network, options.optim, images.taxonomy)
        module.seed = options.seed
        trainer, watch = self._train(module, options, images)
        trained = time.monotonic()
        scored = self._score(module, options, images, trainer.precision)
        losses = watch.losses()
        known = [loss for loss in losses if np.isfinite(loss)]
        return {
            "key": options.key,
            "config": options.to_dict(),
            "date": started,
            "seconds": round(watch.seconds_before + time.monotonic() - clock, 1),
            "seconds_training": round(watch.seconds_before + trained - clock, 1),
            "machine": describe_machine(self.place.device),
            "precision": str(trainer.precision),
            "num_iterations": trainer.global_step,
            "num_parameters": sum(p.numel() for p in module.parameters()),
            "curve": thin(losses, trainer.accumulate_grad_batches),
            "highest_loss": max(known, default=None),
            "norms": watch.norms,
            "scales": learned_scales(module),
            **scored,
            **judge(watch.diverged, scored),
        }

    def _find_images(self, config: DataConfig) -> Images:
        """Keep the images while runs are on the same data; others take their place."""
        if self._images is None or self._images.config != config:
            self._images = None  # two caches at once may be too much
            self._images = Images(config)
        return self._images

    def _train(
        self, module: SegmentationModule, options: Options, images: Images
    ) -> tuple[pl.Trainer, Watch]:
        given = dict(options.trainer)
        loader = images.load(
            options.seed, lambda: trainer.fit_loop.epoch_loop.batch_progress.current.ready
        )
        per_epoch = max(1, len(loader) // int(given.get("accumulate_grad_batches", 1)))
        num_steps = int(given.get("max_steps", -1))
        if num_steps < 0:
            num_steps = int(given.get("max_epochs", 1)) * per_epoch
        watch = Watch(num_steps, self.place.tell, options.to_dict())
        state = options.state_in(self.place.out_dir)
        device = self.place.device
        defaults: dict[str, Any] = {
            "accelerator": "gpu" if device.type == "cuda" else device.type,
            "devices": [device.index or 0] if device.type == "cuda" else 1,
            "precision": given.pop("precision", None) or choose_precision(device),
            "callbacks": [watch, LastCheckpoint(state, seconds=self.place.save_every)],
            "plugins": [AtomicCheckpointIO()],
            "use_distributed_sampler": False,
            "logger": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "limit_val_batches": 0,
        }
        with warnings.catch_warnings():
            for message in QUIET:
                warnings.filterwarnings("ignore", message)
            try:
                trainer = pl.Trainer(**defaults | given)
            except (TypeError, ValueError, MisconfigurationException) as error:
                reason = " ".join(str(error).split())
                raise ConfigError(
                    f"`trainer` must hold options of Lightning's Trainer, got: {reason}."
                ) from error
            warnings.filterwarnings("ignore", ".*You defined a `validation_step` but")
            before = state if _can_resume(state, options) else None
            try:
                trainer.fit(module, loader, ckpt_path=before, weights_only=True)
            except Exception as error:
                # A state of other code, most likely: the next try begins anew.
                if not watch.has_begun and not isinstance(error, torch.cuda.OutOfMemoryError):
                    state.unlink(missing_ok=True)
                raise
        return trainer, watch

    def _score(
        self, module: SegmentationModule, options: Options, images: Images, precision: object
    ) -> Result:
        scoring = options.scoring
        known = "bf16-mixed" if precision == "bf16-mixed" else "32-true"
        predictor = Predictor(
            module.network, images.taxonomy, str(self.place.device), known, scoring.inference
        )
        folder = self.place.out_dir / "samples" / options.key
        counts, samples = _count(predictor, images.val, scoring, folder)
        result = scores(counts.total())
        predicted = counts.total().sum(0)
        names = images.taxonomy.names
        return {
            "num_images": len(counts),
            "scores": {
                "pixel_accuracy": result.pixel_accuracy,
                "mean_accuracy": result.mean_accuracy,
                "mean_iou": result.mean_iou,
                "frequency_weighted_iou": result.frequency_weighted_iou,
            },
            "class_iou": dict(zip(names, result.class_iou, strict=True)),
            "class_pixels": dict(zip(names, result.class_pixels, strict=True)),
            "largest_class": names[int(predicted.argmax())],
            "largest_share": float(predicted.max() / max(1, predicted.sum())),
            "samples": samples,
        }


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


def _count(
    predictor: Predictor, dataset: SegmentationDataset, scoring: Scoring, folder: Path
) -> tuple[ImageCounts, list[str]]:
    """Label and count images spread over a split; keep the labels of some."""
    chosen = _spread(len(dataset), scoring.images)
    kept = {chosen[i] for i in _spread(len(chosen), min(scoring.samples, len(chosen)))}
    taxonomy = predictor.taxonomy
    counter = ImageCounter(taxonomy.num_classes, taxonomy.void)
    samples = []
    for index in chosen:
        item = dataset[index]
        image, truth = item.image.permute(1, 2, 0).numpy(), item.label
        label = predictor(np.ascontiguousarray(image))
        counter.update(torch.from_numpy(label)[None], truth[None], (item.id,))
        if index in kept:
            name = item.id.replace("/", "_")
            samples.append(name)
            _keep(folder / f"{name}.png", label, taxonomy)
            shared = folder.parent
            if not (shared / "truth" / f"{name}.png").is_file():
                _keep_image(shared / "image" / f"{name}.png", Image.fromarray(image))
                _keep(shared / "truth" / f"{name}.png", truth.numpy(), taxonomy)
    return counter.to_counts(), samples


def _spread(total: int, count: int | None) -> list[int]:
    """Choose positions spread evenly over a list; None takes all."""
    if count is None or count >= total:
        return list(range(total))
    return [int(i) for i in np.linspace(0, total - 1, count).round()] if count else []


def _keep(path: Path, label: LabelMap, taxonomy: Taxonomy) -> None:
    _keep_image(path, Image.fromarray(taxonomy.colourise(label)), Image.Resampling.NEAREST)


def _keep_image(
    path: Path, image: Image.Image, how: Image.Resampling = Image.Resampling.LANCZOS
) -> None:
    factor = min(1.0, _LONGEST_SIDE / max(image.size))
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    content = io.BytesIO()
    image.resize(size, how).save(content, "PNG", optimize=True)
    write_bytes_atomically(path, content.getvalue())


def judge(diverged: str | None, scored: Result) -> Result:
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
