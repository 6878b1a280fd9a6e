"""Score maps to a finer grid, cell centres aligned and cropped at the top left.

A cell of stride s covers s pixels, and a map of stride s has ceil(H/s) rows. Enlarging by exactly s
and keeping the first H rows keeps every cell over its pixels; resizing to H would not.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def enlarge(
    x: Float[Tensor, "n c h w"], factor: int, size: tuple[int, int]
) -> Float[Tensor, "n c H W"]:
    """Enlarge bilinearly by a whole factor and keep the top left `size` (height, width)."""
    if factor > 1:
        x = F.interpolate(x, scale_factor=float(factor), mode="bilinear", align_corners=False)
    return x[:, :, : size[0], : size[1]]


class BilinearUpsample(nn.Module):
    """Fixed bilinear enlargement by the stride of the scores.

    Shape:
        input (N, K, h, w), output (N, K, H, W) for the `size` asked for.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(
        self, scores: Float[Tensor, "n k h w"], size: tuple[int, int]
    ) -> Float[Tensor, "n k H W"]:
        """Enlarge to `size` (height, width)."""
        return enlarge(scores, self.stride, size)


class LearnedUpsample(nn.Module):
    """A learned transposed convolution per class, with bias, that starts out bilinear.

    Kernel 2s, stride s, padding s/2, one group per class: x8 in the released model, whose crop
    comes out at offset 0. At the start it equals `BilinearUpsample` but for the outer s/2 pixels,
    where zeros flow in from outside.

    Args:
        num_classes: score maps.
        stride: factor of enlargement, even.

    Shape:
        input (N, K, h, w), output (N, K, H, W) for the `size` asked for.

    Source: `upscore21` of the authors' prototxt; bilinear filler of Caffe's filler.hpp.
    """

    def __init__(self, num_classes: int, stride: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(
            num_classes, num_classes, 2 * stride, stride, stride // 2, groups=num_classes
        )
        with torch.no_grad():
            self.deconv.weight.copy_(bilinear_kernel(2 * stride).expand_as(self.deconv.weight))
            assert self.deconv.bias is not None
            self.deconv.bias.zero_()

    def forward(
        self, scores: Float[Tensor, "n k h w"], size: tuple[int, int]
    ) -> Float[Tensor, "n k H W"]:
        """Enlarge to `size` (height, width)."""
        return self.deconv(scores)[:, :, : size[0], : size[1]]  # type: ignore[no-any-return]


def bilinear_kernel(size: int) -> Float[Tensor, "k k"]:
    """Return Caffe's bilinear filler: w(x) = 1 - |x/f - c|, f = ceil(k/2), c = (2f-1-f%2)/(2f)."""
    f = (size + 1) // 2
    c = (2 * f - 1 - f % 2) / (2 * f)
    line = 1 - (torch.arange(size) / f - c).abs()
    return line[:, None] * line[None, :]
