"""Results of before are brought to today's form, and say so."""

import json

import pytest

from data_tools.convert_results import main
from parsenet.lab.results import ResultsFile
from tests.fakes.lab import make_grid, result_of


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "w.npz").write_bytes(b"weights")
    weights = {"model": {"network": {"weights": str(tmp_path / "w.npz")}}}
    return next(make_grid(tmp_path, set=weights).sweep())


@pytest.fixture
def old(tmp_path, plan):
    """What was recorded of a run before, and a failed one."""
    row = result_of(plan, 0.5)
    del row["inputs"]
    row["key"], row["num_pictures"] = "e00dba9d5983065f", row.pop("num_images")
    row["config"]["scoring"]["pictures"] = row["config"]["scoring"].pop("images")
    row["config"]["data"] |= {"cache": "none", "cache_limit": 4.0}
    rows = [row, {"key": "0123456789abcdef", "failed": "no memory"}]
    (tmp_path / "old.jsonl").write_text("".join(json.dumps(x) + "\n" for x in rows))
    return row


def test_converted_run_is_known_tells_its_old_key_and_stays(tmp_path, plan, old, capsys):
    path, weights = tmp_path / "old.jsonl", str(tmp_path / "w.npz")

    assert main([str(path), "--weights", weights]) == 0

    new = ResultsFile(path).read()[plan.key]
    assert plan.options.agree_with(new["config"])
    assert (new["converted_from"], new["inputs"]) == (old["key"], plan.options.inputs)
    assert (new["num_images"], new["config"]) == (3, plan.options.to_dict())
    same = old.keys() - {"key", "config", "num_pictures"}
    assert {name: new[name] for name in same} == {name: old[name] for name in same}
    told = f"'{path}': 1 of 2 lines converted, 1 failed left out.\n"
    assert capsys.readouterr().out == told
    before = path.read_bytes()
    assert main([str(path)]) == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["old.jsonl"], "`--weights` must be the path of 'w.npz', got 'w.npz'."),
        (
            ["old.jsonl", "--weights", "other.npz"],
            "`--weights` must be the path of 'w.npz', got 'other.npz'.",
        ),
        (["no.jsonl"], "'no.jsonl' must be a results file. Check the path."),
    ],
)
@pytest.mark.usefixtures("old")
def test_what_does_not_fit_is_refused(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.npz").unlink()

    assert main(words) == 2

    assert capsys.readouterr().err == f"error: {message}\n"
