import numpy as np
import pytest
import torch
from PIL import Image

from parsenet.config import NetworkConfig
from parsenet.inference.predictor import Predictor
from parsenet.models.build import build_model
from parsenet.taxonomy import SHAPES

NETWORK = NetworkConfig(trunk="squeezenet", features=("pool6", "fc7", "conv3"), norm_scale=30.0)


@pytest.fixture(scope="session")
def predictor():
    """A small network with random weights whose labels show more than one class."""
    torch.manual_seed(0)
    return Predictor(build_model(NETWORK, SHAPES.num_classes), SHAPES, "cpu")


@pytest.fixture
def write_image(tmp_path):
    """Return a function that writes a random image below `tmp_path` and returns its path."""

    def write(name, size=(21, 34), seed=0):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return write
