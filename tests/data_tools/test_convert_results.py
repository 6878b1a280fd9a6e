"""Results of before are brought to today's form, and say so."""

import json
import re

import pytest

from data_tools.convert_results import main
from parsenet.lab.results import ResultsFile, finished
from tests.fakes.lab import make_grid, result_of


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "w.npz"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def grid(tmp_path, weights):
    return make_grid(tmp_path, set={"model": {"network": {"weights": str(weights)}}})


def write_old(path, plan):
    """Write what was recorded of a run before, and a failed one."""
    row = result_of(plan, 0.5)
    del row["inputs"]
    row["key"], row["num_pictures"] = "e00dba9d5983065f", row.pop("num_images")
    row["config"]["scoring"]["pictures"] = row["config"]["scoring"].pop("images")
    row["config"]["data"] |= {"cache": "none", "cache_limit": 4.0}
    rows = [row, {"key": "0123456789abcdef", "failed": "no memory"}]
    path.write_text("".join(json.dumps(x) + "\n" for x in rows))
    return row


def test_converted_run_is_known_and_tells_its_old_key(tmp_path, grid, weights, capsys):
    plan, path = next(grid.sweep()), tmp_path / "results.jsonl"
    old = write_old(path, plan)

    assert main([str(path), "--weights", str(weights)]) == 0

    new = finished(grid, ResultsFile(path).read())[plan.key]
    assert (new["converted_from"], new["inputs"]) == (old["key"], plan.options.inputs)
    assert (new["num_images"], new["config"]) == (3, plan.options.to_dict())
    same = old.keys() - {"key", "config", "num_pictures"}
    assert {name: new[name] for name in same} == {name: old[name] for name in same}
    told = f"'{path}': 1 of 2 lines converted, 1 of failed runs left out.\n"
    assert capsys.readouterr().out == told


def test_converted_file_stays_as_it_is(tmp_path, grid, weights):
    path = tmp_path / "results.jsonl"
    write_old(path, next(grid.sweep()))
    main([str(path), "--weights", str(weights)])
    before = path.read_bytes()

    assert main([str(path)]) == 0

    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "`--weights` must be the path of 'w.npz', got 'w.npz'."),
        (
            ["--weights", "other.npz"],
            "`--weights` must be the file that the runs started from, 'w.npz', got 'other.npz'.",
        ),
    ],
)
def test_other_weights_are_refused(tmp_path, grid, capsys, words, message):
    path = tmp_path / "results.jsonl"
    write_old(path, next(grid.sweep()))

    assert main([str(path), *words]) == 2

    assert capsys.readouterr().err == f"error: {message}\n"


def test_missing_file_is_named(capsys):
    assert main(["no.jsonl"]) == 2

    assert re.match("error: 'no.jsonl' must be a results file", capsys.readouterr().err)
