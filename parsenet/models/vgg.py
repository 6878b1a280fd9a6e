"""VGG-16 as a fully convolutional trunk, in the paper's two shapes."""

import math
import re
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from parsenet.models.trunk import FeatureMap, TorchvisionWeights, Trunk

_TORCHVISION = {"0": "1_1", "2": "1_2", "5": "2_1", "7": "2_2", "10": "3_1", "12": "3_2"} | {
    "14": "3_3", "17": "4_1", "19": "4_2", "21": "4_3", "24": "5_1", "26": "5_2", "28": "5_3"
}  # fmt: skip


class VGG16(Trunk):
    """VGG-16 with fc6 and fc7 as convolutions.

    `largefov` is the released VOC 2012 trunk: pool4 and pool5 keep the resolution (3x3, stride 1),
    conv5 has dilation 2, fc6 is 3x3 with dilation 12, and fc7 ends at stride 8. `fcn` is the trunk
    of FCN-32s: five stride-2 pools, fc7 at stride 32, fc6 either 7x7 with 4096 channels or,
    reduced, 3x3 with dilation 3 and 1024 channels. Pools round up (Caffe), nothing is padded by
    100: an image of H rows gives ceil(H/stride) rows, at any H from 1 up.

    Args:
        shape: `largefov` or `fcn`.
        fc_channels: channels of fc6 and fc7; 1024 (3x3 fc6) or, for `fcn`, 4096 (7x7 fc6).
        dropout: dropout after fc6 and fc7.

    Source: the authors' VOC2012 prototxt (gist weiliu89/45e9e8de2c13af6476ca) and
    VGG_ILSVRC_16_layers_fc_reduced deploy (gist weiliu89/2ed6e13bfd5b57cf81d6); FCN-32s of
    shelhamer/fcn.berkeleyvision.org, without its 100-pixel pad.
    """

    sources: ClassVar = {
        "imagenet1k_v1": TorchvisionWeights("VGG16_Weights.IMAGENET1K_V1", "torchvision"),
        "imagenet1k_features": TorchvisionWeights(
            "VGG16_Weights.IMAGENET1K_FEATURES", "torchvision_features"
        ),
    }
    bytes_per_pixel: ClassVar = 600
    between: ClassVar = {
        "conv3": (("conv3.4",), ("conv4.0",)),
        "conv4": (("conv4.4",), ("conv5.0",)),
        "conv5": (("conv5.4",), ("fc6",)),
    }

    def __init__(self, shape: str, fc_channels: int, dropout: float) -> None:
        super().__init__()
        large = shape == "largefov"
        last = 8 if large else 16  # stride of pool4 and conv5
        self.conv1 = _block(3, 64, 2)
        self.conv2 = _block(64, 128, 2)
        self.conv3 = _block(128, 256, 3)
        self.conv4 = _block(256, 512, 3)
        self.conv5 = _block(512, 512, 3, dilation=2 if large else 1)
        self.pool = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.late_pool = nn.MaxPool2d(3, 1, 1) if large else self.pool
        if fc_channels == 4096:
            self.fc6 = nn.Conv2d(512, 4096, 7, padding=3)
        else:
            dilation = 12 if large else 3
            self.fc6 = nn.Conv2d(512, 1024, 3, padding=dilation, dilation=dilation)
        self.fc7 = nn.Conv2d(fc_channels, fc_channels, 1)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.feature_maps = {
            "conv3": FeatureMap(256, 4), "pool3": FeatureMap(256, 8), "conv4": FeatureMap(512, 8),
            "pool4": FeatureMap(512, last), "conv5": FeatureMap(512, last),
            "fc7": FeatureMap(fc_channels, 8 if large else 32),
        }  # fmt: skip

    def forward(self, image: Float[Tensor, "n 3 H W"]) -> dict[str, Float[Tensor, "n _ _ _"]]:
        """Compute all feature maps; convolutional ones after their ReLU, fc7 after its dropout."""
        x = self.pool(self.conv1(image))  # (N, 64, H/2, W/2)
        x = self.pool(self.conv2(x))  # (N, 128, H/4, W/4)
        conv3 = self.conv3(x)  # (N, 256, H/4, W/4)
        pool3 = self.pool(conv3)
        conv4 = self.conv4(pool3)  # (N, 512, H/8, W/8)
        pool4 = self.late_pool(conv4)  # largefov stays at stride 8 from here on
        conv5 = self.conv5(pool4)
        fc6 = self.dropout(self.relu(self.fc6(self.late_pool(conv5))))
        fc7 = self.dropout(self.relu(self.fc7(fc6)))
        return {
            "conv3": conv3, "pool3": pool3, "conv4": conv4, "pool4": pool4, "conv5": conv5,
            "fc7": fc7,
        }  # fmt: skip

    def translate(self, name: str, value: Tensor) -> tuple[str, Tensor] | None:
        """Accept torchvision's `features.N` and `classifier.N`, and Caffe's `conv1_1` and `fc6`."""
        layer, _, kind = name.rpartition(".")
        layer = {"classifier.0": "fc6", "classifier.3": "fc7"}.get(layer, layer)
        if layer.startswith("features."):
            layer = f"conv{_TORCHVISION.get(layer.removeprefix('features.'), '')}"
        if layer in ("fc6", "fc7"):
            return f"{layer}.{kind}", self._shape_fc(layer, kind, value)
        match = re.fullmatch(r"conv(\d)_(\d)", layer)
        if match is None:
            return None
        # Sequential(conv, relu, conv, relu, ...): the i-th convolution sits at 2 * (i - 1).
        return f"conv{match[1]}.{2 * int(match[2]) - 2}.{kind}", value

    def _shape_fc(self, layer: str, kind: str, value: Tensor) -> Tensor:
        """Make a fully connected layer a convolution; decimate 4096 to 1024 where this trunk is.

        Every 4th output channel, every 4th input of fc7, and every 3rd row and column of fc6's 7x7
        kernel, all from 0; kept weights are not rescaled. Source: net_surgery.py of weiliu89/caffe,
        branch fcn.
        """
        full = (4096, 512, 7, 7) if layer == "fc6" else (4096, 4096, 1, 1)
        if kind == "weight" and value.shape == (4096, math.prod(full[1:])):
            value = value.reshape(full)
        if self.fc6.out_channels == 1024 and value.shape in (full, full[:1]):
            value = value[::4]
            if kind == "weight":
                value = value[:, :, ::3, ::3] if layer == "fc6" else value[:, ::4]
        return value  # any other shape is the trunk's own, or refused by `fill`


def _block(channels_in: int, channels: int, depth: int, dilation: int = 1) -> nn.Sequential:
    """Stack 3x3 convolutions, each with a ReLU."""
    layers: list[nn.Module] = []
    for i in range(depth):
        source = channels if i else channels_in
        layers.append(nn.Conv2d(source, channels, 3, padding=dilation, dilation=dilation))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
