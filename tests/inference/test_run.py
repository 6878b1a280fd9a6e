"""A run from images to a folder of results: what is written, kept, skipped and told."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from parsenet.inference import run as module
from parsenet.inference import writers
from parsenet.inference.inputs import Frame, Input, find_inputs
from parsenet.inference.job import Job
from parsenet.inference.predictor import Predictor
from parsenet.inference.run import form_batches, predict_all
from tests.fakes.images import gradient
from tests.fakes.segmenter import red_label, red_predictor
from tests.fakes.server import serving
from tests.inference.conftest import listed, refused


def test_every_image_gets_the_label_of_its_pixels_under_its_name(run, write_image, tmp_path):
    first, second = write_image("in/a.png"), write_image("in/sub/b.png", seed=1)

    report = run()

    assert sorted(report.done) == [str(first), str(second)]
    assert listed(tmp_path / "out") == ["a.png", "sub/b.png"]
    for name, path in (("a.png", first), ("sub/b.png", second)):
        with Image.open(tmp_path / "out" / name) as label, Image.open(path) as image:
            np.testing.assert_array_equal(np.array(label), red_label(np.array(image)))


def test_every_kind_lies_where_it_is_said_to(run, write_image, tmp_path):
    write_image("in/a.png")

    run(save=("label", "overlay", "probabilities", "entropy", "areas", "coco", "sheet"))

    assert listed(tmp_path / "out") == [
        "a.png", "areas.csv", "areas.json", "areas/a.json", "coco.json", "coco/a.json",
        "coco_images.json", "entropy/a.png", "overlay/a.jpg", "probabilities/a.npz",
        "sheet/01.png", "thumbnails/a.jpg",
    ]  # fmt: skip


def test_bad_image_does_not_end_the_run_and_is_written_down(run, write_image, tmp_path):
    good = [write_image("in/a.png"), write_image("in/c.png")]
    bad = write_image("in/b.png")
    bad.write_bytes(bad.read_bytes()[:300])

    report = run()

    assert sorted(report.done) == [str(path) for path in good]
    assert report.failed[str(bad)].startswith(f"'{bad}' must be a whole image")
    assert json.loads((tmp_path / "out" / "failed.json").read_text()) == report.failed

    write_image("in/b.png")
    run()
    assert listed(tmp_path / "out") == ["a.png", "b.png", "c.png"]


def test_network_that_fails_costs_one_image_of_its_batch(run, write_image, monkeypatch):
    call = Predictor.predict
    bad = write_image("in/b.png", seed=1)
    good = [write_image("in/a.png"), write_image("in/c.png", seed=2)]
    with Image.open(bad) as opened:
        wrong = np.array(opened)

    def predict(self, images, **options):
        if any(np.array_equal(image, wrong) for image in images):
            raise RuntimeError("out of memory")
        return call(self, images, **options)

    monkeypatch.setattr(Predictor, "predict", predict)

    report = run(batch_size=3)

    assert report.failed == {str(bad): f"'{bad}' failed with RuntimeError: out of memory"}
    assert sorted(report.done) == [str(path) for path in good]


def test_existing_results_are_kept_without_opening_the_image(run, write_image, tmp_path):
    path = write_image("in/a.png")
    run()
    made = (tmp_path / "out" / "a.png").read_bytes()
    path.write_bytes(b"no image any more")

    assert run().skipped == [str(path)]
    assert (tmp_path / "out" / "a.png").read_bytes() == made


def test_only_what_is_missing_is_made(run, write_image, tmp_path):
    path = write_image("in/a.png")
    run()
    before = (tmp_path / "out" / "a.png").stat().st_mtime_ns

    assert run(save=("label", "overlay", "areas")).done == [str(path)]

    assert (tmp_path / "out" / "a.png").stat().st_mtime_ns == before
    assert {"overlay/a.jpg", "areas.csv"} <= set(listed(tmp_path / "out"))


@pytest.mark.usefixtures("interrupt_third")
def test_interrupted_run_leaves_whole_files_and_goes_on(run, write_image, tmp_path):
    write_image("in/0.png").write_bytes(b"")
    for index in range(1, 6):
        write_image(f"in/{index}.png")
    with pytest.raises(KeyboardInterrupt):
        run(save=("label", "areas"))

    made = set(listed(tmp_path / "out"))
    assert {"failed.json", "areas.csv"} <= made
    assert {name for name in made if name.endswith(".png")} <= {"1.png", "2.png"}
    for name in made & {"1.png", "2.png"}:
        Image.open(tmp_path / "out" / name).verify()

    report = run(save=("label", "areas"))
    assert len(report.skipped) + len(report.done) == 5
    assert len(json.loads((tmp_path / "out" / "areas.json").read_text())) == 5


def test_full_disk_ends_the_run_with_a_sentence(run, write_image, tmp_path, monkeypatch):
    for index in range(5):
        write_image(f"in/{index}.png")

    def write(path, label, taxonomy):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writers, "write_label", write)

    with refused(
        "`out` must have room for results, got 'No space left on device' in "
        f"'{tmp_path / 'out'}'. Make room and run the same command again: it goes on where it "
        "stopped."
    ):
        run()


@pytest.mark.parametrize("is_image", [True, False])
def test_address_gives_its_image_or_a_reason(run, tmp_path, is_image):
    content = io.BytesIO(b"" if is_image else b"<html>")
    if is_image:
        Image.fromarray(gradient()).save(content, "PNG")

    def answer(request):
        request.send_response(200)
        request.end_headers()
        request.wfile.write(content.getvalue())

    with serving(answer) as address:
        report = run(f"{address}/a.png")

    told = [
        f"'{address}/a.png' must be an image, got a file that Pillow does not know. Convert it to "
        "PNG or JPEG."
    ]
    assert list(report.failed.values()) == ([] if is_image else told)
    assert (tmp_path / "out" / "a.png").exists() == is_image


def batches(sizes, size, device_type="cpu"):
    """Batches of images of 1 x size pixels, by their place."""
    frames = [
        Frame(
            Input(str(index), str(index)), str(index), str(index), np.zeros((1, width, 3), np.uint8)
        )
        for index, width in enumerate(sizes)
    ]
    return [[int(x.name) for x in batch] for batch in form_batches(frames, size, device_type)]


@pytest.mark.parametrize(
    ("sizes", "size", "expected"),
    [
        ((5, 7, 5, 7), 2, [[0, 2], [1, 3]]),
        ((5, 7, 5, 5), 2, [[0, 2], [1], [3]]),
        ((4,) * 7, 3, [[0, 1, 2], [3, 4, 5], [6]]),
        ((5, *range(10, 20)), 2, [[index] for index in range(11)]),
    ],
)
def test_images_of_equal_size_go_together_and_none_waits_for_ever(sizes, size, expected):
    assert batches(sizes, size) == expected


@pytest.mark.parametrize(("device_type", "size"), [("cpu", 1), ("cuda", 32)])
def test_size_of_a_batch_is_chosen_by_the_device(device_type, size):
    assert len(batches([4] * 40, "auto", device_type)[0]) == size


def test_few_pixels_are_held_at_once(run, write_image, monkeypatch):
    """Ten images of 100 pixels, with room for two of them."""
    monkeypatch.setattr(module, "HELD_PIXELS", 250)
    live, most, read, write = [0], [0], module.read_frames, module.write_result

    def count_read(*arguments):
        live[0] += 1
        most[0] = max(most[0], live[0])
        return read(*arguments)

    def count_write(*arguments):
        write(*arguments)
        live[0] -= 1

    monkeypatch.setattr(module, "read_frames", count_read)
    monkeypatch.setattr(module, "write_result", count_write)
    for index in range(10):
        write_image(f"in/{index}.png", size=(10, 10))

    assert len(run().done) == 10
    assert most[0] <= 5  # two read, one labelled, two written


def test_progress_is_a_line_now_and_then_in_a_log(write_image, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(module, "_LINE_EVERY", -1.0)
    caplog.set_level("INFO")
    inputs = tuple(find_inputs([write_image("a.png"), write_image("b.png")]).found)

    predict_all(red_predictor(), Job(inputs, tmp_path / "out"))

    assert caplog.messages[-1] == "Predicting: 2 of 2 done, 0:00:00 left."
