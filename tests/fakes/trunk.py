"""A trunk so small that a training run takes a second."""

from typing import ClassVar

import torch.nn.functional as F
from torch import nn

from parsenet.models.trunk import Tap, Trunk


class ToyTrunk(Trunk):
    """Four convolutions to stride 8, and an fc7 that sees the scene."""

    fresh: ClassVar = ("fc7",)

    def __init__(self, dropout):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 5, stride=2, padding=2)
        self.conv3 = nn.Conv2d(16, 24, 3, stride=2, padding=1)
        self.conv4 = nn.Conv2d(24, 32, 3, stride=2, padding=1)
        self.conv5 = nn.Conv2d(32, 32, 3, padding=1)
        self.fc7 = nn.Conv2d(32, 48, 3, padding=2, dilation=2)
        self.dropout = nn.Dropout(dropout)
        self.taps = {
            "conv3": Tap(24, 4), "conv4": Tap(32, 8), "conv5": Tap(32, 8), "fc7": Tap(48, 8),
        }  # fmt: skip

    def forward(self, image):
        conv3 = F.relu(self.conv3(F.relu(self.conv1(image))))
        conv4 = F.relu(self.conv4(conv3))
        conv5 = F.relu(self.conv5(conv4))
        fc7 = self.dropout(F.relu(self.fc7(conv5)))
        return {"conv3": conv3, "conv4": conv4, "conv5": conv5, "fc7": fc7}

    def translate(self, name, value):
        return None
