"""An image in, a label map out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Float16, Float32, UInt8
from PIL import Image
from torch import Tensor

from parsenet.config import InferenceConfig
from parsenet.data.labels import LabelMap
from parsenet.data.reading import read_image
from parsenet.errors import ConfigError, ImageError
from parsenet.hardware import free_memory, release_memory
from parsenet.inference.exported import load_exported
from parsenet.inference.segmenter import NetworkSegmenter, Segmenter
from parsenet.inference.windows import (
    Patch,
    Span,
    View,
    average,
    merge,
    place_windows,
    share_context,
)
from parsenet.models.checkpoint import load_network
from parsenet.models.parsenet import ParseNet
from parsenet.pretrained import bundled_path
from parsenet.taxonomy import Taxonomy

__all__ = ["LOADERS", "ImageLike", "Prediction", "Predictor"]

ImageLike: TypeAlias = Path | str | Image.Image | UInt8[np.ndarray, "_ _ 3"]
"""A file, a Pillow image, or RGB values in [0, 255]."""

_SMALLEST = 1e-30
"""Stands for a probability of 0, whose logarithm would be infinite."""

_Maps: TypeAlias = tuple[np.ndarray, np.ndarray | None, np.ndarray | None]
"""Label (N, H, W), probabilities (N, K, H, W) and entropy (N, H, W) of images of one size."""

_CONVERTIBLE = frozenset({"RGB", "L", "P", "1", "CMYK"})
"""Pillow modes that `convert` turns into RGB without losing anything."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a predictor says about one image."""

    label: LabelMap
    """Class indices 0..K-1."""
    probabilities: Float16[np.ndarray, "k h w"] | None = None
    """Probability of each class, where asked for."""
    entropy: Float32[np.ndarray, "h w"] | None = None
    """Uncertainty in [0, 1], where asked for: 0 is sure, 1 knows nothing (entropy / log K)."""


class Predictor:
    """Labels images of any size, at their native size.

    Example:
        predictor = Predictor.load("model.safetensors")
        label = predictor("photo.jpg")
        predictor.taxonomy.names[label[0, 0]]

    Args:
        network: what scores the pixels. A network of ours is moved to the device and put in
            evaluation mode; any other segmenter knows its device and precision itself.
        taxonomy: what the class indices mean.
        device: where to run, such as `cpu` or `cuda:1`; `auto` takes a GPU where there is one.
        precision: `32-true`, `bf16-mixed`, or `auto` for what the device is good at. The labels of
            a run's own scores come with the precision of that run.
        config: windows, context and test-time augmentation.

    Raises:
        ConfigError: the device is not there, or the precision unknown.
    """

    def __init__(
        self,
        network: ParseNet | Segmenter,
        taxonomy: Taxonomy,
        device: str = "auto",
        precision: str = "auto",
        config: InferenceConfig = InferenceConfig(),
    ) -> None:
        if isinstance(network, ParseNet):
            network = NetworkSegmenter(network, taxonomy, device, precision)
        self.segmenter = network
        self.taxonomy = taxonomy
        self.config = config
        flips = (False, True) if config.flip else (False,)
        self._views = [View(scale, flip) for scale in config.scales for flip in flips]
        self.device = network.device
        self.precision = network.precision
        self.record = network.record
        self.name = "network"
        """Word for messages: the file's name, when it was loaded from one."""

    @classmethod
    def load(
        cls,
        path: Path | str | None = None,
        device: str = "auto",
        precision: str = "auto",
        config: InferenceConfig = InferenceConfig(),
    ) -> Predictor:
        """Load a trained network.

        Args:
            path: `.safetensors` file, `.ckpt` of a run, or an `.onnx` or `.pt2` file of `parsenet
                export`; class names, colours and preprocessing travel in it. None takes the
                bundled model.
            device: where to run, `auto` to choose.
            precision: `32-true`, `bf16-mixed`, or `auto` to choose.
            config: windows, context and test-time augmentation.

        Raises:
            WeightsError: the file is missing, damaged, or of an unknown kind.
        """
        path = bundled_path() if path is None else Path(path)
        if path.suffix.lower() in LOADERS:
            segmenter = LOADERS[path.suffix.lower()](path, device, precision)
        else:
            network, _, taxonomy, record = load_network(path)
            segmenter = NetworkSegmenter(network, taxonomy, device, precision, record)
        predictor = cls(segmenter, segmenter.taxonomy, config=config)
        predictor.name = path.name
        return predictor

    def __call__(self, image: ImageLike) -> LabelMap:
        """Label every pixel of an image.

        Args:
            image: a file (turned as its EXIF orientation says), a Pillow image as it stands, or an
                array of RGB values in [0, 255].

        Returns:
            class indices 0..C-1, as large as the image.

        Raises:
            ImageError: the image cannot be read, or an array is not RGB in uint8.
        """
        return self.predict([image])[0].label

    def batch(self, images: Sequence[ImageLike]) -> list[LabelMap]:
        """Label images; those of equal size go through the network together."""
        return [prediction.label for prediction in self.predict(images)]

    def predict(
        self,
        images: Sequence[ImageLike],
        probabilities: bool = False,
        entropy: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Prediction]:
        """Label images and say how sure that is; those of equal size run together.

        Args:
            images: as for a call.
            probabilities: return the probability of each class.
            entropy: return the uncertainty of each pixel.
            progress: called with the number of windows done and their total, for images that are
                cut into windows.

        Returns:
            a prediction for each image, in their order.

        Raises:
            ImageError: see a call.
            ConfigError: an image's probabilities do not fit into memory.
        """
        arrays = [_to_rgb(image) for image in images]
        by_size: dict[tuple[int, int], list[int]] = {}
        for index, array in enumerate(arrays):
            by_size.setdefault((array.shape[0], array.shape[1]), []).append(index)
        predictions: dict[int, Prediction] = {}
        for size, indices in by_size.items():
            rows, columns, at_once = place_windows(self.segmenter, self.config, size)
            needed = 2 * self.taxonomy.num_classes * size[0] * size[1]
            free = free_memory() if probabilities else None
            if free is not None and needed > free:
                raise ConfigError(
                    f"`probabilities` must fit into the free memory of {free / 2**30:.1f} GiB, got "
                    f"{needed / 2**30:.1f} GiB for {size[0]} x {size[1]} pixels and "
                    f"{self.taxonomy.num_classes} classes. Leave them out, or cut the image."
                )
            for start in range(0, len(indices), at_once):
                chosen = indices[start : start + at_once]
                shape, num_classes = (len(chosen), *size), self.taxonomy.num_classes
                maps = (
                    np.empty(shape, np.uint8 if num_classes <= 256 else np.uint16),
                    np.empty((len(chosen), num_classes, *size), "f2") if probabilities else None,
                    np.empty(shape, np.float32) if entropy else None,
                )
                with torch.inference_mode():
                    self._score([arrays[i] for i in chosen], (rows, columns), maps, progress)
                for i, index in enumerate(chosen):
                    extras = (x if x is None else x[i] for x in maps[1:])
                    predictions[index] = Prediction(maps[0][i], *extras)
        return [predictions[index] for index in range(len(arrays))]

    def _score(
        self,
        arrays: list[np.ndarray],
        windows: tuple[list[Span], list[Span]],
        maps: _Maps,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        """Score arrays of one size, in one piece or window by window, and fill their maps."""
        if len(windows[0]) * len(windows[1]) > 1:
            for top, left, patch in self._score_windows(arrays[0], windows, progress):
                _fill(maps, top, left, patch)
        elif self._views != [View()]:
            contexts = dict.fromkeys(self._views)
            _fill(maps, 0, 0, average(self.segmenter, self._upload(arrays), contexts))
        else:
            top = 0
            for band in self.segmenter.bands(self._upload(arrays)):
                is_label_alone = all(x is None for x in maps[1:])
                _fill(maps, top, 0, band if is_label_alone else band.softmax(1))
                top += band.shape[2]

    def _score_windows(
        self,
        image: np.ndarray,
        windows: tuple[list[Span], list[Span]],
        progress: Callable[[int, int], None] | None,
    ) -> Iterator[Patch]:
        """Score an image that is too large to be scored in one piece."""
        shares = self.config.context == "whole" and self.segmenter.has_context
        total = len(windows[0]) * len(windows[1]) * (1 + shares * len(self._views))
        count = itertools.count(1)

        def tick() -> None:
            """Count a window, and tidy up after it."""
            release_memory()
            if progress is not None:
                progress(next(count), total)

        def read(row: Span, column: Span) -> Tensor:
            return self._upload([image[row.start : row.stop, column.start : column.stop]])

        contexts: dict[View, Tensor | None] = dict.fromkeys(self._views)
        for view in self._views if shares else ():
            contexts[view] = share_context(self.segmenter, read, windows, view, tick)

        def score(row: Span, column: Span) -> Tensor:
            scored = average(self.segmenter, read(row, column), contexts)
            tick()
            return scored

        return merge(score, *windows)

    def _upload(self, images: Sequence[np.ndarray]) -> Tensor:
        """Bring images of one size to the device: (N, 3, H, W), channels last in memory."""
        pixels = np.stack(images) if len(images) > 1 else images[0][None]
        # A view of the user's own array where torch takes it; others are copied.
        if not (pixels.flags.c_contiguous and pixels.flags.writeable):
            pixels = pixels.copy()
        return torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2)


