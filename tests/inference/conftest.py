import itertools
import re

import numpy as np
import pytest
import torch
from PIL import Image

from parsenet.config import NetworkConfig
from parsenet.errors import ConfigError
from parsenet.inference.inputs import find_inputs
from parsenet.inference.job import Job, RunConfig
from parsenet.inference.predictor import Predictor
from parsenet.inference.run import predict_all
from parsenet.models.build import build_model
from parsenet.taxonomy import SHAPES
from tests.fakes.segmenter import red_predictor

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


@pytest.fixture
def run(tmp_path):
    """Return a function that predicts inputs, by default `tmp_path`/in, into `tmp_path`/out."""

    def predict(*words, settings=(), **options):
        found = find_inputs(words or [tmp_path / "in"], recursive=True).found
        config = RunConfig(**options)
        job = Job(tuple(found), tmp_path / "out", config, dict(settings), progress=False)
        return predict_all(red_predictor(), job)

    return predict


@pytest.fixture
def interrupt_third(monkeypatch):
    """Make the third image or frame of a run stop it, as Ctrl-C does."""
    call, count = Predictor.predict, itertools.count()

    def predict(self, *arguments, **options):
        if next(count) == 2:
            raise KeyboardInterrupt
        return call(self, *arguments, **options)

    monkeypatch.setattr(Predictor, "predict", predict)


def listed(folder):
    names = (x.relative_to(folder).as_posix() for x in folder.rglob("*") if x.is_file())
    return sorted(name for name in names if name != "predictions.json")


def refused(message):
    return pytest.raises(ConfigError, match=f"^{re.escape(message)}$")
