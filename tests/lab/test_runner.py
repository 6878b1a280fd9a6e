"""A grid is run to its end whatever its processes do, and nothing finished is run again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from parsenet.errors import ConfigError, ParseNetError
from parsenet.lab.results import ResultsFile
from parsenet.lab.runner import LocalWorkers, Runner, find_devices
from tests.fakes.lab import make_grid, pretend, write_grid

ONE_CELL = {"rows": {"fc7": {}}, "columns": {"raw": {}}, "leave_out": [], "paper": {}}


def run(grid, folder, num_workers=1):
    file = ResultsFile(folder / "results.jsonl")
    return Runner(grid, file, folder, LocalWorkers(["cpu"] * num_workers, folder, pretend)).run()


def test_all_runs_are_made_and_written_down(tmp_path):
    grid = make_grid(tmp_path, seeds=[0, 4])

    results = run(grid, tmp_path, num_workers=2)

    assert results == ResultsFile(tmp_path / "results.jsonl").read()
    assert len(results) == grid.num_runs
    assert {(r["row"], r["column"]) for r in results.values()} == set(grid.cells)
    assert {r["lr"] for r in results.values() if r["seed"] == 4} == {0.01}  # the better rate


def test_finished_runs_are_not_made_again_nor_do_failures_of_other_grids_count(tmp_path):
    grid = make_grid(tmp_path, seeds=[0], **ONE_CELL)
    run(grid, tmp_path)
    for path in tmp_path.glob("*.begun"):
        path.unlink()
    file = ResultsFile(tmp_path / "results.jsonl")
    file.add({"key": "other", "inputs": {}, "failed": "no memory"})

    results = run(grid, tmp_path)

    assert list(results) == [plan.key for plan in grid.sweep()]
    assert not list(tmp_path.glob("*.begun"))


def test_run_of_a_killed_process_is_made_once_more(tmp_path):
    grid = make_grid(tmp_path, seeds=[1], lrs=[0.1], **ONE_CELL)

    (result,) = run(grid, tmp_path).values()

    assert result["scores"]["mean_iou"] == 0.1


@pytest.mark.parametrize(
    ("seed", "reason"),
    [(2, "its process died (memory ran out?)"), (3, "ValueError: no")],
)
def test_run_that_fails_twice_is_recorded_and_the_grid_goes_on(tmp_path, seed, reason):
    grid = make_grid(tmp_path, seeds=[seed, 0], sweep_seeds=[seed, 0], lrs=[0.1], **ONE_CELL)

    results = run(grid, tmp_path)

    failed, done = sorted(results.values(), key=lambda result: "failed" not in result)
    assert (failed["failed"], failed["seed"], failed["row"]) == (reason, seed, "fc7")
    assert done["seed"] == 0
    states = [path.stem for path in (tmp_path / "under_way").iterdir()]
    assert states == [failed["key"]]  # from where the next start goes on


def test_state_of_a_run_stays_until_its_result_is_on_disk(tmp_path, monkeypatch):
    def add(file, result):
        raise OSError("disk full")

    monkeypatch.setattr(ResultsFile, "add", add)
    with pytest.raises(OSError, match=r"^disk full$"):
        run(make_grid(tmp_path, seeds=[0], lrs=[0.1], **ONE_CELL), tmp_path)

    assert len(list((tmp_path / "under_way").iterdir())) == 1


def test_failed_run_is_tried_again_by_the_next_start(tmp_path):
    grid = make_grid(tmp_path, seeds=[0], lrs=[0.1], **ONE_CELL)
    key = next(grid.sweep()).key
    ResultsFile(tmp_path / "results.jsonl").add({"key": key, "inputs": {}, "failed": "no memory"})

    (result,) = run(grid, tmp_path).values()

    assert "failed" not in result


@pytest.mark.parametrize(
    ("seed", "lr", "error", "message"),
    [
        (0, 2.0, ParseNetError, r"^`data\.root` must be set\.$"),
        (5, 0.1, OSError, "No space left on device"),
    ],
)
def test_what_concerns_all_runs_ends_the_grid(tmp_path, seed, lr, error, message):
    grid = make_grid(tmp_path, seeds=[seed], lrs=[lr], **ONE_CELL)

    with pytest.raises(error, match=message):
        run(grid, tmp_path)

    assert ResultsFile(tmp_path / "results.jsonl").read() == {}


def test_devices_are_a_list_of_those_that_are_there():
    assert find_devices("cpu,cpu") == ["cpu", "cpu"]
    message = "^`device` must be available here, got 'gpu'. Use `auto` or `cpu`.$"
    with pytest.raises(ConfigError, match=message):
        find_devices("cpu,gpu")


def test_unknown_class_is_refused_before_any_run(tmp_path):
    score = {"metric": "mean_iou", "classes": ["ball", "mooon"]}
    grid = make_grid(tmp_path, score=score)
    message = r"^`score.classes` must name classes of the data, got 'mooon'. Did you mean `moon`\?$"

    with pytest.raises(ConfigError, match=message):
        run(grid, tmp_path)


@pytest.mark.slow
def test_killed_runner_goes_on_where_it_was(tmp_path):
    path = write_grid(tmp_path, seeds=[0])
    words = [sys.executable, "-m", "parsenet", "ablate", str(path), "--out", str(tmp_path / "out")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    results = tmp_path / "out" / "results.jsonl"

    first = subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL)
    while first.poll() is None and (not results.is_file() or results.stat().st_size < 10):
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = results.read_bytes()
    again = subprocess.run(words, env=environment, capture_output=True, text=True)

    assert again.returncode == 0, again.stderr
    assert results.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    lines = [json.loads(line) for line in results.read_bytes().splitlines()]
    assert len({line["key"] for line in lines}) == len(lines) == 6
