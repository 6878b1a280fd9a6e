"""The command line from training to label files: what it leaves, what it says, its exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import parsenet
from parsenet.cli import main
from parsenet.metrics.confusion import ConfusionMatrix
from parsenet.taxonomy import taxonomy_from
from tests.conftest import OPTIONS
from tests.fakes.folder import write_folder
from tests.fakes.voc import write_palette_png


def refused(capsys, *words):
    """Run a command that must be refused; return its one line on standard error."""
    capsys.readouterr()

    assert main([str(word) for word in words]) == 2

    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")


def test_scores_of_the_predicted_files_are_those_of_the_run(made):
    images = made / "data" / "VOC2012" / "JPEGImages" / "2009_*.jpg"
    words = ["predict", made / "run" / "model.safetensors", images, "--out", made / "labels"]

    assert main([*map(str, words), "--device", "cpu"]) == 0

    matrix = ConfusionMatrix(21)
    for path in sorted((made / "labels").glob("*.png")):
        label = Image.open(path.parents[1] / "data/VOC2012/SegmentationClass" / path.name)
        with Image.open(path) as image:
            assert image.mode == "P"
            prediction = torch.from_numpy(np.array(image))
        matrix.update(prediction, torch.from_numpy(np.array(label)))
    expected = json.loads((made / "run" / "metrics.json").read_text())["confusion"]
    assert matrix.to_numpy().tolist() == expected


def test_run_folder_is_never_written_over(made, capsys):
    run = made / "run"

    message = refused(capsys, "fit", "--config", made / "voc.yaml", "--run_dir", run)

    assert message == (
        f"`run_dir` must be new, got '{run}' with a training run in it. Go on with it by "
        "`--resume true`, or name another with `--run_dir DIR`."
    )


def test_scoring_does_not_write_over_a_training_run(made, capsys):
    run = made / "run"
    words = ["--config", run / "config.yaml", "--ckpt_path", run / "model.safetensors"]

    message = refused(capsys, "validate", *words)

    assert message == (
        f"`run_dir` must be new, got '{run}' with a training run in it. Name another with "
        "`--run_dir DIR`."
    )


def test_resume_needs_a_run(made, capsys):
    words = ["--config", made / "voc.yaml", "--run_dir", made / "none", "--resume", "true"]

    message = refused(capsys, "fit", *words)

    last = made / "none" / "checkpoints" / "last.ckpt"
    assert message == f"`resume` needs '{last}', which is missing. Start without `--resume true`."


def test_resume_with_another_network_is_refused(made, capsys):
    words = ["--config", made / "voc.yaml", "--run_dir", made / "run", "--resume", "true"]

    message = refused(capsys, "fit", *words, "--model.network.head", "early")

    last = made / "run" / "checkpoints" / "last.ckpt"
    assert message == (
        f"`model.network.head` must be late to go on from '{last}', got early. Start a new run "
        "with another `--run_dir DIR`."
    )


@pytest.mark.parametrize("name", ["best", "safetensors"])
def test_training_cannot_go_on_from_weights_alone(made, capsys, name):
    best = next((made / "run" / "checkpoints").glob("best-*.ckpt"))
    path = best if name == "best" else made / "run" / "model.safetensors"
    words = ["--config", made / "voc.yaml", "--run_dir", made / "none", "--ckpt_path", path]

    message = refused(capsys, "fit", *words)

    assert message == (
        f"`ckpt_path` must be the `last.ckpt` of a run, got '{path}'. Its weights alone can start "
        f"a new run: `--model.network.weights {path}`."
    )


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_missing_checkpoint_is_named(made, capsys, tmp_path, command):
    words = ["--config", made / "voc.yaml", "--run_dir", made / "none"]
    words += ["--ckpt_path", tmp_path / "no.ckpt"]
    if command == "predict":
        words = [tmp_path / "no.ckpt", tmp_path, "--out", tmp_path / "out"]

    message = refused(capsys, command, *words)

    assert message == f"The weights file '{tmp_path / 'no.ckpt'}' must exist. Check its path."


def test_scoring_needs_a_checkpoint(made, capsys):
    message = refused(capsys, "test", "--config", made / "voc.yaml")

    assert message == (
        "`test` needs a checkpoint to score, got none. Add `--ckpt_path FILE` (`.ckpt` or "
        "`.safetensors`)."
    )


def test_data_of_other_classes_are_refused(made, capsys, tmp_path):
    words = ["--config", made / "voc.yaml", "--ckpt_path", made / "run" / "model.safetensors"]
    words += ["--data.dataset", "shapes", "--run_dir", tmp_path]

    message = refused(capsys, "validate", *words)

    assert message == (
        "The checkpoint's classes ('voc2012', 21) must be those of the data, got 'shapes' with 5. "
        "Choose the `data` that it was trained on."
    )


def test_missing_data_are_named(made, capsys, tmp_path):
    words = ["--config", made / "voc.yaml", "--data.root", tmp_path, "--run_dir", tmp_path / "run"]

    message = refused(capsys, "fit", *words)

    assert message.startswith(f"VOC 2012 was not found in '{tmp_path}': 'JPEGImages' is missing.")


def test_label_out_of_range_is_refused_before_training(capsys, tmp_path):
    labels = write_folder(tmp_path / "data")
    path = tmp_path / "data" / "labels" / "train" / "train1.png"
    wrong = labels["train1"].copy()
    wrong[4, 7] = 33
    palette = taxonomy_from(str(tmp_path / "data" / "classes.yaml")).pillow_palette()
    write_palette_png(path, wrong, palette)
    options = OPTIONS | {"data": OPTIONS["data"] | {"dataset": "folder"}}
    (tmp_path / "folder.yaml").write_text(yaml.safe_dump(options))
    words = ["--config", tmp_path / "folder.yaml", "--data.root", tmp_path / "data"]
    words += ["--data.folder.taxonomy", "classes.yaml", "--run_dir", tmp_path / "run"]

    message = refused(capsys, "fit", *words)

    assert message == (
        f"The label '{path}' must hold 0..2 or 255 (void), got 33 at row 4, column 7. Correct the "
        "file, or use a taxonomy with more classes than 'classes'."
    )
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_batch_larger_than_the_data_is_refused(made, capsys, tmp_path):
    words = ["--config", made / "voc.yaml", "--data.batch_size", 5, "--run_dir", tmp_path]

    message = refused(capsys, "fit", *words)

    assert message == (
        "`data.batch_size` must be at most 4, the training images per process, got 5."
    )


@pytest.mark.parametrize("command", ["fit", "validate"])
def test_unknown_option_is_answered_with_the_closest(capsys, command):
    message = refused(capsys, command, "--model.network.faetures", "[fc7]")

    assert message == (
        f"`{command}` has no option `--model.network.faetures`. Did you mean "
        "`--model.network.features`?"
    )


def test_option_like_no_other_is_answered_with_help(capsys):
    message = refused(capsys, "fit", "--zzzzzzzz", "1")

    assert message == "`fit` has no option `--zzzzzzzz`. `parsenet fit --help` lists them."


def test_beginning_of_an_option_is_not_taken_for_it(capsys):
    message = refused(capsys, "fit", "--data.batch", "1")

    assert message == "`fit` has no option `--data.batch`. Did you mean `--data.batch_size`?"


def test_unknown_option_in_a_config_is_named(made, capsys, tmp_path):
    (tmp_path / "wrong.yaml").write_text("model: {network: {trnk: tiny}}\n")

    message = refused(capsys, "fit", "--config", tmp_path / "wrong.yaml")

    assert message == (
        "`fit` has no option `--model.network.trnk`. Did you mean `--model.network.trunk`?"
    )


def test_missing_config_is_named(capsys, tmp_path):
    message = refused(capsys, "fit", "--config", tmp_path / "none.yaml")

    assert str(tmp_path / "none.yaml") in message


def test_contradiction_of_options_is_one_line(capsys):
    message = refused(
        capsys, "fit", "--data.dataset", "shapes", "--model.network.features", "[fc8]"
    )

    assert message == "`features` must be a known name, got 'fc8'. Did you mean `fc7`?"


def test_unknown_command_is_answered_with_the_closest(capsys):
    assert refused(capsys, "fiit") == "`parsenet` has no command 'fiit'. Did you mean `fit`?"


def test_no_command_shows_the_usage(capsys):
    assert main([]) == 2
    assert capsys.readouterr().out.startswith("usage: parsenet COMMAND")


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_shows_the_usage(capsys, word):
    assert main([word]) == 0
    assert capsys.readouterr().out.startswith("usage: parsenet COMMAND")


def test_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"parsenet {parsenet.__version__}\n"


def test_bad_image_is_named_and_the_rest_is_done(made, capsys, tmp_path):
    good = made / "data" / "VOC2012" / "JPEGImages" / "2009_000000.jpg"
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    words = [made / "run" / "model.safetensors", good, tmp_path / "bad.jpg", tmp_path / "none.jpg"]

    code = main(["predict", *map(str, words), "--out", str(tmp_path / "out"), "--overlay", "0.5"])

    captured = capsys.readouterr()
    failed = [line for line in captured.err.splitlines() if line.startswith("failed: ")]
    assert code == 1
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["2009_000000.png"]
    assert (tmp_path / "out" / "overlay" / "2009_000000.jpg").is_file()
    assert {name for name in ("bad.jpg", "none.jpg") if name in "".join(failed)} == {
        "bad.jpg", "none.jpg",
    }  # fmt: skip
    assert captured.out == (
        f"1 labelled, 0 already there, 2 failed; results are in '{tmp_path / 'out'}'.\n"
    )


def test_report_is_drawn_anew(made, capsys):
    (made / "run" / "report.html").unlink()

    assert main(["report", str(made / "run")]) == 0

    assert Path(capsys.readouterr().out.strip()) == made / "run" / "report.html"
    assert (made / "run" / "report.html").is_file()


def test_report_of_no_run_is_refused(capsys, tmp_path):
    message = refused(capsys, "report", tmp_path)

    assert message.startswith(f"'{tmp_path}' must be a run folder")


@pytest.mark.parametrize(
    ("number", "reason"), [(13, "Permission denied"), (17, "File exists"), (30, "Read-only")]
)
def test_place_that_refuses_a_file_is_named_in_one_line(capsys, monkeypatch, number, reason):
    def refuse(path):
        raise OSError(number, reason, "labels/.0f6a.part")

    monkeypatch.setattr("parsenet.reports.runs.write_report", refuse)

    message = refused(capsys, "report", "runs/demo")

    assert message == f"'labels' cannot be read or written ({reason}). Choose another place."
