"""What a run leaves behind, and that scoring, running or resuming it again gives the same."""

import json
import re
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import yaml
from PIL import Image

import parsenet
from parsenet.cli import main
from parsenet.engine import record
from parsenet.engine import run as engine_run
from parsenet.errors import ConfigError
from parsenet.inference.predictor import Predictor
from parsenet.taxonomy import VOC2012
from tests.fakes.voc import write_png


@pytest.fixture(scope="module")
def made_toy(shared_toy):
    shared_toy("fit")
    return shared_toy


def read_metrics(run_dir):
    return json.loads((run_dir / "metrics.json").read_text())


def test_run_folder_holds_everything(made):
    names = {path.relative_to(made / "run").as_posix() for path in (made / "run").rglob("*")}

    assert names >= {
        "config.yaml", "record.json", "metrics.csv", "metrics.json", "per_class.csv",
        "checkpoints/last.ckpt", "model.safetensors", "report.html", "report.md",
        "csv/version_0/metrics.csv",
    }  # fmt: skip
    assert len(list((made / "run" / "checkpoints").glob("best-step=*-mIoU=0.*.ckpt"))) == 1
    assert any(name.startswith("tensorboard/events") for name in names)
    assert {name for name in names if name.startswith("samples/")} == {
        f"samples/2009_{number:06d}.png" for number in range(4)
    }
    assert not any(name.endswith(".part") for name in names)


def test_record_says_what_ran(made):
    record = json.loads((made / "run" / "record.json").read_text())

    config, run = made / "voc.yaml", made / "run"
    assert record["command"] == f"parsenet fit --config {config} --run_dir {run}"
    assert record["seed"] == 0
    assert record["num_processes"] == 1
    assert record["finished"] >= record["started"]
    assert record["versions"]["parsenet"] == parsenet.__version__
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", record["git_commit"] or "0" * 40)


def test_resolved_config_makes_the_same_run_again(made):
    words = ["--config", made / "run" / "config.yaml", "--run_dir", made / "again"]

    assert main(["fit", *map(str, words)]) == 0

    assert read_metrics(made / "again") == read_metrics(made / "run")


@pytest.mark.parametrize("kind", ["best", "safetensors"])
@pytest.mark.parametrize("command", ["validate", "test"])
def test_scoring_again_gives_the_same_numbers(made, command, kind):
    best = next((made / "run" / "checkpoints").glob("best-*.ckpt"))
    checkpoint = best if kind == "best" else made / "run" / "model.safetensors"
    out = made / f"{command}_{kind}"
    # The network comes from the checkpoint: what the command line says of it does not count.
    words = ["--config", made / "voc.yaml", "--ckpt_path", checkpoint, "--run_dir", out]
    words += ["--model.network.head", "early"]

    assert main([command, *map(str, words)]) == 0

    scored, expected = read_metrics(out), read_metrics(made / "run")
    assert scored.pop("checkpoint") == checkpoint.name
    for metrics in (scored, expected):  # they also name the file and its hash
        for name in ("checkpoint", "card", "protocol"):
            metrics.pop(name, None)
    assert scored == expected
    assert (out / "report.html").is_file()
    assert (out / "record.json").is_file()


def test_samples_show_what_the_network_predicts(made, monkeypatch):
    shown = {}

    def keep(image, truth, prediction, taxonomy):
        shown[truth.tobytes()] = (image, prediction)
        return Image.new("RGB", (8, 8))

    monkeypatch.setattr(record, "draw_sample", keep)
    words = ["--config", made / "voc.yaml", "--run_dir", made / "drawn"]
    assert main(["fit", *map(str, words), "--trainer.precision", "32-true"]) == 0

    predictor = Predictor.load(made / "drawn" / "model.safetensors", "cpu")
    predictor.precision = "32-true"
    assert len(shown) == 4
    for image, prediction in shown.values():
        # Dropout would change about every second feature.
        assert (predictor(image) == prediction).mean() > 0.98


