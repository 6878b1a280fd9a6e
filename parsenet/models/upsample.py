"""Score maps to a finer grid, cell centres aligned and cropped at the top left.

A cell of stride s covers s pixels, and a map of stride s has ceil(H/s) rows. Enlarging by exactly s
and keeping the first H rows keeps every cell over its pixels; resizing to H would not.
"""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Maps = Float[Tensor, "n k _ _"]
Size = tuple[int, int]
"""(height, width) in pixels."""


def enlarge(x: Maps, factor: int, size: Size) -> Maps:
    """Enlarge bilinearly by a whole factor and keep the top left `size`."""
    if factor > 1:
        x = F.interpolate(x, scale_factor=float(factor), mode="bilinear", align_corners=False)
    return x[:, :, : size[0], : size[1]]


class Upsample(nn.Module, ABC):
    """Abstract base: scores (N, K, h, w) to pixels (N, K, H, W), at once or some rows at a time."""

    stride: int
    """Factor of enlargement."""

    @abstractmethod
    def forward(self, scores: Maps, size: Size) -> Maps:
        """Enlarge to `size`."""

    def rows(self, scores: Maps, size: Size, start: int, stop: int) -> Maps:
        """Enlarge only to the pixels over rows `start` to `stop` (not included) of the cells.

        The result is `forward(scores, size)[:, :, start * stride : stop * stride]`: a pixel depends
        on the row of cells that it lies in and on one of the two beside it. To the bit, where
        torch runs the same kernel for both: it has another for outputs whose rows and columns are
        128 together or fewer.
        """
        above = max(start - 1, 0)
        skipped = (start - above) * self.stride
        end = min(stop * self.stride, size[0]) - above * self.stride
        cells = scores[:, :, above : stop + 1]
        return self(cells, (end, size[1]))[:, :, skipped:]  # type: ignore[no-any-return]


class BilinearUpsample(Upsample):
    """Fixed bilinear enlargement by the stride of the scores."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, scores: Maps, size: Size) -> Maps:
        """Enlarge to `size`."""
        return enlarge(scores, self.stride, size)


class LearnedUpsample(Upsample):
    """A learned transposed convolution per class, with bias, that starts out bilinear.

    Kernel 2s, stride s, padding s/2, one group per class: x8 in the released model, whose crop
    comes out at offset 0. At the start it equals `BilinearUpsample` but for the outer s/2 pixels,
    where zeros flow in from outside.

    It is computed as what it is: a pixel is a weighted sum of 2x2 cells, with weights that depend
    on where in its cell it lies. So s * s small convolutions, interleaved. On a CPU that takes a
    seventh of the time of torch's grouped transposed convolution, which sums the same products.

    Args:
        num_classes: score maps.
        stride: factor of enlargement, even.

    Source: `upscore21` of the authors' prototxt; bilinear filler of Caffe's filler.hpp.
    """

    def __init__(self, num_classes: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.deconv = nn.ConvTranspose2d(
            num_classes, num_classes, 2 * stride, stride, stride // 2, groups=num_classes
        )
        with torch.no_grad():
            self.deconv.weight.copy_(bilinear_kernel(2 * stride).expand_as(self.deconv.weight))
            assert self.deconv.bias is not None
            self.deconv.bias.zero_()

    def forward(self, scores: Maps, size: Size) -> Maps:
        """Enlarge to `size`."""
        s = self.stride
        # (K, 1, 2s, 2s) to s * s kernels of 2x2 per class; a further cell has earlier weights.
        weights = self.deconv.weight.view(-1, 2, s, 2, s).flip(1, 3).permute(0, 2, 4, 1, 3)
        assert self.deconv.bias is not None
        bias = self.deconv.bias.repeat_interleave(s * s)
        kernels = weights.reshape(-1, 1, 2, 2)
        parts = F.conv2d(scores, kernels, bias, padding=1, groups=self.deconv.groups)
        pixels = F.pixel_shuffle(parts, s)  # (N, K, (h + 1) * s, (w + 1) * s)
        return pixels[:, :, s // 2 : s // 2 + size[0], s // 2 : s // 2 + size[1]]


def bilinear_kernel(size: int) -> Float[Tensor, "k k"]:
    """Return Caffe's bilinear filler: w(x) = 1 - |x/f - c|, f = ceil(k/2), c = (2f-1-f%2)/(2f)."""
    f = (size + 1) // 2
    c = (2 * f - 1 - f % 2) / (2 * f)
    line = 1 - (torch.arange(size) / f - c).abs()
    return line[:, None] * line[None, :]
