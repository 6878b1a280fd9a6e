"""ParseNet: the paper's figure 1 as a module."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from parsenet.models.context import GlobalContext
from parsenet.models.heads import EarlyFusionHead, LateFusionHead, SkipHead
from parsenet.models.preprocess import Preprocess
from parsenet.models.trunk import Trunk
from parsenet.models.upsample import BilinearUpsample, LearnedUpsample


class ParseNet(nn.Module):
    """Label every pixel of a picture, each one seeing the whole.

    Args:
        preprocess: pictures to what the trunk's weights expect.
        trunk: pictures to named feature maps.
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

    def scores(self, image: Shaped[Tensor, "n 3 H W"]) -> Float[Tensor, "n k h w"]:
        """Score every cell of the finest fused map; `upsample` brings them to pixels."""
        features = self.trunk(self.preprocess(image))
        features["pool6"] = self.context(features["fc7"])
        return self.head(features)  # type: ignore[no-any-return]
