"""What scores pixels, whatever runs it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from parsenet.hardware import choose_device, choose_precision, prefers_channels_last
from parsenet.models.heads import SkipHead
from parsenet.models.parsenet import ParseNet
from parsenet.taxonomy import Taxonomy


class Box(NamedTuple):
    """A part of an image in pixels, edges between pixels; the far edges do not belong to it."""

    top: float
    bottom: float
    left: float
    right: float


class Segmenter(ABC):
    """Scores the pixels of images: a network of ours, or an exported file in its runtime.

    The attributes are what a predictor has to know to feed it.
    """

    taxonomy: Taxonomy
    """What the class indices mean."""
    device: torch.device
    """Where images must lie, and scores will."""
    precision: str
    """What it computes with, such as `32-true`."""
    record: dict[str, Any]
    """What its file says about it; empty when it came without one."""
    stride: int
    """Pixels per cell of its coarsest map; windows start at multiples of it."""
    bytes_per_pixel: int
    """Bytes of activations per pixel of an image at the worst moment."""
    has_context: bool
    """Whether it looks at the whole image, so that a window needs to be told about the rest."""

    @abstractmethod
    def bands(
        self, images: UInt8[Tensor, "n 3 H W"], pool6: Float[Tensor, "n c 1 1"] | None = None
    ) -> Iterator[Float[Tensor, "n k rows W"]]:
        """Score images, a band of rows at a time from top to bottom, together all H rows.

        Args:
            images: RGB in [0, 255].
            pool6: global context of the images that `images` are windows of; None takes their
                own.

        Returns:
            class scores before the softmax, float32.
        """

    @abstractmethod
    def pool6_sum(
        self, image: UInt8[Tensor, "1 3 H W"], box: Box
    ) -> tuple[Float[Tensor, "1 c 1 1"], int]:
        """Add up what pool6 is the mean of, over the cells whose centres lie in a part.

        Returns:
            the sum and the number of cells.
        """


class NetworkSegmenter(Segmenter):
    """A network of ours, run by PyTorch; it is moved to the device and put in evaluation mode."""

    def __init__(
        self,
        network: ParseNet,
        taxonomy: Taxonomy,
        device: str | torch.device = "auto",
        precision: str = "auto",
        record: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.taxonomy, self.record = taxonomy, dict(record)
        self.device = choose_device(str(device))
        self.precision = choose_precision(self.device, precision)
        self._half = self.precision == "bf16-mixed"
        self.network = network.eval().to(self.device)
        if prefers_channels_last(self.device):
            self.network = self.network.to(memory_format=torch.channels_last)
        self.stride = max(feature.stride for feature in network.trunk.feature_maps.values())
        self.bytes_per_pixel = network.trunk.bytes_per_pixel
        self.has_context = (
            not isinstance(network.head, SkipHead) and "pool6" in network.head.feature_maps
        )

    def bands(
        self, images: UInt8[Tensor, "n 3 H W"], pool6: Float[Tensor, "n c 1 1"] | None = None
    ) -> Iterator[Float[Tensor, "n k rows W"]]:
        """Score images, a band of rows at a time."""
        bands = self.network.bands(images, pool6)
        while True:
            # The contexts must end before `yield`: they would hold for the caller's code too.
            with (
                torch.inference_mode(),
                torch.autocast(self.device.type, torch.bfloat16, enabled=self._half),
            ):
                band = next(bands, None)
            if band is None:
                return
            yield band

    def pool6_sum(
        self, image: UInt8[Tensor, "1 3 H W"], box: Box
    ) -> tuple[Float[Tensor, "1 c 1 1"], int]:
        """Add up fc7 over the cells whose centres lie in a part."""
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self._half),
        ):
            fc7 = self.network.trunk(self.network.preprocess(image))["fc7"]
            return sum_cells(fc7, self.network.trunk.feature_maps["fc7"].stride, box)


def sum_cells(
    fc7: Float[Tensor, "1 c h w"], stride: int, box: Box
) -> tuple[Float[Tensor, "1 c 1 1"], int]:
    """Add up a map over the cells whose centres lie in a part; cell i's is at stride * (i + 1/2).

    Returns:
        the sum in float32, and the number of cells.
    """
    cells = fc7
    for axis, low, high in ((2, box.top, box.bottom), (3, box.left, box.right)):
        edges = (min(max(edge, 0.0), stride * fc7.shape[axis]) for edge in (low, high))
        first, last = (math.ceil(edge / stride - 0.5) for edge in edges)
        cells = cells.narrow(axis, first, last - first)
    total = cells.sum((2, 3), keepdim=True, dtype=torch.float32)
    return total, cells.shape[2] * cells.shape[3]
