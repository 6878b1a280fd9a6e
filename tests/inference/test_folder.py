import json
import re

import numpy as np
import pytest
from PIL import Image

from parsenet.errors import ConfigError
from parsenet.inference.folder import predict_all
from parsenet.inference.predictor import Predictor
from parsenet.inference.sources import find_pictures


@pytest.fixture
def run(predictor, tmp_path):
    """Return a function that predicts the pictures of `tmp_path`/in into `tmp_path`/out."""

    def predict(**options):
        found = find_pictures([tmp_path / "in"], recursive=True).found
        return predict_all(predictor, found, tmp_path / "out", progress=False, **options)

    return predict


@pytest.fixture
def interrupt_third(monkeypatch):
    """Make the third picture of a run stop it, as Ctrl-C does."""
    call, count = Predictor.__call__, iter(range(10))

    def predict(self, image):
        if next(count) == 2:
            raise KeyboardInterrupt
        return call(self, image)

    monkeypatch.setattr(Predictor, "__call__", predict)


def listed(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def test_every_picture_gets_a_label_of_its_name(run, write_picture, tmp_path):
    write_picture("in/a.png")
    write_picture("in/sub/b.jpg")

    run()

    assert listed(tmp_path / "out") == ["a.png", "sub/b.png"]


def test_written_label_is_what_the_predictor_says(run, predictor, write_picture, tmp_path):
    path = write_picture("in/a.png")

    run()

    with Image.open(tmp_path / "out" / "a.png") as picture:
        np.testing.assert_array_equal(np.array(picture), predictor(path))


def test_done_pictures_are_reported(run, write_picture):
    path = write_picture("in/a.png")

    assert run().done == [path]


def test_overlay_lies_in_a_folder_of_its_own(run, write_picture, tmp_path):
    write_picture("in/a.png")

    run(overlay=0.5)

    assert listed(tmp_path / "out") == ["a.png", "overlay/a.jpg"]


def test_bad_picture_does_not_end_the_run(run, write_picture, tmp_path):
    write_picture("in/a.png")
    (tmp_path / "in" / "b.jpg").write_bytes(b"no picture")
    write_picture("in/c.png")

    report = run()

    assert ([path.stem for path in report.done], [path.stem for path in report.failed]) == (
        ["a", "c"],
        ["b"],
    )


def test_failed_pictures_are_written_down_with_their_reasons(run, write_picture, tmp_path):
    path = write_picture("in/a.png")
    path.write_bytes(path.read_bytes()[:300])

    report = run()

    written = json.loads((tmp_path / "out" / "failed.json").read_text(encoding="utf-8"))
    assert written == {str(path): report.failed[path]}


def test_network_that_fails_costs_one_picture(run, write_picture, monkeypatch):
    call = Predictor.__call__
    bad, _ = write_picture("in/a.png", size=(40, 40)), write_picture("in/b.png")

    def predict(self, image):
        if image.shape[0] == 40:
            raise RuntimeError("out of memory")
        return call(self, image)

    monkeypatch.setattr(Predictor, "__call__", predict)

    assert run().failed == {bad: f"'{bad}' failed with RuntimeError: out of memory"}


def test_list_of_failures_goes_when_all_is_well(run, write_picture, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").touch()
    run()
    write_picture("in/a.png")

    run()

    assert listed(tmp_path / "out") == ["a.png"]


def test_existing_results_are_kept(run, write_picture, tmp_path):
    write_picture("in/a.png")
    write_picture("out/a.png").write_bytes(b"mine")

    run()

    assert (tmp_path / "out" / "a.png").read_bytes() == b"mine"


def test_existing_results_count_as_skipped(run, write_picture):
    path = write_picture("in/a.png")
    run()

    assert run().skipped == [path]


def test_existing_results_are_replaced_when_asked(run, write_picture, tmp_path):
    write_picture("in/a.png")
    write_picture("out/a.png").write_bytes(b"mine")

    run(overwrite=True)

    assert (tmp_path / "out" / "a.png").read_bytes().startswith(b"\x89PNG")


def test_missing_overlay_is_added_to_an_existing_label(run, write_picture, tmp_path):
    write_picture("in/a.png")
    write_picture("out/a.png").write_bytes(b"mine")

    run(overlay=0.5)

    assert (tmp_path / "out" / "a.png").read_bytes() == b"mine"
    assert (tmp_path / "out" / "overlay" / "a.jpg").is_file()


@pytest.mark.usefixtures("interrupt_third")
def test_interrupted_run_leaves_whole_files(run, write_picture, tmp_path):
    for index in range(4):
        write_picture(f"in/{index}.png")

    with pytest.raises(KeyboardInterrupt):
        run()

    assert listed(tmp_path / "out") == ["0.png", "1.png"]


@pytest.mark.usefixtures("interrupt_third")
def test_interrupted_run_goes_on_where_it_stopped(run, write_picture):
    for index in range(4):
        write_picture(f"in/{index}.png")
    with pytest.raises(KeyboardInterrupt):
        run()

    report = run()

    assert (len(report.skipped), len(report.done)) == (2, 2)


@pytest.mark.usefixtures("interrupt_third")
def test_interrupted_run_tells_what_failed(run, write_picture, tmp_path):
    write_picture("in/0.png").write_bytes(b"")
    for index in range(1, 5):
        write_picture(f"in/{index}.png")

    with pytest.raises(KeyboardInterrupt):
        run()

    assert "failed.json" in listed(tmp_path / "out")


def test_input_is_never_replaced_by_its_result(predictor, write_picture, tmp_path):
    path = write_picture("a.png")
    before = path.read_bytes()

    report = predict_all(
        predictor, find_pictures([path]).found, tmp_path, overwrite=True, progress=False
    )

    assert report.failed == {path: f"'{path}' must not replace an input. Choose another `--out`."}
    assert path.read_bytes() == before


def test_bar_is_drawn_on_standard_error(predictor, write_picture, tmp_path, capsys):
    found = find_pictures([write_picture("a.png")]).found

    predict_all(predictor, found, tmp_path / "out")

    captured = capsys.readouterr()
    assert (captured.out, "Predicting" in captured.err) == ("", True)


def test_file_in_place_of_the_folder_is_refused(run, tmp_path):
    (tmp_path / "out").touch()
    message = f"`out` must be a folder to write to, got '{tmp_path / 'out'}' (File exists)."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        run()


def test_opacity_out_of_range_is_refused_before_anything_is_read(run, tmp_path):
    message = "`overlay` must be in [0, 1], got 2.0. Half and half is 0.5."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        run(overlay=2.0)
