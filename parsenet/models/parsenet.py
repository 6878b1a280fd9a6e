"""ParseNet: the paper's figure 1 as a module, from the image as stored to scores of its pixels."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from parsenet.errors import ConfigError, suggest
from parsenet.models.heads import Head
from parsenet.models.trunk import Trunk
from parsenet.models.upsample import Upsample

BAND_BYTES = 2**24
"""Size of a band of class scores: small beside any network's activations."""


class Constants(NamedTuple):
    """Channel order and, in that order, the numbers of (x - mean) / std for x in [0, 255]."""

    order: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


PREPROCESS = {
    # The authors' prototxt (mean_value).
    "caffe": Constants("BGR", (104.00699, 116.66877, 122.67892), (1.0, 1.0, 1.0)),
    # torchvision's ImageClassification transform, times 255.
    "torchvision": Constants("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    # VGG16_Weights.IMAGENET1K_FEATURES: Caffe features for RGB images; mean and std times 255.
    "torchvision_features": Constants("RGB", (122.99925, 116.9991, 103.9992), (1.0, 1.0, 1.0)),
}


class Preprocess(nn.Module):
    """Turn RGB images in [0, 255], uint8 or float, into what a trunk's weights were trained on.

    Part of the network: it travels with the weights, and images reach the device as uint8. The
    name is a key of `PREPROCESS`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        if name not in PREPROCESS:
            raise ConfigError(
                f"`preprocess` must be a known name, got '{name}'. {suggest(name, PREPROCESS)}"
            )
        self.name = name
        order, *constants = PREPROCESS[name]
        self.swap = order == "BGR"
        for field, values in zip(("mean", "std"), constants, strict=True):
            self.register_buffer(field, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Shaped[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        """Reorder, subtract, divide."""
        x = image.to(self.mean.dtype)
        return ((x.flip(1) if self.swap else x) - self.mean) / self.std


class GlobalContext(nn.Module):
    """Average a map over the image: fc7 in, pool6 out, what the whole image says.

    The result is left at 1x1: a head classifies it there and lets the scores spread over the map,
    which equals spreading the features first and is thousands of times cheaper. A mean over both
    axes, not a pooling layer, so that export works at any size.

    Source: ParseNet, arXiv:1506.04579, section 3.1; `pool6_1x1` of the released prototxt.
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c 1 1"]:
        """Pool to 1x1."""
        return x.mean((2, 3), keepdim=True)


class ParseNet(nn.Module):
    """Label every pixel of an image, each one seeing the whole.

    Args:
        preprocess: images to what the trunk's weights expect.
        trunk: images to named feature maps.
        head: features, global context among them, to class scores.
        upsample: class scores to pixels.

    Shape:
        input (N, 3, H, W), RGB in [0, 255], uint8 or float; output (N, K, H, W) class scores
        before the softmax.

    Source: ParseNet: Looking Wider to See Better, arXiv:1506.04579.
    """

    def __init__(
        self, preprocess: Preprocess, trunk: Trunk, head: Head, upsample: Upsample
    ) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.trunk = trunk
        self.context = GlobalContext()
        self.head = head
        self.upsample = upsample

    @property
    def new_layers(self) -> tuple[str, ...]:
        """Prefixes of the parameters that start at random and learn at the score layers' rate."""
        return ("head.score", *(f"trunk.{name}" for name in self.trunk.new_layers))

    def forward(self, image: Shaped[Tensor, "n 3 H W"]) -> Float[Tensor, "n k H W"]:
        """Score every pixel; enlarged in float32 even under autocast, as labels depend on it."""
        scores = self.scores(image)
        with torch.autocast(scores.device.type, enabled=False):
            return self.upsample(scores, image.shape[-2:])  # type: ignore[no-any-return]

    def bands(
        self,
        image: Shaped[Tensor, "n 3 H W"],
        pool6: Float[Tensor, "n c 1 1"] | None = None,
        max_bytes: int = BAND_BYTES,
    ) -> Iterator[Float[Tensor, "n k rows W"]]:
        """Score every pixel, a band of at most `max_bytes` (or one row of cells) at a time.

        Together they are what `forward` gives; `pool6` as for `scores`.
        """
        scores = self.scores(image, pool6)
        size = (image.shape[2], image.shape[3])
        stride = self.upsample.stride
        cell_row = scores.shape[0] * scores.shape[1] * stride * size[1] * scores.element_size()
        num_bands = -(-scores.shape[2] // max(1, max_bytes // cell_row))
        step = -(-scores.shape[2] // num_bands)  # even, so that the last one is no sliver
        for start in range(0, scores.shape[2], step):
            # The context must end before `yield`: it would hold for the caller's code too.
            with torch.autocast(scores.device.type, enabled=False):
                band = self.upsample.rows(scores, size, start, start + step)
            yield band

    def scores(
        self, image: Shaped[Tensor, "n 3 H W"], pool6: Float[Tensor, "n c 1 1"] | None = None
    ) -> Float[Tensor, "n k h w"]:
        """Score every cell of the finest fused map, in float32 at least; `upsample` goes on.

        `pool6` is the global context to use, such as that of the image that `image` is a window
        of; None pools `image`.
        """
        features = self.trunk(self.preprocess(image))
        fc7 = features["fc7"]
        features["pool6"] = self.context(fc7) if pool6 is None else pool6.to(fc7.dtype)
        scores: Tensor = self.head(features)
        return scores.to(torch.promote_types(scores.dtype, torch.float32))
