import json
import re
import sys

import numpy as np
import pytest
from PIL import Image

from parsenet.errors import ConfigError
from parsenet.inference.folder import RunConfig, predict_all
from parsenet.inference.frames import ReadConfig
from parsenet.inference.predictor import Predictor
from parsenet.inference.results import SaveConfig
from parsenet.inference.sources import find_images
from tests.fakes.red import red_label, red_predictor


@pytest.fixture
def run(tmp_path):
    """Return a function that predicts the images of `tmp_path`/in into `tmp_path`/out."""

    def predict(kinds=("label",), saving=None, reading=ReadConfig(), **options):
        found = find_images([tmp_path / "in"], recursive=True).found
        saving = saving or SaveConfig(kinds, opacity=0.5)
        options = RunConfig(**{"progress": False} | options)
        return predict_all(red_predictor(), found, tmp_path / "out", saving, reading, options)

    return predict


@pytest.fixture
def interrupt_third(monkeypatch):
    """Make the third image of a run stop it, as Ctrl-C does."""
    call, count = Predictor.predict, iter(range(10))

    def predict(self, *arguments, **options):
        if next(count) == 2:
            raise KeyboardInterrupt
        return call(self, *arguments, **options)

    monkeypatch.setattr(Predictor, "predict", predict)


def listed(folder):
    names = (x.relative_to(folder).as_posix() for x in folder.rglob("*") if x.is_file())
    return sorted(name for name in names if name != "journal.jsonl")


def test_every_image_gets_a_label_of_its_name(run, write_image, tmp_path):
    write_image("in/a.png")
    write_image("in/sub/b.jpg")

    run()

    assert listed(tmp_path / "out") == ["a.png", "sub/b.png"]


def test_written_label_is_that_of_the_image(run, write_image, tmp_path):
    with Image.open(write_image("in/a.png")) as image:
        expected = red_label(np.array(image))

    run()

    with Image.open(tmp_path / "out" / "a.png") as image:
        np.testing.assert_array_equal(np.array(image), expected)


def test_done_images_are_reported(run, write_image):
    path = write_image("in/a.png")

    assert run().done == [str(path)]


def test_every_kind_lies_where_it_is_said_to(run, write_image, tmp_path):
    write_image("in/a.png")

    run(("label", "overlay", "probabilities", "entropy", "areas", "coco", "sheet"))

    assert listed(tmp_path / "out") == [
        "a.png", "areas.csv", "areas.json", "coco.json", "coco_images.json", "entropy/a.png",
        "overlay/a.jpg", "probabilities/a.npz", "sheet/01.png", "thumbnails/a.jpg",
    ]  # fmt: skip


def test_overlay_alone_writes_no_label(run, write_image, tmp_path):
    write_image("in/a.png")

    run(("overlay",))

    assert listed(tmp_path / "out") == ["overlay/a.jpg"]


def test_bad_image_does_not_end_the_run(run, write_image, tmp_path):
    first = write_image("in/a.png")
    (tmp_path / "in" / "b.jpg").write_bytes(b"no image")
    last = write_image("in/c.png")

    report = run()

    assert (sorted(report.done), list(report.failed)) == (
        [str(first), str(last)],
        [str(tmp_path / "in" / "b.jpg")],
    )


def test_failed_images_are_written_down_with_their_reasons(run, write_image, tmp_path):
    path = write_image("in/a.png")
    path.write_bytes(path.read_bytes()[:300])

    report = run()

    written = json.loads((tmp_path / "out" / "failed.json").read_text(encoding="utf-8"))
    assert written == {str(path): report.failed[str(path)]}


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


