"""The real images, where there are any."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def real_data():
    if "PARSENET_DATA" not in os.environ:
        pytest.skip("PARSENET_DATA is not set")
    return Path(os.environ["PARSENET_DATA"])
