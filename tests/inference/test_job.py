"""What a run refuses before it begins, and what its folder remembers."""

import json

import pytest
import torch

from parsenet.inference.devices import predict_on_devices
from parsenet.inference.inputs import Input
from parsenet.inference.job import Job, RunConfig
from tests.fakes.segmenter import red_predictor
from tests.inference.conftest import refused


def test_results_of_another_image_are_no_results_of_this_one(run, write_image, tmp_path):
    first, second = write_image("a/x.png"), write_image("b/x.png")
    run(first)

    report = run(second)

    assert report.failed == {
        str(second): f"'{second}' must have a name of its own, got 'x' as '{first}' has in "
        f"'{tmp_path / 'out'}'. Choose another `--out`."
    }
    assert run(second, overwrite=True).done == [str(second)]


def test_results_of_other_settings_are_not_mixed(run, write_image, tmp_path):
    path = write_image("in/a.png")
    run(settings={"model": "old", "flip": False}, save=("areas",))
    path.rename(tmp_path / "in" / "b.png")
    message = (
        f"`out` must be empty or made with the same settings, got '{tmp_path / 'out'}' made with "
        "flip False instead of True; model old instead of new. Choose another `--out`, or "
        "`--overwrite`."
    )

    with refused(message):
        run(settings={"model": "new", "flip": True})

    assert run(settings={"model": "new"}, save=("areas",), overwrite=True).failed == {}
    records = json.loads((tmp_path / "out" / "areas.json").read_text())
    assert [record["image"] for record in records] == ["b"]


@pytest.mark.parametrize("content", ["[1]", "\udcff", '{"settings": 1, "inputs": {}}'])
def test_settings_file_of_something_else_is_begun_anew(run, write_image, tmp_path, content):
    write_image("in/a.png")
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "predictions.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))

    run()

    assert list(json.loads(path.read_text())["inputs"]) == ["a"]


@pytest.mark.parametrize("words", [["out"], ["out/a.png"], ["out/*.png"]])
@pytest.mark.parametrize("overwrite", [False, True])
def test_folder_of_inputs_is_no_folder_for_labels(run, write_image, tmp_path, words, overwrite):
    before = write_image("out/a.png").read_bytes()

    with refused(
        f"`out` must be a folder without inputs, got '{tmp_path / 'out'}' with 'a.png'. Choose "
        "another `--out`."
    ):
        run(*(tmp_path / word for word in words), overwrite=overwrite)

    assert (tmp_path / "out" / "a.png").read_bytes() == before


def test_file_in_place_of_the_folder_is_refused(run, tmp_path, write_image):
    write_image("in/a.png")
    (tmp_path / "out").touch()

    with refused(f"`out` must be a folder to write to, got '{tmp_path / 'out'}' (File exists)."):
        run()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "`every` must be at least 1, got 0."),
        ({"max_frames": 0}, "`max_frames` must be at least 1, got 0."),
        ({"max_pixels": 0}, "`max_pixels` must be at least 1, got 0."),
        ({"max_bytes": 0}, "`max_bytes` must be at least 1, got 0."),
        ({"batch_size": 0}, "`batch_size` must be at least 1, got 0."),
        ({"timeout": 0.0}, "`timeout` must be positive, got 0.0. It is in seconds."),
        (
            {"save": ("labels",)},
            "`save` must name known results, got 'labels'. Did you mean `label`?",
        ),
        ({"save": ()}, "`save` must name at least one result, got none. Use `label`."),
        ({"overlay": 2.0}, "`overlay` must be in [0, 1], got 2.0. Half and half is 0.5."),
    ],
)
def test_option_out_of_range_is_refused(options, message):
    with refused(message):
        RunConfig(**options)


@pytest.mark.parametrize(
    ("device", "devices", "message"),
    [
        ("auto", 0, "`devices` must be at least 1, got 0."),
        (
            "cuda:1", 2,
            "`device` must be auto, cpu or cuda with `--devices 2`, got 'cuda:1'.",
        ),
        (
            "auto", 3,
            "`devices` must be at most 2, the GPUs here, got 3. Add `--device cpu` for processes "
            "on the CPU.",
        ),
    ],
)  # fmt: skip
def test_devices_that_are_not_there_are_refused(tmp_path, monkeypatch, device, devices, message):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    job = Job((Input("a.jpg", "a"),), tmp_path / "out")

    with refused(message):
        predict_on_devices(red_predictor, job, device, devices)

    assert not (tmp_path / "out").exists()
