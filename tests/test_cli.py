"""The command line from training to label files: what it leaves, what it says, its exit codes."""

import json
import sys
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
from tests.fakes.voc import write_png


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


VOC, LAST = ("--config", "DIR/voc.yaml"), "DIR/run/checkpoints/last.ckpt"
NEW = (*VOC, "--run_dir", "OUT")
TRAINED = ("--ckpt_path", "DIR/run/model.safetensors")
REFUSED = [
    (("fit", *VOC, "--run_dir", "DIR/run"),
     "`run_dir` must be new, got 'DIR/run' with a training run in it. Go on with it by "
     "`--resume true`, or name another with `--run_dir DIR`."),
    (("validate", "--config", "DIR/run/config.yaml", *TRAINED),
     "`run_dir` must be new, got 'DIR/run' with a training run in it. Name another with "
     "`--run_dir DIR`."),
    (("fit", *NEW, "--resume", "true"),
     "`resume` needs 'OUT/checkpoints/last.ckpt', which is missing. Start without "
     "`--resume true`."),
    (("fit", *VOC, "--run_dir", "DIR/run", "--resume", "true", "--model.network.head", "early"),
     f"`model.network.head` must be late to go on from '{LAST}', got early. Start a new run with "
     "another `--run_dir DIR`."),
    (("fit", *NEW, *TRAINED),
     "`ckpt_path` must be the `last.ckpt` of a run, got 'DIR/run/model.safetensors'. Its weights "
     "alone can start a new run: `--model.network.weights DIR/run/model.safetensors`."),
    *((words, "The weights file 'OUT/no.ckpt' must exist. Check its path.") for words in (
        ("fit", *NEW, "--ckpt_path", "OUT/no.ckpt"),
        ("validate", *NEW, "--ckpt_path", "OUT/no.ckpt"),
        ("predict", "OUT/no.ckpt", "DIR", "--out", "OUT"),
    )),
    (("test", *VOC),
     "`test` needs a checkpoint to score, got none. Add `--ckpt_path FILE` (`.ckpt` or "
     "`.safetensors`)."),
    (("validate", *NEW, *TRAINED, "--data.dataset", "shapes"),
     "The checkpoint's classes ('voc2012', 21) must be those of the data, got 'shapes' with 5. "
     "Choose the `data` that it was trained on."),
    (("fit", *NEW, "--data.root", "OUT"),
     "VOC 2012 was not found in 'OUT': 'JPEGImages' is missing."),
    (("fit", *NEW, "--data.batch_size", "5"),
     "`data.batch_size` must be at most 4, the training images per process, got 5."),
    (("validate", "--model.network.faetures", "[fc7]"),
     "`validate` has no option `--model.network.faetures`. Did you mean "
     "`--model.network.features`?"),
    (("fit", "--zzzzzzzz", "1"),
     "`fit` has no option `--zzzzzzzz`. `parsenet fit --help` lists them."),
    (("fit", "--data.batch", "1"),
     "`fit` has no option `--data.batch`. Did you mean `--data.batch_size`?"),
    (("fit", "--config", "DIR/wrong.yaml"),
     "`fit` has no option `--model.network.trnk`. Did you mean `--model.network.trunk`?"),
    (("fit", "--config", "OUT/none.yaml"),
     "'OUT/none.yaml' must be a YAML file, got nothing there. Check the path."),
    (("fit", "--data.dataset", "shapes", "--model.network.features", "[fc8]"),
     "`features` must be a known name, got 'fc8'. Did you mean `fc7`?"),
    (("report", "OUT"), "'OUT' must be a run folder"),
    (("fiit",), "`parsenet` has no command 'fiit'. Did you mean `fit`?"),
    (("figures", "scale"), "`figures` has no 'scale'. Did you mean `scales`?"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_is_refused_in_one_line(made, capsys, tmp_path, words, message):
    (made / "wrong.yaml").write_text("model: {network: {trnk: tiny}}\n")
    places = {"DIR/": f"{made}/", "OUT": str(tmp_path / "out")}

    for name, path in places.items():
        words = [word.replace(name, path) for word in words]
        message = message.replace(name, path)

    assert refused(capsys, *words).startswith(message)
    assert not list(tmp_path.glob("out/checkpoints/*"))


def test_label_out_of_range_is_refused_before_training(capsys, tmp_path):
    labels = write_folder(tmp_path / "data")
    path = tmp_path / "data" / "labels" / "train" / "train1.png"
    wrong = labels["train1"].copy()
    wrong[4, 7] = 33
    write_png(path, wrong, taxonomy_from(str(tmp_path / "data" / "classes.yaml")))
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


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 2, "usage: parsenet COMMAND"),
        (["-h"], 0, "usage: parsenet COMMAND"),
        (["--help"], 0, "usage: parsenet COMMAND"),
        (["figures"], 2, "usage: parsenet COMMAND"),
        (["figures", "--help"], 0, "usage: parsenet COMMAND"),
        (["--version"], 0, f"parsenet {parsenet.__version__}\n"),
    ],
)
def test_usage_and_version_are_told(capsys, words, code, text):
    assert main(words) == code
    assert capsys.readouterr().out.startswith(text)


def test_command_without_its_packages_names_the_extra(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_lightning", None)
    monkeypatch.delitem(sys.modules, "parsenet.engine.run", raising=False)

    assert refused(capsys, "fit") == (
        "`parsenet fit` needs 'pytorch_lightning', which is not installed. Run `pip install "
        "'parsenet[train]'`."
    )


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


@pytest.mark.parametrize(
    ("number", "reason"), [(13, "Permission denied"), (17, "File exists"), (30, "Read-only")]
)
def test_place_that_refuses_a_file_is_named_in_one_line(capsys, monkeypatch, number, reason):
    def refuse(path):
        raise OSError(number, reason, "labels/.0f6a.part")

    monkeypatch.setattr("parsenet.reports.runs.write_report", refuse)

    message = refused(capsys, "report", "runs/demo")

    assert message == f"'labels' cannot be read or written ({reason}). Choose another place."
