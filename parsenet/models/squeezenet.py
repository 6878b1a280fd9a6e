"""SqueezeNet v1.0 as a trunk: the light one, which trains on a CPU."""

import re
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from parsenet.models.trunk import FeatureMap, TorchvisionWeights, Trunk

_FIRES = {index: f"fire{i}" for i, index in enumerate((3, 4, 5, 7, 8, 9, 10, 12), start=2)}
_CAFFE = {"conv1x1_1": "squeeze", "conv1x1_2": "expand1x1", "conv3x3_2": "expand3x3"} | {
    "squeeze1x1": "squeeze", "expand1x1": "expand1x1", "expand3x3": "expand3x3"
}  # fmt: skip


class Fire(nn.Module):
    """Squeeze to few channels, expand by a 1x1 and a 3x3 convolution side by side, to 2 * expand.

    Source: SqueezeNet, arXiv:1602.07360, section 3.2.
    """

    def __init__(self, channels_in: int, squeeze: int, expand: int, dilation: int = 1) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels_in, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=dilation, dilation=dilation)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h w"]:
        """Apply the module."""
        x = F.relu(self.squeeze(x), inplace=True)
        return F.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1), inplace=True)


class SqueezeNet(Trunk):
    """SqueezeNet v1.0 up to fire9, with its third pool at stride 1 and new fc6 and fc7 behind it.

    conv3 = fire3 (stride 4), conv4 = fire5, conv5 = fire9 (stride 8; dilation 2 for the lost pool),
    fc6 = a new 1x1 convolution to few channels, fc7 = a new dilated 3x3 convolution with dropout:
    they give context and have no ImageNet weights. Without the narrow fc6, fc7 alone would cost
    half of the network's multiplications. Padding differs from torchvision's so that every size
    from 1x1 up works and cells sit where `FeatureMap` says: exactly but for half a pixel at stride
    8 and 1.5 at stride 4.

    Args:
        dropout: dropout after fc7.

    Source: SqueezeNet, arXiv:1602.07360, table 1; the dilation is DeepLab's (arXiv:1606.00915).
    """

    sources: ClassVar = {
        "imagenet1k_v1": TorchvisionWeights("SqueezeNet1_0_Weights.IMAGENET1K_V1", "torchvision")
    }
    new_layers: ClassVar = ("fc6", "fc7")
    bytes_per_pixel: ClassVar = 280
    between: ClassVar = {
        "conv3": (("fire3.expand1x1", "fire3.expand3x3"), ("fire4.squeeze",)),
        "conv4": (("fire5.expand1x1", "fire5.expand3x3"), ("fire6.squeeze",)),
        "conv5": (("fire9.expand1x1", "fire9.expand3x3"), ("fc6",)),
    }

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 7, stride=2, padding=3)
        self.pool1 = nn.MaxPool2d(3, 2, padding=1)
        self.fire2 = Fire(96, 16, 64)
        self.fire3 = Fire(128, 16, 64)
        self.fire4 = Fire(128, 32, 128)
        self.pool4 = nn.MaxPool2d(3, 2)
        self.fire5 = Fire(256, 32, 128)
        self.fire6 = Fire(256, 48, 192)
        self.fire7 = Fire(384, 48, 192)
        self.fire8 = Fire(384, 64, 256)
        self.pool8 = nn.MaxPool2d(3, 1, padding=1)
        self.fire9 = Fire(512, 64, 256, dilation=2)
        self.fc6 = nn.Conv2d(512, 128, 1)
        self.fc7 = nn.Conv2d(128, 256, 3, padding=6, dilation=6)
        for layer in (self.fc6, self.fc7):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        self.dropout = nn.Dropout(dropout)
        self.feature_maps = {
            "conv3": FeatureMap(128, 4), "conv4": FeatureMap(256, 8), "conv5": FeatureMap(512, 8),
            "fc7": FeatureMap(256, 8),
        }  # fmt: skip

    def forward(self, image: Float[Tensor, "n 3 H W"]) -> dict[str, Float[Tensor, "n _ _ _"]]:
        """Compute all feature maps after their ReLU, fc7 after its dropout."""
        x = self.pool1(F.relu(self.conv1(image), inplace=True))  # (N, 96, H/4, W/4)
        conv3 = self.fire3(self.fire2(x))  # (N, 128, H/4, W/4)
        # Two more zeros at the far edges: windows start at every even cell, odd sizes lose nothing.
        x = self.pool4(F.pad(self.fire4(conv3), (0, 2, 0, 2)))  # (N, 256, H/8, W/8)
        conv4 = self.fire5(x)
        x = self.fire8(self.fire7(self.fire6(conv4)))  # (N, 512, H/8, W/8)
        conv5 = self.fire9(self.pool8(x))
        fc6 = F.relu(self.fc6(conv5), inplace=True)
        fc7 = self.dropout(F.relu(self.fc7(fc6), inplace=True))
        return {"conv3": conv3, "conv4": conv4, "conv5": conv5, "fc7": fc7}

    def translate(self, name: str, value: Tensor) -> tuple[str, Tensor] | None:
        """Accept torchvision's `features.3.squeeze`, Caffe's `fire2/squeeze1x1` and another's."""
        layer, _, kind = name.rpartition(".")
        if layer in ("conv1", "features.0"):
            return f"conv1.{kind}", value
        if match := re.fullmatch(r"features\.(\d+)\.(\w+)", layer):
            fire, part = _FIRES.get(int(match[1])), match[2]
        elif match := re.fullmatch(r"(fire\d)(?:__|/)(\w+)", layer):
            fire, part = match[1], _CAFFE.get(match[2], "")
        else:
            return None
        return f"{fire}.{part}.{kind}", value
