"""Two processes do what one does; each test starts the command the way a user would."""

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from parsenet.config import NetworkConfig
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


def test_two_processes_count_what_one_counts(tmp_path):
    write_voc(tmp_path / "data", num_images=5, size=(16, 18))
    config = NetworkConfig(trunk="tiny", features=("pool6", "fc7", "conv3"))
    torch.manual_seed(0)
    save_network(tmp_path / "net.safetensors", build_model(config, 21), config, VOC2012)
    words = ["--ckpt_path", tmp_path / "net.safetensors", "--run_dir"]

    one = start(tmp_path, "validate", *words, tmp_path / "one")
    two = start(tmp_path, "validate", *words, tmp_path / "two", *TWO)

    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stderr
    assert metrics_of(tmp_path / "two") == metrics_of(tmp_path / "one")
    assert metrics_of(tmp_path / "two")["num_images"] == 5
    record = json.loads((tmp_path / "two" / "record.json").read_text())
    assert record["num_processes"] == 2


def test_two_processes_train_and_leave_one_run(tmp_path):
    write_voc(tmp_path / "data", num_images=4, size=(16, 18))
    words = ["--run_dir", tmp_path / "run", *TWO, "--checkpoint_every", 2]

    done = start(tmp_path, "fit", *words)

    assert done.returncode == 0, done.stderr
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    # Eight images, one per process: four steps an epoch.
    assert [row["step"] for row in rows] == ["4", "8"]
    assert metrics_of(tmp_path / "run")["num_images"] == 4
    assert "sync_dist" not in done.stderr
    assert done.stderr.count("step 8 of 8") == 1


def test_two_processes_resume_like_the_straight_run(tmp_path):
    write_voc(tmp_path / "data", num_images=4, size=(16, 18))
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    words = [*TWO, "--checkpoint_every", 3]

    first = start(tmp_path, "fit", "--run_dir", straight, *words)
    death = ["--trainer.callbacks", "tests.engine.test_resume.BreakOff"]
    death += ["--trainer.callbacks.batch", 5, "--allow_classes", "tests"]
    cut = start(tmp_path, "fit", "--run_dir", broken, *words, *death)
    assert (first.returncode, cut.returncode) == (0, 1), first.stderr + cut.stderr
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
