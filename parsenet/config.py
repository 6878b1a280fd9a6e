"""Every option of a run, in three frozen dataclasses; the line under a field is its help text.

Contradictions are refused here, before anything heavy is imported. Nothing here imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from parsenet.errors import ConfigError, suggest

FEATURES = ("pool6", "fc7", "conv5", "conv4", "conv3")
"""The features that can be fused, from the most global to the finest; the paper's order."""

Head = Literal["early", "late", "fcn32s", "fcn16s", "fcn8s"]
PreprocessName = Literal["caffe", "torchvision", "torchvision_features"]


@dataclass(frozen=True)
class NetworkConfig:
    """What the network is: trunk, fused features, head, and where its weights start."""

    trunk: str = "vgg16_largefov"
    """Trunk: `vgg16_largefov` (stride 8, the released VOC model), `vgg16_fcn` and
    `vgg16_fcn_reduced` (stride 32), `squeezenet`, or another line of the table in
    `parsenet/models/build.py`."""
    features: tuple[str, ...] = ("pool6", "fc7")
    """Features to fuse: any of pool6, fc7, conv5, conv4, conv3."""
    head: Head = "late"
    """Fusion: `early` (one classifier on the concatenation), `late` (a classifier per feature,
    scores summed), or one of the FCN skip baselines."""
    normalize: bool = True
    """Scale every feature to unit length and by a learned factor (L2Norm) before fusion."""
    norm_scale: float = 10.0
    """Starting value of L2Norm's factors; 10 in the released model, 20 in SSD's conv4_3."""
    dropout: float = 0.5
    """Dropout after fc6 and fc7."""
    context_dropout: float = 0.3
    """Dropout on pool6, after its normalization."""
    upsample: Literal["learned", "bilinear"] = "learned"
    """Scores to pixels: `learned` transposed convolution with bias and bilinear start (the
    released model), or fixed `bilinear`."""
    weights: str | None = None
    """Start of the trunk: `imagenet1k_v1`, `imagenet1k_features`, a path (`.npz` with Caffe layer
    names, `.pth`, `.safetensors`, `.ckpt`), or null for random."""
    preprocess: PreprocessName | None = None
    """What the weights expect: `caffe` (BGR minus mean), `torchvision` (RGB in [0, 1],
    standardised) or `torchvision_features` (RGB minus mean); null asks the weights."""
    download: bool = False
    """Allow torchvision to download `imagenet1k_*` when they are not in its cache."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", tuple(self.features))
        for name in self.features:
            if name not in FEATURES:
                raise ConfigError(
                    f"`features` must name known features, got '{name}'. {suggest(name, FEATURES)}"
                )
        if self.head not in get_args(Head):
            raise ConfigError(
                f"`head` must be a known name, got '{self.head}'. "
                f"{suggest(self.head, get_args(Head))}"
            )
        if len(set(self.features)) != len(self.features) or not self.features:
            raise ConfigError(
                f"`features` must be one or more different names, got {list(self.features)}."
            )
        for field in ("dropout", "context_dropout"):
            value = getattr(self, field)
            if not 0 <= value < 1:
                raise ConfigError(f"`{field}` must be in [0, 1), got {value}.")
        if self.norm_scale <= 0:
            raise ConfigError(
                f"`norm_scale` must be positive, got {self.norm_scale}. The paper's is 10."
            )


@dataclass(frozen=True)
class OptimConfig:
    """How the network is trained: the authors' solver by default."""

    optimizer: Literal["sgd", "adamw"] = "sgd"
    """`sgd` with Caffe's momentum (the authors'), or `adamw`."""
    lr: float = 1e-8
    """Base learning rate. The authors' 1e-8 belongs to `loss: sum`; for `loss: mean` 2e-3 is about
    the same on VOC pictures."""
    momentum: float = 0.9
    """Momentum of `sgd`."""
    weight_decay: float = 5e-4
    """Weight decay on weights and L2Norm scales; biases have none."""
    power: float = 0.9
    """Exponent of the poly schedule, stepped every iteration: lr * (1 - iteration / last)^power."""
    warmup_steps: int = 0
    """Iterations over which the rate rises linearly to `lr`; the authors use none."""
    score_lr_mult: float = 10.0
    """Rate multiplier of layers that start at random (score layers; a trunk's new fc7)."""
    bias_lr_mult: float = 2.0
    """Further multiplier of every bias."""
    loss: Literal["sum", "mean"] = "sum"
    """Cross entropy over the pixels that are not void: their `sum` per picture (the authors'), or
    their `mean` over the batch."""

    def __post_init__(self) -> None:
        if not 0 < self.lr < 10:
            raise ConfigError(f"`lr` must be in (0, 10), got {self.lr}.")
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"`momentum` must be in [0, 1), got {self.momentum}.")
        if self.weight_decay < 0 or self.power < 0 or self.warmup_steps < 0:
            raise ConfigError("`weight_decay`, `power` and `warmup_steps` must not be negative.")
        if self.optimizer == "sgd" and self.loss == "sum" and self.lr > 1e-5:
            raise ConfigError(
                f"`lr` must be at most 1e-5 with `loss: sum`, got {self.lr}: the loss is a sum "
                f"over some 100,000 pixels. Use `loss: mean`, or `lr: {self.lr / 2e5:.0e}`."
            )


