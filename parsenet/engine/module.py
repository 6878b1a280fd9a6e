"""The LightningModule: one shared step, thin hooks; what it does is in the parts it is given."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Int64
from torch import Tensor, distributed
from torch.nn.modules.batchnorm import _BatchNorm

from parsenet.config import NetworkConfig, OptimConfig
from parsenet.data.sample import Batch
from parsenet.engine.optim import build_optimizer, freeze
from parsenet.errors import ConfigError
from parsenet.hardware import prefers_channels_last
from parsenet.losses import CrossEntropy
from parsenet.metrics.confusion import ImageCounter
from parsenet.metrics.counting import ImageCounts
from parsenet.metrics.scores import Scores, scores
from parsenet.models.build import build_model
from parsenet.models.checkpoint import describe
from parsenet.models.trunk import rescale_features
from parsenet.models.weights import METADATA_KEY, load_weights
from parsenet.taxonomy import VOC2012, Taxonomy


class Result(NamedTuple):
    """What a pass over validation or test images gave, all processes together."""

    images: ImageCounts
    """Counts of every image."""
    counts: Int64[np.ndarray, "c c"]
    """Pixels by (true class, predicted class)."""
    scores: Scores
    logged: dict[str, float]
    """The four scores and every class's IoU by the names of logs, such as `val/mIoU`."""


class SegmentationModule(pl.LightningModule):
    """A ParseNet, its loss, its optimiser and its scores.

    Args:
        network: what to train.
        optim: how to train it.
        taxonomy: classes of the data; the command line fills it in from `data`.

    Attributes:
        seed: start of the dropout's randomness; the command line sets it from `seed_everything`.
        result: scores of the last complete pass over the validation or test images.
    """

    def __init__(
        self,
        network: NetworkConfig = NetworkConfig(),
        optim: OptimConfig = OptimConfig(),
        taxonomy: Taxonomy = VOC2012,
    ) -> None:
        super().__init__()
        self.config = network
        self.optim = optim
        self.taxonomy = taxonomy
        self.seed = 0
        self.network = build_model(network, taxonomy.num_classes)
        freeze(self.network.trunk, optim.freeze)
        self.train()
        self.loss = CrossEntropy(optim.loss, taxonomy.void)
        self.result: Result | None = None
        self._counter = ImageCounter(taxonomy.num_classes, taxonomy.void)
        self._has_started = False

    def train(self, mode: bool = True) -> "SegmentationModule":
        """Set the mode; frozen batch normalization stays in evaluation, its statistics still."""
        super().train(mode)
        for layer in self.network.trunk.modules():
            if isinstance(layer, _BatchNorm) and layer.affine and not layer.weight.requires_grad:
                layer.eval()
        return self

    def setup(self, stage: str) -> None:
        """Load the start weights before training; a resumed run overwrites them afterwards.

        A second `fit` of the same module goes on from where the first one ended.
        """
        if stage != "fit" or self._has_started:
            return
        self._has_started = True
        if self.config.weights is not None:
            load_weights(self.network.trunk, self.config)
        rescale_features(self.network.trunk, self.config.rescale)

    def configure_model(self) -> None:
        """Lay the weights out the way the device's convolutions like them."""
        if prefers_channels_last(self.trainer.strategy.root_device):
            self.network = self.network.to(memory_format=torch.channels_last)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch.

        Dropout is drawn from (seed, epoch, batch, process), so that a resumed run goes on exactly.
        """
        key = (self.seed, self.current_epoch, batch_idx, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
        loss: Tensor = self.loss(self.network(batch.image), batch.label)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count the pixels of an image."""
        self._counter.update(self.predict_label(batch), batch.label, batch.id)

    def on_validation_epoch_end(self) -> None:
        """Put the counts of all processes together, score them, and log the scores."""
        images = self._counter.to_counts()
        self._counter.reset()
        if distributed.is_available() and distributed.is_initialized():
            parts: list[Any] = [None] * distributed.get_world_size()
            distributed.all_gather_object(parts, images)
            images = ImageCounts.join(parts, images.num_classes)
        counts = images.total()
        result = scores(counts)
        stage = "test" if self.trainer.testing else "val"
        logged = {
            f"{stage}/pixel_acc": result.pixel_accuracy,
            f"{stage}/mean_acc": result.mean_accuracy,
            f"{stage}/mIoU": result.mean_iou,
            f"{stage}/fw_IoU": result.frequency_weighted_iou,
        }
        for name, iou in zip(self.taxonomy.names, result.class_iou, strict=True):
            logged[f"{stage}/IoU_{name}"] = iou
        for name, value in logged.items():
            # The counts are those of all processes: every process logs the same number.
            self.log(name, value, prog_bar=name.endswith("/mIoU"))
        self.result = Result(images, counts, result, logged)

    test_step = validation_step
    on_test_epoch_end = on_validation_epoch_end

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning's own union is not public
        """Build the optimiser and step its schedule every iteration."""
        num_steps = self.trainer.estimated_stepping_batches
        if math.isinf(num_steps):
            raise ConfigError(
                "The poly schedule must know its end, got endless training. Set "
                "`trainer.max_steps` or `trainer.max_epochs`."
            )
        optimizer, schedule = build_optimizer(
            self.network, self.network.new_layers, self.optim, int(num_steps)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the file is: network, preprocessing, classes."""
        checkpoint[METADATA_KEY] = describe(self.network, self.config, self.taxonomy)

    def predict_label(self, batch: Batch) -> Tensor:
        """Label the images of a batch; `max` picks the same class as `argmax`, faster."""
        return self.network(batch.image).max(dim=1).indices  # type: ignore[no-any-return]
