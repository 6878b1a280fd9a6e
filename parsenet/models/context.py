"""Global context: what the whole image says, given to every pixel."""

from jaxtyping import Float
from torch import Tensor, nn


class GlobalContext(nn.Module):
    """Average a map over the image: fc7 in, pool6 out.

    The result is left at 1x1: a head classifies it there and lets the scores spread over the map,
    which equals spreading the features first and is thousands of times cheaper. A mean over both
    axes, not a pooling layer, so that export works at any size.

    Shape:
        input (N, C, H, W), output (N, C, 1, 1).

    Source: ParseNet, arXiv:1506.04579, section 3.1; `pool6_1x1` of the released prototxt.
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c 1 1"]:
        """Pool to 1x1."""
        return x.mean((2, 3), keepdim=True)
