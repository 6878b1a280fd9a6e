import csv
import logging
import signal
from dataclasses import dataclass

import pytest
import torch
import yaml

from parsenet.engine.run import run
from parsenet.models.build import TRUNKS
from tests.fakes.trunk import ToyTrunk
from tests.fakes.voc import write_voc

OPTIONS = {
    "model": {
        "network": {"trunk": "squeezenet", "features": ["pool6", "fc7", "conv3"]},
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
"""A run on four pictures of the fake VOC folder; the toy trunk bears the name of the light one."""


@dataclass
class Toy:
    """Runs the command line in this process, on a fake VOC folder, with the toy trunk."""

    root: object
    config: object

    def __call__(self, command, *words, name="run"):
        options = ["--config", str(self.config), "--data.root", str(self.root / "data")]
        return run([command, *options, "--run_dir", str(self.root / name), *words])

    def rows(self, name="run"):
        """Rows of metrics.csv but for the seconds, which no two runs share."""
        with (self.root / name / "metrics.csv").open() as file:
            return [
                {k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)
            ]

    def checkpoint(self, name="run"):
        return torch.load(self.root / name / "checkpoints" / "last.ckpt", weights_only=True)


def make_toy(root):
    write_voc(root / "data", num_images=2, size=(16, 18))
    config = root / "toy.yaml"
    config.write_text(yaml.safe_dump(OPTIONS))
    return Toy(root, config)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setitem(TRUNKS, "squeezenet", ToyTrunk)
    return make_toy(tmp_path)


@pytest.fixture(autouse=True)
def keep_process_as_it_was():
    """Lightning ignores Ctrl-C after one, and our command line sets levels of its loggers."""
    handler, level = signal.getsignal(signal.SIGINT), logging.getLogger().level
    yield
    signal.signal(signal.SIGINT, handler)
    logging.getLogger().setLevel(level)
