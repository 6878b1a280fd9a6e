import re

import pytest

from parsenet.errors import DataNotFoundError
from parsenet.reports.runs import read_run
from tests.fakes.run import METRICS, RECORD, write_run


def test_record_and_scores_are_read(tmp_path):
    write_run(tmp_path / "first")

    run = read_run(tmp_path / "first")

    assert (run.name, run.record, run.metrics) == ("first", RECORD, METRICS)


def test_configuration_is_read_as_text(tmp_path):
    write_run(tmp_path / "first")

    assert read_run(tmp_path / "first").config == "seed_everything: 0\n"


def test_samples_are_listed_by_name(tmp_path):
    write_run(tmp_path / "first", num_samples=2)

    names = [path.name for path in read_run(tmp_path / "first").samples]

    assert names == ["sample_0.png", "sample_1.png"]


def test_curves_leave_out_the_gaps_of_the_csv(tmp_path):
    write_run(tmp_path / "first")

    curves = read_run(tmp_path / "first").curves

    assert curves["train/loss"][:2] == [(99, 1.0), (199, 0.5)]
    assert len(curves["val/mIoU"]) == 6


def test_values_that_are_not_finite_are_left_out(tmp_path):
    write_run(tmp_path / "first")
    csv = "epoch,step,loss\n0,1,nan\n0,2,inf\n0,3,2.5\n"
    (tmp_path / "first" / "metrics.csv").write_text(csv, encoding="utf-8")

    assert read_run(tmp_path / "first").curves == {"loss": [(3, 2.5)]}


def test_run_that_was_stopped_early_has_empty_parts(tmp_path):
    (tmp_path / "record.json").write_text("{}", encoding="utf-8")

    run = read_run(tmp_path)

    assert (run.metrics, run.curves, run.config, run.samples) == ({}, {}, "", ())


def test_folder_of_something_else_is_refused(tmp_path):
    message = (
        f"'{tmp_path}' must be a run folder, got neither `record.json` nor `metrics.json` "
        "in it. Give the folder that `parsenet fit` wrote."
    )

    with pytest.raises(DataNotFoundError, match=f"^{re.escape(message)}$"):
        read_run(tmp_path)
