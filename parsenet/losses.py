"""Cross entropy over the pixels that have a class; void pixels neither cost nor teach."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float, Integer
from torch import Tensor, nn

from parsenet.taxonomy import IGNORE_INDEX


class CrossEntropy(nn.Module):
    """Softmax cross entropy, as a sum per image or as a mean per pixel.

    The authors train on the `sum` (Caffe's SoftmaxWithLoss with `normalize: false`): all pixels
    that are not void, added up and divided by the number of images. Large images then weigh
    more, and the learning rate is some 1e-8. `mean` divides by the pixels that are not void. A
    batch of void alone gives zero, with a gradient of zero.

    Args:
        reduction: `sum` over the pixels per image, or `mean` over the batch's pixels.
        void: label value of pixels without a class.

    Shape:
        logits (N, C, H, W), label (N, H, W); the loss is a scalar.

    Source: ParseNet's released VOC2012 prototxt (PAPER 2a); Caffe softmax_loss_layer.cpp
    (weiliu89/caffe, branch fcn).
    """

    def __init__(self, reduction: Literal["sum", "mean"] = "sum", void: int = IGNORE_INDEX) -> None:
        super().__init__()
        self.reduction = reduction
        self.void = void

    def forward(self, logits: Float[Tensor, "n c h w"], label: Integer[Tensor, "n h w"]) -> Tensor:
        """Return the loss of a batch."""
        # Half precision cannot hold the sum over an image (200,000 pixels times ln 21).
        logits = logits.float() if logits.itemsize < 4 else logits
        label = label.long()  # labels travel as uint8
        total = F.cross_entropy(logits, label, ignore_index=self.void, reduction="sum")
        if self.reduction == "sum":
            return total / len(label)
        return total / (label != self.void).sum().clamp(min=1)
