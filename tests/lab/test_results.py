"""The results file survives what happens to files."""

import re

import pytest

from parsenet.errors import ConfigError
from parsenet.lab.results import ResultsFile, identify, plain
from tests.fakes.lab import make_grid, result_of


def test_results_are_read_as_they_were_added_and_the_last_line_of_a_key_counts(tmp_path):
    file = ResultsFile(tmp_path / "new" / "results.jsonl")
    assert file.read() == {}

    file.add({"key": "a", "inputs": {}, "failed": "no memory"})
    file.add({"key": "b", "inputs": {}, "score": None})
    file.add({"key": "a", "inputs": {}, "score": 0.1})

    assert file.read() == {
        "a": {"key": "a", "inputs": {}, "score": 0.1},
        "b": {"key": "b", "inputs": {}, "score": None},
    }


@pytest.mark.parametrize("torn", [b"{", b'{"key": "b"}', b'{"key": "b", "sco'])
def test_torn_last_line_is_no_result_and_is_cut_off(tmp_path, torn):
    file = ResultsFile(tmp_path / "results.jsonl")
    file.path.write_bytes(b'{"key": "a", "inputs": {}}\n' + torn)

    before = file.read()
    file.add({"key": "c"})

    assert list(before) == ["a"]
    assert file.path.read_bytes() == b'{"key": "a", "inputs": {}}\n{"key": "c"}\n'


@pytest.mark.parametrize("line", ["<<<<<<< HEAD", '{"key": "e00dba9d5983065f"}', "[]"])
def test_line_that_is_no_result_is_named(tmp_path, line):
    file = ResultsFile(tmp_path / "results.jsonl")
    file.path.write_text(f'{{"key": "a", "inputs": {{}}}}\n{line}\n')

    with pytest.raises(ConfigError) as caught:
        file.read()

    assert str(caught.value) == (
        f"Line 2 of '{file.path}' must be the result of a run with its `inputs`, got '{line}'. "
        "Remove the line, and that run is made again; `python data_tools/convert_results.py` "
        "converts lines of an earlier version."
    )


def test_line_that_was_cut_short_by_a_full_disk_is_told(tmp_path):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match="No space left"):
            ResultsFile(tmp_path / "results.jsonl").add({"key": "a", "inputs": {}})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert ResultsFile(tmp_path / "results.jsonl").read() == {}


def with_weights(folder, content):
    """Return a grid whose weights file holds this; the file is gone again."""
    (folder / "w.npz").write_bytes(content)
    grid = make_grid(folder, set={"model": {"network": {"weights": str(folder / "w.npz")}}})
    (folder / "w.npz").unlink()
    return grid


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
    with file.alone():  # the lock has ended with its runner
        assert file.read() == {}


def test_plain_values_are_those_that_json_gives_back():
    result = {"a": float("nan"), "b": [float("inf"), (1, 2.5)], "c": {"d": -float("inf")}}

    assert plain(result) == {"a": None, "b": [None, [1, 2.5]], "c": {"d": None}}