@dataclass(frozen=True)
class FolderConfig:
    """A plain folder of pictures and masks; templates are relative to `data.root`."""

    images: str = "images/{split}/*"
    """Glob of the pictures of a split."""
    labels: str = "labels/{split}/{stem}.png"
    """Name of the mask that belongs to the picture `{stem}`."""
    taxonomy: str = ""
    """Built-in name (`voc2012`) or YAML file with `names:` and optionally `palette:` (RGB masks
    are decoded with it)."""


@dataclass(frozen=True)
class DataConfig:
    """Which pictures, and what happens to them before they reach the network."""

    dataset: Literal["voc2012", "folder", "shapes"] = "voc2012"
    """Data set; every name is a line of the table in `parsenet/data/build.py`."""
    root: Path | None = None
    """Folder that holds the data (for VOC the one with `JPEGImages`); only `shapes` needs none."""
    train_split: str = "trainaug"
    """Split to train on."""
    val_split: str = "val"
    """Split that `fit` and `validate` score."""
    test_split: str = "val"
    """Split that `test` scores."""
    folder: FolderConfig = FolderConfig()
    """Layout of `dataset: folder`."""
    batch_size: int = 8
    """Pictures per process and step while training; evaluation takes one native-size picture."""
    num_workers: int = 2
    """Loader processes; 0 reads in the main process."""
    crop: tuple[int, int] | None = (321, 321)
    """(height, width) of training crops, padded with void where the picture ends; null trains on
    whole pictures (the authors' way; needs `batch_size: 1`)."""
    scale: tuple[float, float] = (0.5, 2.0)
    """Range of the random scale before cropping; (1, 1) for none."""
    balance: float = 0.0
    """Show pictures of rare classes more often: a class in less than this share of the training
    pictures is rare; 0 shows every picture once per epoch."""
    flip: bool = True
    """Mirror half of the training pictures."""
    colour: float = 0.0
    """Strength of colour jitter on training pictures, 0 for none, 0.4 for strong."""
    check_labels: bool = True
    """Read every training and validation label once before training and refuse wrong values."""

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.num_workers < 0:
            raise ConfigError(
                f"`batch_size` must be at least 1 and `num_workers` at least 0, got "
                f"{self.batch_size} and {self.num_workers}."
            )
        if self.crop is None and self.batch_size != 1:
            raise ConfigError(
                f"`batch_size` must be 1 when `crop` is null (whole pictures differ in size), got "
                f"{self.batch_size}. Set it to 1 and `trainer.accumulate_grad_batches` to "
                f"{self.batch_size}."
            )
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ConfigError(
                f"`scale` must be (low, high) with 0 < low <= high, got {self.scale}."
            )
        for field in ("colour", "balance"):
            value = getattr(self, field)
            if not 0 <= value <= 1:
                raise ConfigError(f"`{field}` must be in [0, 1], got {value}.")
