"""ParseNet: the paper's figure 1 as a module."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from parsenet.models.context import GlobalContext
from parsenet.models.heads import EarlyFusionHead, LateFusionHead, SkipHead
from parsenet.models.preprocess import Preprocess
from parsenet.models.trunk import Trunk
from parsenet.models.upsample import BilinearUpsample, LearnedUpsample

BAND_BYTES = 2**24
"""Size of a band of class scores: small beside any network's activations."""


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
        self,
        preprocess: Preprocess,
        trunk: Trunk,
        head: EarlyFusionHead | LateFusionHead | SkipHead,
        upsample: LearnedUpsample | BilinearUpsample,
    ) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.trunk = trunk
        self.context = GlobalContext()
        self.head = head
        self.upsample = upsample

    @property
    def fresh(self) -> tuple[str, ...]:
        """Prefixes of the parameters that start at random and learn at the score layers' rate."""
        return ("head.score", *(f"trunk.{name}" for name in self.trunk.fresh))

    def forward(self, image: Shaped[Tensor, "n 3 H W"]) -> Float[Tensor, "n k H W"]:
        """Score every pixel; the enlargement is float32 even under autocast, labels hang on it."""
        scores = self.scores(image)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        with torch.autocast(scores.device.type, enabled=False):
            return self.upsample(scores, image.shape[-2:])  # type: ignore[no-any-return]

    def bands(
        self,
        image: Shaped[Tensor, "n 3 H W"],
        pool6: Float[Tensor, "n c 1 1"] | None = None,
        max_bytes: int = BAND_BYTES,
    ) -> Iterator[Float[Tensor, "n k rows W"]]:
        """Score every pixel, a band of rows at a time: together what `forward` gives.

        Args:
            image: RGB in [0, 255].
            pool6: see `scores`.
            max_bytes: size of a band; one row of cells is enlarged at least.
        """
        scores = self.scores(image, pool6)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
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
        """Score every cell of the finest fused map; `upsample` brings them to pixels.

        Args:
            image: RGB in [0, 255].
            pool6: global context to use, such as that of the image that `image` is a window of;
                None pools `image`.
        """
        features = self.trunk(self.preprocess(image))
        fc7 = features["fc7"]
        features["pool6"] = self.context(fc7) if pool6 is None else pool6.to(fc7.dtype)
        return self.head(features)  # type: ignore[no-any-return]
