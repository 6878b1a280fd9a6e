"""L2Norm: unit length over channels, times a learned scale."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

EPS = 1e-10


class L2Norm(nn.Module):
    """Scale each pixel's feature vector to unit length, then every channel by a learned factor.

    y = scale * x / sqrt(sum(x^2) + 1e-10). Layers differ in magnitude by orders; without this the
    larger ones drown the smaller when they are fused. A zero vector stays zero and has a finite
    gradient. The norm is taken in float32 (or wider), so that half precision neither overflows in
    the squares nor loses the epsilon.

    The gradient is the paper's exact one. Caffe's layer takes its inner product before the scale
    is applied, which is exact only while all scales are equal.

    Args:
        num_channels: channels of the map to scale.
        scale: starting value of every factor; 10 in the released ParseNet, 20 in SSD's conv4_3.
        across_spatial: take one norm over channels, rows and columns of an image, not per pixel.
        channel_shared: learn one factor for all channels.
        fix_scale: do not learn the factor.

    Shape:
        input and output (N, C, H, W).

    Source: ParseNet, arXiv:1506.04579, section 3.3; Caffe normalize_layer.cpp (weiliu89/caffe,
    branch fcn). Caffe's own defaults are across_spatial, channel_shared and a fixed scale of 1.
    """

    def __init__(
        self,
        num_channels: int,
        scale: float = 10.0,
        *,
        across_spatial: bool = False,
        channel_shared: bool = False,
        fix_scale: bool = False,
    ) -> None:
        super().__init__()
        self.across_spatial = across_spatial
        self.scale = nn.Parameter(
            torch.full((1 if channel_shared else num_channels,), float(scale)),
            requires_grad=not fix_scale,
        )

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Normalize a map."""
        dims = (1, 2, 3) if self.across_spatial else (1,)
        wide = torch.promote_types(x.dtype, torch.float32)
        # The norm, squared again: one pass over x, where summing squares would store them.
        length: Tensor = torch.linalg.vector_norm(x, dim=dims, keepdim=True, dtype=wide)
        inverse = (length.square() + EPS).rsqrt()  # (N, 1, H, W), or (N, 1, 1, 1)
        return (x * inverse * self.scale.view(1, -1, 1, 1)).to(x.dtype)
