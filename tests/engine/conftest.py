import csv
import logging
import signal
import warnings
from dataclasses import dataclass

import pytest
import torch
import yaml

from parsenet.engine.run import QUIET, run
from tests.fakes.voc import write_voc

OPTIONS = {
    "model": {
        "network": {"trunk": "tiny", "features": ["pool6", "fc7", "conv3"]},
        "optim": {"lr": 0.01, "loss": "mean"},
    },
    "data": {
        "dataset": "voc2012",
        "batch_size": 1,
        "num_workers": 0,
        "crop": [8, 10],
        "scale": [0.8, 1.25],
    },
    "trainer": {
        "accelerator": "cpu",
        "precision": "32-true",
        "enable_progress_bar": False,
        "logger": False,
        "max_epochs": 2,
    },
}
"""A run on four images of the fake VOC folder."""


@dataclass
class Toy:
    """Runs the command line in this process, on a fake VOC folder."""

    root: object
    config: object

    def __call__(self, command, *words, name="run"):
        options = ["--config", str(self.config), "--data.root", str(self.root / "data")]
        return run([command, *options, "--run_dir", str(self.root / name), *words])

    def rows(self, name="run"):
        """Rows of metrics.csv but for the seconds, which no two runs share."""
        with (self.root / name / "metrics.csv").open() as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            del row["seconds"]
        return rows

    def checkpoint(self, name="run"):
        return torch.load(self.root / name / "checkpoints" / "last.ckpt", weights_only=True)


def make_toy(root):
    write_voc(root / "data", num_images=2, size=(16, 18))
    config = root / "toy.yaml"
    config.write_text(yaml.safe_dump(OPTIONS))
    return Toy(root, config)


@pytest.fixture
def toy(tmp_path):
    return make_toy(tmp_path)


@pytest.fixture(scope="module")
def shared_toy(tmp_path_factory):
    """One folder for all tests of a file: for runs that several of them look at."""
    return make_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(autouse=True)
def keep_process_as_it_was():
    """Lightning ignores Ctrl-C after one, and our command line sets levels of its loggers."""
    handler, level = signal.getsignal(signal.SIGINT), logging.getLogger().level
    yield
    signal.signal(signal.SIGINT, handler)
    logging.getLogger().setLevel(level)


@pytest.fixture(autouse=True)
def quiet():
    """Silence what the command line silences, for tests that make their own Trainer."""
    with warnings.catch_warnings():
        for message in QUIET:
            warnings.filterwarnings("ignore", message)
        yield