def test_list_of_failures_goes_when_all_is_well(run, write_image, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").touch()
    run()
    write_image("in/a.png")

    run()

    assert listed(tmp_path / "out") == ["a.png"]


def test_existing_results_are_kept(run, write_image, tmp_path):
    write_image("in/a.png")
    write_image("out/a.png").write_bytes(b"mine")

    run()

    assert (tmp_path / "out" / "a.png").read_bytes() == b"mine"


def test_existing_results_count_as_skipped(run, write_image):
    path = write_image("in/a.png")
    run()

    assert run().skipped == [str(path)]


def test_done_images_are_not_even_opened(run, write_image):
    path = write_image("in/a.png")
    run()
    path.write_bytes(b"no image any more")

    assert run().skipped == [str(path)]


def test_existing_results_are_replaced_when_asked(run, write_image, tmp_path):
    write_image("in/a.png")
    write_image("out/a.png").write_bytes(b"mine")

    run(overwrite=True)

    assert (tmp_path / "out" / "a.png").read_bytes().startswith(b"\x89PNG")


def test_missing_overlay_is_added_to_an_existing_label(run, write_image, tmp_path):
    write_image("in/a.png")
    write_image("out/a.png").write_bytes(b"mine")

    run(("label", "overlay"))

    assert (tmp_path / "out" / "a.png").read_bytes() == b"mine"
    assert (tmp_path / "out" / "overlay" / "a.jpg").is_file()


def test_areas_of_earlier_runs_stay_in_the_table(run, write_image, tmp_path):
    first = write_image("in/a.png")
    run(("areas",))
    first.unlink()
    write_image("in/b.png")

    run(("areas",))

    records = json.loads((tmp_path / "out" / "areas.json").read_text(encoding="utf-8"))
    assert [record["image"] for record in records] == ["a", "b"]


def test_areas_are_made_up_for_labels_that_were_made_without(run, write_image, tmp_path):
    path = write_image("in/a.png")
    run()

    report = run(("areas", "coco"))

    assert report.done == [str(path)]
    assert json.loads((tmp_path / "out" / "coco.json").read_text())[0]["image_id"] == 1


def test_results_of_another_image_are_no_results_of_this_one(write_image, tmp_path):
    first, second = write_image("a/x.png"), write_image("b/x.png")
    options = RunConfig(progress=False)
    predict_all(red_predictor(), find_images([first]).found, tmp_path / "out", run=options)

    report = predict_all(
        red_predictor(), find_images([second]).found, tmp_path / "out", run=options
    )

    assert report.failed == {
        str(second): f"'{second}' must have a name of its own, got 'x' as '{first}' has in "
        f"'{tmp_path / 'out'}'. Choose another `--out`."
    }


def test_folder_of_another_model_is_refused(run, write_image, tmp_path):
    write_image("in/a.png")
    run(settings={"model": "old", "flip": False})
    message = (
        f"`out` must be empty or made with the same settings, got '{tmp_path / 'out'}' made with "
        "model old instead of new. Choose another `--out`, or `--overwrite`."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        run(settings={"model": "new", "flip": False})


def test_folder_of_another_model_is_written_over_when_asked(run, write_image):
    path = write_image("in/a.png")
    run(settings={"model": "old"})

    assert run(settings={"model": "new"}, overwrite=True).done == [str(path)]


@pytest.mark.usefixtures("interrupt_third")
def test_interrupted_run_leaves_whole_files(run, write_image, tmp_path):
    for index in range(4):
        write_image(f"in/{index}.png")

    with pytest.raises(KeyboardInterrupt):
        run()

    made = listed(tmp_path / "out")
    assert set(made) <= {"0.png", "1.png"}
    for name in made:
        Image.open(tmp_path / "out" / name).verify()


@pytest.mark.usefixtures("interrupt_third")
def test_interrupted_run_goes_on_where_it_stopped(run, write_image):
    for index in range(4):
        write_image(f"in/{index}.png")
    with pytest.raises(KeyboardInterrupt):
        run()

    report = run()

    assert len(report.skipped) + len(report.done) == 4
    assert len(report.done) >= 2


@pytest.mark.usefixtures("interrupt_third")
def test_interrupted_run_tells_what_failed_and_what_was_measured(run, write_image, tmp_path):
    write_image("in/0.png").write_bytes(b"")
    for index in range(1, 5):
        write_image(f"in/{index}.png")

    with pytest.raises(KeyboardInterrupt):
        run(("areas",))

    assert {"failed.json", "areas.csv"} <= set(listed(tmp_path / "out"))


def test_full_disk_ends_the_run_with_a_sentence(run, write_image, tmp_path, monkeypatch):
    for index in range(5):
        write_image(f"in/{index}.png")

    def write(path, label, taxonomy):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("parsenet.inference.results.write_label", write)
    message = (
        "`out` must have room for results, got 'No space left on device' in "
        f"'{tmp_path / 'out'}'. Make room and run the same command again: it goes on where it "
        "stopped."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        run()


def test_input_is_never_replaced_by_its_result(write_image, tmp_path):
    path = write_image("a.png")
    before = path.read_bytes()

    report = predict_all(
        red_predictor(),
        find_images([path]).found,
        tmp_path,
        run=RunConfig(overwrite=True, progress=False),
    )

    assert report.failed == {
        str(path): f"'{path}' must not replace an input. Choose another `--out`."
    }
    assert path.read_bytes() == before


def test_batches_are_images_of_equal_size(run, write_image, tmp_path, monkeypatch):
    for index in range(6):
        write_image(f"in/{index}.png", size=(21, 34) if index % 2 else (34, 21))
    sizes = []
    call = Predictor.predict

    def predict(self, images, **options):
        sizes.append((len(images), images[0].shape[:2]))
        return call(self, images, **options)

    monkeypatch.setattr(Predictor, "predict", predict)

    run(batch_size=3)

    assert sorted(sizes) == [(3, (21, 34)), (3, (34, 21))]


def test_batches_change_no_result(run, write_image, tmp_path):
    for index in range(5):
        write_image(f"in/{index}.png", size=(21, 30 + index % 2), seed=index)
    run()
    alone = [(tmp_path / "out" / f"{index}.png").read_bytes() for index in range(5)]

    run(batch_size=2, overwrite=True)

    assert [(tmp_path / "out" / f"{index}.png").read_bytes() for index in range(5)] == alone


def test_image_over_the_limit_fails_with_the_way_out(run, write_image):
    path = write_image("in/a.png", size=(20, 30))

    report = run(reading=ReadConfig(max_pixels=599))

    assert report.failed == {
        str(path): f"'{path}' must have at most 599 pixels, got 30 x 20. If it is no decompression "
        "bomb, allow it: `--max-pixels 600`."
    }


def test_file_in_place_of_the_folder_is_refused(run, tmp_path):
    (tmp_path / "out").touch()
    message = f"`out` must be a folder to write to, got '{tmp_path / 'out'}' (File exists)."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        run()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_memory_stays_flat_over_thousands_of_images(tmp_path):
    import resource

    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "0.jpg")
    content = (tmp_path / "in" / "0.jpg").read_bytes()
    for index in range(1, 3000):
        (tmp_path / "in" / f"{index}.jpg").write_bytes(content)
    found = find_images([tmp_path / "in"]).found
    options = RunConfig(progress=False)
    predict_all(red_predictor(), found[:300], tmp_path / "out", run=options)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    report = predict_all(red_predictor(), found, tmp_path / "out", run=options)

    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(report.done) == 2700
    assert after - before < 20_000  # kB; the images have 1 GB
