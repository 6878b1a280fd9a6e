from copy import deepcopy

import pytest
import torch

from parsenet.models.build import TRUNKS
from parsenet.models.squeezenet import SqueezeNet


@pytest.fixture(scope="session")
def make_trunk():
    """Return a function that gives a trunk by name with fixed random weights, its own each time.

    Drawing fc6's hundred million numbers takes a second, copying them a tenth.
    """
    table, drawn = dict(TRUNKS), {}  # a test may patch the table to call `make`

    def make(name):
        if name not in drawn:
            torch.manual_seed(0)
            drawn[name] = table[name](0.5)
        return deepcopy(drawn[name])

    return make


@pytest.fixture(autouse=True)
def torch_home(tmp_path, monkeypatch):
    """An empty cache of torch's hub, whatever this machine has."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch"


@pytest.fixture
def trunk():
    """A light trunk with random weights."""
    torch.manual_seed(0)
    return SqueezeNet(0.5)
