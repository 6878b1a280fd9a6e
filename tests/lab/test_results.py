"""The results file survives what happens to files."""

import re

import pytest

from parsenet.errors import ConfigError
from parsenet.lab.results import ResultsFile, plain


def test_results_are_read_as_they_were_added(tmp_path):
    file = ResultsFile(tmp_path / "new" / "results.jsonl")

    file.add({"key": "a", "score": 0.1})
    file.add({"key": "b", "score": None})

    assert file.read() == {"a": {"key": "a", "score": 0.1}, "b": {"key": "b", "score": None}}


def test_missing_file_holds_no_results(tmp_path):
    assert ResultsFile(tmp_path / "results.jsonl").read() == {}


def test_last_line_of_a_key_counts(tmp_path):
    file = ResultsFile(tmp_path / "results.jsonl")

    file.add({"key": "a", "failed": "no memory"})
    file.add({"key": "a", "score": 1})

    assert file.read() == {"a": {"key": "a", "score": 1}}


@pytest.mark.parametrize("torn", [b"{", b'{"key": "b"}', b'{"key": "b", "sco'])
def test_torn_last_line_is_no_result_and_is_cut_off(tmp_path, torn):
    file = ResultsFile(tmp_path / "results.jsonl")
    file.path.write_bytes(b'{"key": "a"}\n' + torn)

    before = file.read()
    file.add({"key": "c"})

    assert list(before) == ["a"]
    assert file.path.read_bytes() == b'{"key": "a"}\n{"key": "c"}\n'


def test_whole_line_that_is_no_result_is_named(tmp_path):
    file = ResultsFile(tmp_path / "results.jsonl")
    file.path.write_bytes(b'{"key": "a"}\n<<<<<<< HEAD\n')
    message = (
        f"Line 2 of '{file.path}' must be the result of a run, got '<<<<<<< HEAD'. Remove the "
        "line; that run is made again."
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        file.read()


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
