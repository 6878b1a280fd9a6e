"""Networks to draw figures of."""

import pytest
import torch

from parsenet.config import NetworkConfig
from parsenet.models.build import build_model


@pytest.fixture
def make_network():
    """Return a function that builds a tiny network with fixed random weights."""

    def make(**options):
        torch.manual_seed(0)
        return build_model(NetworkConfig(trunk="tiny", **options), 5).eval()

    return make