class Interrupt(pl.Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == 3:
            raise KeyboardInterrupt


def test_ctrl_c_leaves_a_whole_checkpoint_that_can_be_resumed(made, monkeypatch, capsys):
    words = ["--config", made / "voc.yaml", "--run_dir", made / "stopped", "--checkpoint_every", 1]
    words = ["fit", *map(str, words)]
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(engine_run, "Guards", Interrupt)
        assert main(words) == 130
    signal.signal(signal.SIGINT, handler)

    error = capsys.readouterr().err.splitlines()[-1]
    assert error == "error: interrupted. Files that were written are complete."
    state = torch.load(made / "stopped" / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["global_step"] == 3
    assert main([*words, "--resume", "true"]) == 0
    assert read_metrics(made / "stopped") == read_metrics(made / "run")


def test_resuming_beyond_the_end_is_refused_with_a_sentence(toy):
    toy("fit")

    with pytest.raises(
        ConfigError, match=r"current_epoch=2, but you have set Trainer\(max_epochs=1"
    ):
        toy("fit", "--resume", "true", "--trainer.max_epochs", "1")


def test_run_without_validation_says_so_and_scores_what_it_publishes(toy, caplog):
    toy("fit", "--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "2")

    assert "No validation ran while training. Lower" in caplog.text
    assert "The last weights are kept and scored." in caplog.text
    assert read_metrics(toy.root / "run")["checkpoint"] == "model.safetensors"


def test_validation_that_is_void_everywhere_says_so_and_keeps_the_last(toy, caplog):
    for path in (toy.root / "data/VOC2012/SegmentationClass").glob("2009_*"):
        with Image.open(path) as label:
            void = np.full(label.size[::-1], 255, np.uint8)
        write_png(path, void, VOC2012)

    toy("fit")

    assert "The validation images show no pixel of a class, all is void" in caplog.text
    assert read_metrics(toy.root / "run")["checkpoint"] == "model.safetensors"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--seed_everything -1", "`seed_everything` must be in 0..4294967295, got -1."),
        ("--checkpoint_every 0", "`checkpoint_every` must be at least 1, got 0."),
        (
            "--trainer.accumulate_grad_batches 0",
            "`trainer.accumulate_grad_batches` must be at least 1, got 0.",
        ),
        (
            "--trainer.devices x",
            "`trainer` must hold options that fit, got: `devices` selected with `CPUAccelerator` "
            "should be an int > 0.",
        ),
        ("--model.optim.weight_decay .nan", "`weight_decay` must be "),
    ],
)
def test_impossible_numbers_are_one_sentence(toy, words, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        toy("fit", *words.split())


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--seed_everything 1", "`seed_everything` must be 0"),
        ("--data.batch_size 2", "`data.batch_size` must be 1"),
        ("--data.crop [8,8]", "`data.crop` must be [8, 10]"),
        ("--model.optim.lr 0.02", "`model.optim.lr` must be 0.01"),
    ],
)
def test_resuming_with_other_options_names_them(made_toy, words, named):
    last = made_toy.root / "run" / "checkpoints" / "last.ckpt"

    with pytest.raises(ConfigError, match=f"^{re.escape(named)} to go on from '{last}', got "):
        made_toy("fit", "--resume", "true", *words.split())


def test_renamed_run_resumes_with_its_best_checkpoint(toy):
    toy("fit", "--trainer.max_epochs", "1", name="before")
    (toy.root / "before").rename(toy.root / "after")
    shutil.copytree(toy.root / "after", toy.root / "before")  # a trap: the old name is there too
    for path in (toy.root / "before" / "checkpoints").glob("best-*"):
        path.write_bytes(b"")

    done = toy("fit", "--resume", "true", name="after")

    best = done.trainer.checkpoint_callbacks[0]
    best_dir = toy.root / "after" / "checkpoints"
    assert Path(best.best_model_path).parent == best_dir
    assert {Path(path).parent for path in best.best_k_models} == {best_dir}


RUNS_A_COMMAND = {
    "class_path": "pytorch_lightning.strategies.DDPStrategy",
    "init_args": {"ddp_comm_state": {"class_path": "subprocess.Popen", "init_args": {"args": "x"}}},
}


@pytest.mark.parametrize(
    ("trainer", "named", "package"),
    [
        ({"strategy": RUNS_A_COMMAND}, "subprocess.Popen", "subprocess"),
        ({"callbacks": [{"class_path": "antigravity.Foo"}]}, "antigravity.Foo", "antigravity"),
    ],
)
def test_config_of_a_stranger_runs_nothing(toy, trainer, named, package):
    (toy.root / "evil.yaml").write_text(yaml.safe_dump({"trainer": trainer}))

    message = (
        "A config must name classes of Lightning, torch.optim or this package, got "
        f"'{named}'. If you trust it, add `--allow_classes {package}`."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        toy("fit", "--config", str(toy.root / "evil.yaml"))

    assert package not in sys.modules or package == "subprocess"


def test_classes_that_the_user_allows_can_be_named(toy):
    toy("fit", "--allow-classes", "tests", "--trainer.callbacks+=tests.fakes.callback.Count")

    assert toy.root.joinpath("run", "model.safetensors").is_file()
