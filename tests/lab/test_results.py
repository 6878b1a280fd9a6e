"""The results file survives what happens to files."""

import re
from pathlib import Path

import pytest

from parsenet.errors import ConfigError
from parsenet.lab.results import ResultsFile, finished, identify, plain
from tests.fakes.lab import make_grid, result_of


def test_results_are_read_as_they_were_added(tmp_path):
    file = ResultsFile(tmp_path / "new" / "results.jsonl")

    file.add({"key": "a", "inputs": {}, "score": 0.1})
    file.add({"key": "b", "inputs": {}, "score": None})

    assert file.read() == {
        "a": {"key": "a", "inputs": {}, "score": 0.1},
        "b": {"key": "b", "inputs": {}, "score": None},
    }


def test_missing_file_holds_no_results(tmp_path):
    assert ResultsFile(tmp_path / "results.jsonl").read() == {}


def test_last_line_of_a_key_counts(tmp_path):
    file = ResultsFile(tmp_path / "results.jsonl")

    file.add({"key": "a", "inputs": {}, "failed": "no memory"})
    file.add({"key": "a", "inputs": {}, "score": 1})

    assert file.read() == {"a": {"key": "a", "inputs": {}, "score": 1}}


@pytest.mark.parametrize("torn", [b"{", b'{"key": "b"}', b'{"key": "b", "sco'])
def test_torn_last_line_is_no_result_and_is_cut_off(tmp_path, torn):
    file = ResultsFile(tmp_path / "results.jsonl")
    file.path.write_bytes(b'{"key": "a", "inputs": {}}\n' + torn)

    before = file.read()
    file.add({"key": "c"})

    assert list(before) == ["a"]
    assert file.path.read_bytes() == b'{"key": "a", "inputs": {}}\n{"key": "c"}\n'


def test_whole_line_that_is_no_result_is_named(tmp_path):
    file = ResultsFile(tmp_path / "results.jsonl")
    file.path.write_bytes(b'{"key": "a", "inputs": {}}\n<<<<<<< HEAD\n')
    message = (
        f"Line 2 of '{file.path}' must be the result of a run, got '<<<<<<< HEAD'. Remove the "
        "line; that run is made again."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        file.read()


def test_line_of_an_earlier_version_is_refused_with_the_tool_that_converts_it(tmp_path):
    file = ResultsFile(tmp_path / "results.jsonl")
    file.add({"key": "e00dba9d5983065f"})
    message = (
        f"Line 1 of '{file.path}' must tell the data and weights of its run in `inputs`, got a "
        "line of an earlier version. `python data_tools/convert_results.py` adds them."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        file.read()


def test_full_disk_is_no_result(tmp_path, monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *reason):
            pass

        def truncate(self, size):
            pass

        def write(self, line):
            return len(line) - 1

    file = ResultsFile(tmp_path / "results.jsonl")
    file.path.touch()
    monkeypatch.setattr(Path, "open", lambda *args, **options: Full())
    monkeypatch.setattr(Path, "read_bytes", lambda path: b"")

    with pytest.raises(OSError, match="No space left"):
        file.add({"key": "a"})


def with_weights(folder, content, name="w.npz"):
    """Return a grid whose weights file holds this; the file is gone again."""
    (folder / name).write_bytes(content)
    grid = make_grid(folder, set={"model": {"network": {"weights": str(folder / name)}}})
    (folder / name).unlink()
    return grid


def test_runs_on_other_weights_of_the_same_name_are_none_of_this_grid(tmp_path):
    grids = [with_weights(tmp_path, content) for content in (b"one", b"other")]
    plan = next(grids[0].sweep())
    results = {plan.key: result_of(plan, 0.5)}

    assert list(finished(grids[0], results)) == [plan.key]
    assert not any(other.key in results for other in grids[1].plans())


def test_report_takes_what_is_not_at_hand_from_the_runs(tmp_path):
    grid, file = with_weights(tmp_path, b"one"), ResultsFile(tmp_path / "results.jsonl")
    file.add(result_of(next(grid.sweep()), 0.5))

    found = identify(grid.with_inputs(lambda options: {}), file)

    assert next(found.sweep()).key == next(grid.sweep()).key


def test_report_on_runs_with_two_weights_of_one_name_is_refused(tmp_path):
    file = ResultsFile(tmp_path / "results.jsonl")
    for content in (b"one", b"other"):
        grid = with_weights(tmp_path, content)
        file.add(result_of(next(grid.sweep()), 0.5))
    message = (
        f"'{file.path}' must hold runs with one 'w.npz', got 2 of that name and other content. "
        "Tell which by `--data.root DIR` and `--model.network.weights FILE`."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        identify(grid, file)


def test_second_runner_is_refused(tmp_path):
    file = ResultsFile(tmp_path / "results.jsonl")
    message = f"'{file.path}' must be free, got another `parsenet ablate` at work on it."

    with (
        file.alone(),
        pytest.raises(ConfigError, match=re.escape(message)),
        ResultsFile(file.path).alone(),
    ):
        pass


def test_lock_ends_with_its_runner(tmp_path):
    file = ResultsFile(tmp_path / "results.jsonl")
    with file.alone():
        pass

    with file.alone():
        assert file.read() == {}


def test_plain_values_are_those_that_json_gives_back():
    result = {"a": float("nan"), "b": [float("inf"), (1, 2.5)], "c": {"d": -float("inf")}}

    assert plain(result) == {"a": None, "b": [None, [1, 2.5]], "c": {"d": None}}
