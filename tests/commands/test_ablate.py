"""`parsenet ablate` as it is typed: one real grid, run, continued and reported on."""

import json

import pytest

from parsenet.cli import main
from parsenet.lab.results import ResultsFile
from tests.fakes.lab import make_grid, result_of, write_grid


def report(folder, *words):
    """Report on what is in `kept.jsonl`."""
    places = ["--out", str(folder / "out"), "--results", str(folder / "kept.jsonl")]
    return main(["ablate", *words, str(write_grid(folder)), *places, "--report"])


def test_report_is_made_of_results_at_hand(tmp_path, capsys):
    plan, kept = next(make_grid(tmp_path).sweep()), ResultsFile(tmp_path / "kept.jsonl")
    kept.add(result_of(plan, 0.5))
    kept.add({"key": "of a row that was removed", "inputs": {}, "failed": "no memory"})

    assert report(tmp_path) == 0

    assert capsys.readouterr().out == f"Report: {tmp_path / 'out' / 'report.html'}\n"
    assert json.loads((tmp_path / "out" / "report.json").read_text())["num_done"] == 1


def test_failed_runs_exit_with_1(tmp_path):
    key = next(make_grid(tmp_path).sweep()).key
    failed = {"key": key, "inputs": {}, "failed": "no memory"}
    ResultsFile(tmp_path / "kept.jsonl").add(failed)

    assert report(tmp_path) == 1


@pytest.mark.parametrize("words", [(), ("--data.root", "none", "--trainer.max_steps=4")])
def test_report_without_a_run_of_the_grid_is_refused(tmp_path, capsys, words):
    kept = tmp_path / "kept.jsonl"
    ResultsFile(kept).add(result_of(next(make_grid(tmp_path).sweep()), 0.5) | {"key": "other"})

    assert report(tmp_path, *words) == 2

    assert capsys.readouterr().err == (
        f"error: '{kept}' must hold runs of '{tmp_path / 'tiny.yaml'}' to report on, got none of "
        "its 12. Make them without `--report`, name another file by `--results`, or give the "
        "options, data and weights that they were made with.\n"
    )
    assert not (tmp_path / "out").exists()


def test_missing_grid_exits_with_2(capsys):
    assert main(["ablate", "no.yaml"]) == 2

    message = "error: 'no.yaml' must be a YAML file, got nothing there. Check the path.\n"
    assert capsys.readouterr().err == message


@pytest.mark.slow
def test_grid_is_run_and_finished_runs_are_kept(tmp_path, capsys):
    words = ["ablate", str(write_grid(tmp_path, seeds=[0])), "--out", str(tmp_path / "out")]
    assert main([*words, "--devices", "cpu,cpu"]) == 0
    results = (tmp_path / "out" / "results.jsonl").read_bytes()

    assert main(words) == 0

    assert (tmp_path / "out" / "results.jsonl").read_bytes() == results
    assert len(results.splitlines()) == 6
    assert "data:image/jpeg" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.slow
def test_missing_data_are_told_once_and_end_the_grid(tmp_path, capsys):
    words = ["ablate", str(write_grid(tmp_path)), "--out", str(tmp_path / "out")]

    assert main([*words, "--data.dataset", "voc2012"]) == 2

    message = "error: `data.root` must be set for `dataset: voc2012`."
    assert capsys.readouterr().err.startswith(message)
