"""Every option of a run, in frozen dataclasses; the line under a field is its help text.

Contradictions are refused here, before anything heavy is imported. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from parsenet.errors import ConfigError, suggest

FEATURES = ("pool6", "fc7", "conv5", "conv4", "conv3")
"""The features that can be fused, from the most global to the finest; the paper's order."""

Head = Literal["early", "late", "fcn32s", "fcn16s", "fcn8s"]
PreprocessName = Literal["caffe", "torchvision", "torchvision_features"]


def _require_in(config: object, **intervals: str) -> None:
    """Refuse a value outside of its interval, such as `lr="(0, 10)"`; an open end is left out."""
    for name, interval in intervals.items():
        value, (low, high) = getattr(config, name), map(float, interval[1:-1].split(","))
        is_above = value >= low if interval[0] == "[" else value > low
        is_below = value <= high if interval[-1] == "]" else value < high
        if not (is_above and is_below):
            raise ConfigError(f"`{name}` must be in {interval}, got {value}.")


def _require_known(option: str, names: Sequence[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(
                f"`{option}` must be a known name, got '{name}'. {suggest(name, known)}"
            )


def _require_different(option: str, values: Sequence[object]) -> None:
    if not values or len(set(values)) < len(values):
        raise ConfigError(f"`{option}` must be one or more different values, got {list(values)}.")


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
    rescale: dict[str, float] = field(default_factory=dict, hash=False)
    """Experiment: factors of the feature maps conv3, conv4 and conv5, such as {conv3: 100}, which
    leave everything behind the map as it is; applied when training starts."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", tuple(self.features))
        _require_known("features", self.features, FEATURES)
        _require_known("head", [self.head], get_args(Head))
        _require_different("features", self.features)
        _require_in(self, dropout="[0, 1)", context_dropout="[0, 1)", norm_scale="(0, inf)")


@dataclass(frozen=True)
class OptimConfig:
    """How the network is trained: the authors' solver by default."""

    optimizer: Literal["sgd", "adamw"] = "sgd"
    """`sgd` with Caffe's momentum (the authors'), or `adamw`."""
    lr: float = 1e-8
    """Base learning rate. The authors' 1e-8 belongs to `loss: sum`; for `loss: mean` 2e-3 is about
    the same on VOC images."""
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
    freeze: tuple[str, ...] = ()
    """Trunk layers that keep their start weights, such as [conv1, fire2]; none in the paper.
    A step is cheaper where the first layers need no gradient."""
    loss: Literal["sum", "mean"] = "sum"
    """Cross entropy over the pixels that are not void: their `sum` per image (the authors'), or
    their `mean` over the batch."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "freeze", tuple(self.freeze))
        _require_in(self, lr="(0, 10)", momentum="[0, 1)", power="[0, inf)")
        _require_in(self, weight_decay="[0, inf)", warmup_steps="[0, inf)")
        if self.optimizer == "sgd" and self.loss == "sum" and self.lr > 1e-5:
            raise ConfigError(
                f"`lr` must be at most 1e-5 with `loss: sum`, got {self.lr}: the loss is a sum "
                f"over some 100,000 pixels. Use `loss: mean`, or `lr: {self.lr / 2e5:.0e}`."
            )


@dataclass(frozen=True)
class FolderConfig:
    """A plain folder of images and masks; templates are relative to `data.root`."""

    images: str = "images/{split}/*"
    """Glob of the images of a split."""
    labels: str = "labels/{split}/{stem}.png"
    """Name of the mask that belongs to the image `{stem}`."""
    taxonomy: str = ""
    """Built-in name (`voc2012`) or YAML file with `names:` and optionally `palette:` (RGB masks
    are decoded with it), or with `classes:` that merge stored values (docs/data.md)."""


@dataclass(frozen=True)
class CocoConfig:
    """Images with annotations in COCO's form; templates are relative to `data.root`."""

    annotations: str = "annotations/instances_{split}.json"
    """JSON file of a split: instances, stuff or panoptic."""
    images: str = "{split}"
    """Folder of the images of a split."""
    segments: str = "annotations/panoptic_{split}"
    """Folder of the PNG files of a panoptic split."""
    categories: str = ""
    """YAML file with the classes (`names:`) and what they are made of (`map: {class: [category
    names or ids]}`); empty for background and every category of the training split's file."""
    unmapped: Literal["background", "void"] = "background"
    """What pixels of a category become that no class is made of."""


@dataclass(frozen=True)
class Recipe:
    """What training does to an image, every number settled; `DataConfig` says how to choose."""

    crop: tuple[int, int] | None = (321, 321)
    """(height, width) of the result; null for the whole image."""
    scale: tuple[float, float] = (0.5, 2.0)
    """Range of the random scale."""
    rotate: float = 0.0
    """Largest turn to either side, in degrees."""
    flip: bool = True
    """Mirror half of the images."""
    colour: float = 0.0
    """Strength of colour jitter."""
    cat_max_ratio: float = 1.0
    """Share of a crop that one class may fill."""

    def __post_init__(self) -> None:
        _require_in(self, rotate="[0, 180]", colour="[0, 1]", cat_max_ratio="(0, 1]")
        if self.crop is not None and min(self.crop) < 1:
            raise ConfigError(
                f"`crop` must be (height, width) of at least 1 pixel, got {self.crop}."
            )
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ConfigError(
                f"`scale` must be (low, high) with 0 < low <= high, got {self.scale}."
            )


RECIPES = {
    "paper": Recipe(crop=None, scale=(1.0, 1.0), flip=False),
    "standard": Recipe(),
    "strong": Recipe(rotate=10.0, colour=0.4, cat_max_ratio=0.75),
}
"""The named recipes: the authors' (whole images as they are), the usual one, and a strong one."""

FromRecipe = Literal["recipe"]


@dataclass(frozen=True)
class DataConfig:
    """Which images, and what happens to them before they reach the network."""

    dataset: str = "voc2012"
    """Data set: `voc2012`, `sbd`, `siftflow`, `camvid`, `coco`, `folder`, `shapes`, or another line
    of the table in `parsenet/data/build.py`."""
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
    coco: CocoConfig = CocoConfig()
    """Layout of `dataset: coco`."""
    batch_size: int = 8
    """Images per process and step while training; evaluation takes one native-size image."""
    num_workers: int = 2
    """Loader processes; 0 reads in the main process."""
    augment: Literal["paper", "standard", "strong"] = "standard"
    """Recipe of the training images: `paper` takes whole images as they are (needs
    `batch_size: 1`), `standard` scales, crops and mirrors, `strong` also turns them, changes their
    colours and avoids crops of one class. The options below that say `recipe` take its values."""
    crop: tuple[int, int] | FromRecipe | None = "recipe"
    """(height, width) of training crops, padded with void where the image ends; null trains on
    whole images (the authors' way; needs `batch_size: 1`)."""
    scale: tuple[float, float] | FromRecipe = "recipe"
    """Range of the random scale before cropping; (1, 1) for none."""
    rotate: float | FromRecipe = "recipe"
    """Largest random turn to either side in degrees, 0 for none."""
    flip: bool | FromRecipe = "recipe"
    """Mirror half of the training images."""
    colour: float | FromRecipe = "recipe"
    """Strength of colour jitter on training images, 0 for none, 0.4 for strong."""
    cat_max_ratio: float | FromRecipe = "recipe"
    """Draw a crop again, up to ten times, while one class fills this share of it or more (void
    left out); 1 takes the first crop."""
    balance: float = 0.0
    """Show images of rare classes more often: a class in less than this share of the training
    images is rare; 0 shows every image once per epoch."""
    transforms: tuple[str | dict[str, Any], ...] = field(default=(), hash=False)
    """Further transforms of training images, by their names in albumentations, such as
    [{GaussNoise: {p: 0.3}}]; they come last, on the finished crop."""
    check_labels: bool = True
    """Read every training and validation label once before training and refuse wrong values."""

    def __post_init__(self) -> None:
        _require_known("augment", [self.augment], RECIPES)
        for name in ("crop", "scale", "transforms"):  # a list of a YAML file becomes a tuple
            if isinstance(value := getattr(self, name), list):
                object.__setattr__(self, name, tuple(value))
        _require_in(self, batch_size="[1, inf)", num_workers="[0, inf)", balance="[0, 1]")
        if self.recipe.crop is None and self.batch_size != 1:
            raise ConfigError(
                f"`batch_size` must be 1 when `crop` is null (whole images differ in size), got "
                f"{self.batch_size}. Set it to 1 and `trainer.accumulate_grad_batches` to "
                f"{self.batch_size}."
            )
        for entry in self.transforms:
            options = list(entry.values()) if isinstance(entry, dict) else [None]
            if len(options) != 1 or not isinstance(options[0], dict | None):
                raise ConfigError(
                    f"`transforms` must list names or {{name: {{option: value}}}}, got {entry}. "
                    "Write `- GaussNoise: {p: 0.3}`."
                )

    @property
    def recipe(self) -> Recipe:
        """What training does to an image: the named recipe with the options that were given.

        The options themselves stay `recipe`, so that a saved config follows another `augment`.
        """
        given = {part.name: getattr(self, part.name) for part in fields(Recipe)}
        given = {name: value for name, value in given.items() if value != "recipe"}
        return replace(RECIPES[self.augment], **given)


@dataclass(frozen=True)
class InferenceConfig:
    """How images are labelled: what may be in memory at once, and what is averaged."""

    memory: float = 2.0
    """GiB that the network's activations may take: pixels times the trunk's measured bytes per
    pixel. Images that need more are cut into overlapping windows of an eighth of it each."""
    window: int | None = None
    """Longest side of a window in pixels; larger images are cut. Null lets `memory` decide."""
    overlap: int = 128
    """Pixels that neighbouring windows share, rounded up to the network's stride; scores fade from
    one to the other over the middle half."""
    context: Literal["whole", "window"] = "whole"
    """Global context of windows: that of the `whole` image, which takes a pass of its own over
    it, or that of each `window`."""
    scales: tuple[float, ...] = (1.0,)
    """Sizes at which every image is scored; probabilities are averaged."""
    flip: bool = False
    """Score every image mirrored too, and average."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", tuple(self.scales))
        _require_known("context", [self.context], ("whole", "window"))
        _require_in(self, memory="(0, inf)", overlap="[0, inf)")
        if self.window is not None and self.window < max(1, 2 * self.overlap):
            raise ConfigError(
                f"`window` must be at least 1 and twice `overlap`, got {self.window} and "
                f"{self.overlap}. An overlap of {max(0, self.window // 4)} fits."
            )
        _require_different("scales", self.scales)
        for scale in self.scales:
            if not 0.1 <= scale <= 8:
                raise ConfigError(f"`scales` must be in [0.1, 8], got {scale}. Native size is 1.")
