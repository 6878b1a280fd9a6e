"""A trunk of six small convolutions, for synthetic shapes, tests and lessons."""

from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from parsenet.models.trunk import FeatureMap, Trunk


class Tiny(Trunk):
    """Six convolutions that learn the synthetic shapes in a minute, on any machine.

    A cell of fc7 sees 62 pixels, 31 to each side, and enlarging its scores adds less than 8. The
    cue that decides the class of a synthetic shape is 40 pixels away: without global context this
    trunk has to guess.

    Args:
        dropout: dropout after fc7.
    """

    bytes_per_pixel: ClassVar = 140
    between: ClassVar = {
        "conv3": (("conv3",), ("conv4",)),
        "conv4": (("conv4",), ("conv5",)),
        "conv5": (("conv5",), ("fc7",)),
    }

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 4, stride=2)
        self.conv2 = nn.Conv2d(16, 32, 4, stride=2)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.conv4 = nn.Conv2d(32, 48, 4, stride=2)
        self.conv5 = nn.Conv2d(48, 48, 3, padding=1)
        self.fc7 = nn.Conv2d(48, 64, 3, padding=1)
        for layer in self.children():
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.dropout = nn.Dropout(dropout)
        self.feature_maps = {
            "conv3": FeatureMap(32, 4), "conv4": FeatureMap(48, 8), "conv5": FeatureMap(48, 8),
            "fc7": FeatureMap(64, 8),
        }  # fmt: skip

    def forward(self, image: Float[Tensor, "n 3 H W"]) -> dict[str, Float[Tensor, "n _ _ _"]]:
        """Compute all feature maps after their ReLU, fc7 after its dropout."""
        # Preprocessing leaves values up to 128: too large for a start with unit gain.
        x = F.relu(self.conv2(_frame(F.relu(self.conv1(_frame(image / 64))))))
        conv3 = F.relu(self.conv3(x))  # (N, 32, H/4, W/4)
        conv4 = F.relu(self.conv4(_frame(conv3)))  # (N, 48, H/8, W/8)
        conv5 = F.relu(self.conv5(conv4))
        fc7 = self.dropout(F.relu(self.fc7(conv5)))
        return {"conv3": conv3, "conv4": conv4, "conv5": conv5, "fc7": fc7}

    def translate(self, name: str, value: Tensor) -> tuple[str, Tensor] | None:
        """Know no foreign names."""
        return None


def _frame(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c H W"]:
    """Pad for a 4x4 kernel of stride 2: ceil(h / 2) rows, each centred on its two."""
    return F.pad(x, (1, 1 + x.shape[3] % 2, 1, 1 + x.shape[2] % 2))
