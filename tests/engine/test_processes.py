"""Two processes do what one does; each test starts the command the way a user would."""

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from parsenet.config import NetworkConfig
from parsenet.metrics.counting import ImageCounts
from parsenet.models.build import build_model
from parsenet.models.checkpoint import save_network
from parsenet.taxonomy import VOC2012
from tests.engine.conftest import OPTIONS
from tests.fakes.voc import write_voc

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]


def start(root, command, *words):
    config = root / "config.yaml"
    config.write_text(yaml.safe_dump(OPTIONS))
    with socket.socket() as probe:  # two runs of the tests must not meet at one port
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--config", config, "--data.root", root / "data", *words]
    return subprocess.run(
        [sys.executable, "-m", "parsenet", command, *map(str, options)],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1", "MASTER_PORT": str(port)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )


TWO = ["--trainer.strategy", "ddp", "--trainer.devices", "2"]


def metrics_of(run_dir):
    return json.loads((run_dir / "metrics.json").read_text())


def test_two_and_three_processes_score_five_images_as_one_does(tmp_path):
    write_voc(tmp_path / "data", num_images=5, size=(40, 52))
    config = NetworkConfig(trunk="squeezenet")
    torch.manual_seed(0)
    network = build_model(config, 21)
    # Scores of a network at random favour one class; noise makes it err in many ways.
    torch.nn.init.normal_(network.upsample.deconv.weight, std=1.0)
    save_network(tmp_path / "net.safetensors", network, config, VOC2012)
    runs = []
    for number in (1, 2, 3):
        runs.append(tmp_path / str(number))
        words = ["--ckpt_path", tmp_path / "net.safetensors", "--run_dir", runs[-1]]
        words += ["--trainer.strategy", "ddp"] if number > 1 else []
        done = start(tmp_path, "validate", *words, "--trainer.devices", number)
        assert done.returncode == 0, done.stderr

    metrics = [(run_dir / "metrics.json").read_bytes() for run_dir in runs]
    counts = [ImageCounts.load(run_dir / "counts.npz") for run_dir in runs]
    assert metrics[0] == metrics[1] == metrics[2]
    for other in counts[1:]:
        assert other.ids == counts[0].ids
        assert (other.entries == counts[0].entries).all()
    assert len(counts[0]) == 5
    assert np.count_nonzero(counts[0].total()) > 10
    records = [json.loads((run_dir / "record.json").read_text()) for run_dir in runs]
    assert [record["num_processes"] for record in records] == [1, 2, 3]


def test_two_processes_leave_one_run_and_resume_like_the_straight_one(tmp_path):
    write_voc(tmp_path / "data", num_images=4, size=(16, 18))
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    words = [*TWO, "--checkpoint_every", 3]

    first = start(tmp_path, "fit", "--run_dir", straight, *words)
    death = ["--trainer.callbacks", "tests.engine.test_resume.BreakOff"]
    death += ["--trainer.callbacks.batch", 5, "--allow_classes", "tests"]
    cut = start(tmp_path, "fit", "--run_dir", broken, *words, *death)
    assert (first.returncode, cut.returncode) == (0, 1), first.stderr + cut.stderr
    with (straight / "metrics.csv").open() as file:
        # Eight images, one per process: four steps an epoch.
        assert [row["step"] for row in csv.DictReader(file)] == ["4", "8"]
    assert "sync_dist" not in first.stderr
    assert first.stderr.count("step 8 of 8") == 1
    last = broken / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == 3
    again = start(tmp_path, "fit", "--run_dir", broken, *words, "--resume", "true")

    assert again.returncode == 0, again.stderr
    assert metrics_of(broken)["confusion"] == metrics_of(straight)["confusion"]
    states = [
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in (straight, broken)
    ]
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value)