def _fill(maps: _Maps, top: int, left: int, values: Float[Tensor, "n k h w"]) -> None:
    """Fill the part that begins at (top, left); for a label alone scores do, else probabilities."""
    label, probabilities, entropy = maps
    part = (..., slice(top, top + values.shape[2]), slice(left, left + values.shape[3]))
    # On a CPU `max` is about eight times as fast as `argmax`, and as exact.
    best = values.max(dim=1).indices
    label[part] = (best.byte() if label.dtype == np.uint8 else best.int()).cpu().numpy()
    if probabilities is not None:
        probabilities[part] = values.half().cpu().numpy()
    if entropy is not None:
        # On a CPU five times as fast as `torch.special.entr`; 0 log 0 is 0 here too.
        surprise = values.clamp_min(_SMALLEST).log_().mul_(values).sum(1)
        # A single class leaves nothing to be unsure about.
        entropy[part] = (-surprise / (math.log(values.shape[1]) or 1.0)).clamp_(0, 1).cpu().numpy()


LOADERS: dict[str, Callable[[Path, str, str], Segmenter]] = {
    ".onnx": load_exported,
    ".pt2": load_exported,
}
"""What reads exported files of each ending: (path, device, precision) to a segmenter."""


def _to_rgb(image: ImageLike) -> UInt8[np.ndarray, "h w 3"]:
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ImageError(
                "`image` must be an array of uint8 RGB values (height, width, 3), got "
                f"{image.dtype} {image.shape}. Scale to [0, 255] and repeat a grey channel."
            )
        return image
    if isinstance(image, Image.Image):
        if image.mode not in _CONVERTIBLE:
            raise ImageError(
                f"`image` must be of Pillow mode RGB, L, P, 1 or CMYK, got {image.mode}. Give the "
                "file's path, which lays transparency over white and scales 16 bits, or convert it."
            )
        return np.array(image.convert("RGB"))
    return read_image(Path(image))
