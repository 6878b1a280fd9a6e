"""The command `predict`: what it takes, says and leaves, and its exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from parsenet.cli import main
from parsenet.config import NetworkConfig
from parsenet.models.build import build_model
from parsenet.models.checkpoint import save_network
from parsenet.taxonomy import SHAPES
from tests.fakes.images import gradient
from tests.fakes.video import write_video

REPOSITORY = Path(__file__).parents[2]
NUM_IMAGES = 400


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A checkpoint of a tiny network with random weights."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    config = NetworkConfig(trunk="tiny", features=("pool6", "fc7", "conv3"))
    save_network(path, build_model(config, SHAPES.num_classes), config, SHAPES)
    return path


@pytest.fixture
def predict(model, tmp_path, monkeypatch):
    """Return a function that runs the command in `tmp_path`; it returns the exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        return main(["predict", *map(str, words), "--model", str(model), "--device", "cpu"])

    return run


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(gradient((24, 32))).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def refused(capsys, code):
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
    assert (code, len(lines)) == (2, 1)
    return lines[0].removeprefix("error: ")


def test_image_is_labelled_and_its_areas_are_told_also_when_it_was_done(
    predict, photo, model, tmp_path, capsys
):
    codes, told = [], []
    for _ in range(2):
        codes.append(predict(photo))
        told.append(capsys.readouterr())

    assert codes == [0, 0]
    with Image.open(tmp_path / "predictions" / "photo.png") as image:
        assert (image.mode, image.size) == ("P", (32, 24))
    assert f"Model: {model}, 5 classes of 'shapes', on cpu." in told[0].err
    first, second = (text.out.splitlines() for text in told)
    assert first[-1] == "1 labelled, 0 already there, 0 failed; results are in 'predictions'."
    assert sum(int(line.split()[-2]) for line in first[:-1]) == 24 * 32
    assert second[:-1] == first[:-1]


def test_checkpoint_in_the_first_place_is_the_model(model, photo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["predict", str(model), str(photo), "--device", "cpu"]) == 0
    capsys.readouterr()

    twice = refused(capsys, main(["predict", str(model), str(photo), "--model", str(model)]))
    alone = refused(capsys, main(["predict", str(model)]))

    assert twice == (
        f"`--model` must be given once, got '{model}' and '{model}'. Leave one of them out."
    )
    assert alone == f"`INPUTS` must name images, got only the model '{model}'. Add some."


def test_summary_is_json_alone_and_missing_inputs_are_written_down(
    predict, photo, tmp_path, capsys
):
    assert predict(photo, "none.png", "--json") == 1

    summary = json.loads(capsys.readouterr().out)
    assert (summary["labelled"], summary["skipped"], list(summary["failed"])) == (
        1, 0, ["none.png"],
    )  # fmt: skip
    assert summary["size"] == [24, 32]
    assert sum(area["pixels"] for area in summary["areas"]) == 24 * 32
    assert list(json.loads((tmp_path / "predictions" / "failed.json").read_text())) == ["none.png"]


def test_nothing_to_label_leaves_no_folder(predict, tmp_path):
    assert predict("none.png") == 1

    assert not (tmp_path / "predictions").exists()


def test_many_failures_are_counted(predict, tmp_path, capsys):
    for index in range(25):
        (tmp_path / f"{index}.png").touch()

    assert predict(tmp_path / "*.png") == 1

    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("failed: ")]
    assert len(lines) == 21
    assert lines[-1] == f"failed: 5 more, see '{Path('predictions') / 'failed.json'}'."


def test_overlay_is_added_to_the_label_of_an_image_and_is_the_opacity_of_a_video(
    predict, photo, tmp_path
):
    predict(photo, write_video(tmp_path / "clip.mp4"), "--overlay", "0.6")

    made = sorted(
        path.relative_to(tmp_path / "predictions").as_posix()
        for path in (tmp_path / "predictions").rglob("*.*")
    )
    assert made == ["overlay/photo.jpg", "photo.png", "predictions.json", "video/clip.mp4"]


def test_pixel_limit_can_be_raised_as_the_refusal_says(predict, photo, tmp_path, capsys):
    assert predict(photo, "--max-pixels", 700) == 1
    assert "allow it: `--max-pixels 768`." in capsys.readouterr().err

    assert predict(photo, "--max-pixels", 768) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--devices", "0"], "`devices` must be at least 1, got 0."),
        (["--scales", "x"], "`--scales` must be numbers with commas between them, got 'x'."),
        (["--batch-size", "x"], "`batch_size` must be a whole number or auto, got 'x'."),
        (
            ["--resume", "--overwrite"],
            "`--resume` and `--overwrite` exclude each other. Leave one of them out.",
        ),
    ],
)
def test_option_out_of_range_is_refused(predict, photo, capsys, words, message):
    assert refused(capsys, predict(photo, *words)) == message


def start(tmp_path, *words):
    """Start the command as a process of its own, as a terminal does."""
    return subprocess.Popen(
        [sys.executable, "-m", "parsenet", "predict", *map(str, words), "--device", "cpu"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def write_many(folder, count, size=(120, 160)):
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "0.png")
    content = (folder / "0.png").read_bytes()
    for index in range(1, count):
        (folder / f"{index}.png").write_bytes(content)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("devices", "number"), [(1, signal.SIGINT), (2, signal.SIGINT), (2, signal.SIGTERM)]
)
def test_interrupted_command_leaves_whole_files_and_goes_on(model, tmp_path, devices, number):
    write_many(tmp_path / "in", NUM_IMAGES, (240, 320))
    words = [model, "in", "--save", "label,areas", "--devices", devices]
    process = start(tmp_path, *words)
    out = tmp_path / "predictions"
    while len(list(out.glob("*.png"))) < 10 and process.poll() is None:
        time.sleep(0.02)

    process.send_signal(number)
    _, errors = process.communicate()

    made = list(out.glob("*.png"))
    assert (process.returncode, 10 <= len(made) < NUM_IMAGES) == (130, True), errors
    for path in made:
        with Image.open(path) as image:
            image.load()
    assert [x.name for x in out.iterdir() if x.name.startswith(".")] == []
    process = start(tmp_path, *words)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert f"{NUM_IMAGES - len(made)} labelled, {len(made)} already there" in output
    assert len(json.loads((out / "areas.json").read_text())) == NUM_IMAGES


@pytest.mark.slow
def test_two_processes_make_what_one_makes(model, tmp_path):
    write_many(tmp_path / "in", 7, (40, 50))
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    kinds = "label,areas,coco,sheet"

    codes = []
    for devices in (1, 2):
        process = start(
            tmp_path, model, "in", "--devices", devices, "--out", f"out{devices}", "--save", kinds
        )
        _, errors = process.communicate()
        codes.append(process.returncode)

    assert codes == [1, 1], errors
    files = [
        {
            path.relative_to(tmp_path / f"out{devices}").as_posix(): path.read_bytes()
            for path in (tmp_path / f"out{devices}").rglob("*")
            if path.is_file()
        }
        for devices in (1, 2)
    ]
    assert files[0] == files[1]
