"""One run: what it tells, and that a bad end is a result."""

import math

import pytest
import torch

from parsenet.errors import ConfigError
from parsenet.lab.grid import read_grid
from parsenet.lab.train import Bench, judge
from parsenet.lab.watch import Watch, thin
from parsenet.reports.tables import SUMMARY
from tests.fakes.lab import make_grid, write_grid


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench("cpu", tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="module")
def result(bench, tmp_path_factory):
    grid = make_grid(tmp_path_factory.mktemp("grid"))
    return bench.run(grid.cells["both", "norm"].at(0.01, 0))


def test_result_tells_everything(bench, result):
    assert [x for x, _ in result["curve"]] == [1, 2, 3]
    assert all(math.isfinite(loss) for _, loss in result["curve"])
    assert {"conv3", "conv4", "conv5", "fc7", "pool6"} <= set(result["norms"])
    assert [x for x, _ in result["norms"]["fc7"]] == [0, 1, 2]
    assert set(result["scales"]) == {"pool6", "fc7"}
    assert result["scales"]["fc7"]["low"] != 10.0  # it has learned
    assert (result["num_images"], set(result["scores"])) == (3, set(SUMMARY))
    assert sum(result["class_pixels"].values()) == 3 * 96 * 128
    (name,) = result["samples"]
    for folder in (result["key"], "image", "ground_truth"):
        assert (bench.out_dir / "samples" / folder / f"{name}.png").is_file()


def test_equal_seeds_give_equal_results(bench, result, tmp_path):
    again = bench.run(make_grid(tmp_path).cells["both", "norm"].at(0.01, 0))

    for name in ("key", "curve", "norms", "scores"):
        assert again[name] == result[name]


def test_feature_norm_is_the_mean_length_of_a_pixels_vector(tmp_path):
    watch = Watch()
    maps = {"fc7": torch.tensor([[[[3.0, 0.0]], [[4.0, 1.0]]]])}  # (1, 2, 1, 2): lengths 5 and 1
    watch.look(0, maps)

    assert watch.norms["fc7"] == [(0, 3.0)]
    assert watch.norms["pool6"] == [(0, pytest.approx(math.hypot(1.5, 2.5)))]


@pytest.mark.parametrize(("share", "collapsed"), [(0.9989, False), (0.999, True)])
def test_one_predicted_class_is_a_collapse(share, collapsed):
    reason = "'sky' was predicted on 99.90 % of the pixels" if collapsed else None
    assert judge("sky", share) == reason


def test_wrong_option_of_the_trainer_is_refused(bench, tmp_path):
    grid = read_grid(write_grid(tmp_path), ["--trainer.max_step", "3"])
    message = r"^`trainer` must hold options of Lightning's Trainer, got: .*max_step'"

    with pytest.raises(ConfigError, match=message):
        bench.run(grid.cells["fc7", "raw"])


def test_curve_is_averaged_over_blocks_and_counts_iterations():
    assert thin([1.0, 3.0, 5.0], 1) == [(1, 1.0), (2, 3.0), (3, 5.0)]
    assert thin([float(x) for x in range(100)], 1)[:2] == [(2, 0.5), (4, 2.5)]
    assert thin([1.0, 3.0, 5.0, 7.0], 2) == [(1, 2.0), (2, 6.0)]


@pytest.mark.parametrize("stopped_at", [10, 20])
def test_killed_run_goes_on_exactly(tmp_path, monkeypatch, stopped_at):
    """An epoch has 16 batches, so the second stop lies in the next one."""
    words = ["--trainer.max_steps=26", "--model.network.dropout=0.5", "--data.batch_size=24"]
    options = read_grid(write_grid(tmp_path), words).cells["both", "norm"].at(0.01, 0)
    whole = Bench("cpu", tmp_path / "whole").run(options)
    state = options.state_in(tmp_path / "out")

    def stop(watch, trainer, *rest):
        on_end(watch, trainer, *rest)
        if trainer.global_step >= stopped_at:
            raise RuntimeError("stopped")

    on_end, steps = Watch.on_train_batch_end, []
    monkeypatch.setattr(Watch, "on_train_batch_end", stop)
    with pytest.raises(RuntimeError, match="stopped"):
        Bench("cpu", tmp_path / "out", save_every=0.0).run(options)
    assert state.is_file()
    on_start = Watch.on_train_start
    monkeypatch.setattr(Watch, "on_train_batch_end", on_end)
    monkeypatch.setattr(
        Watch, "on_train_start", lambda *x: (steps.append(x[1].global_step), on_start(*x))
    )
    result = Bench("cpu", tmp_path / "out").run(options)

    assert steps[0] >= stopped_at - 1
    for name in ("curve", "norms", "scales", "scores", "num_iterations", "highest_loss"):
        assert result[name] == whole[name]
    assert state.is_file()  # until the result is on disk


def test_state_that_cannot_be_read_begins_anew(bench, result, tmp_path):
    options = make_grid(tmp_path).cells["both", "norm"].at(0.01, 0)
    state = options.state_in(bench.out_dir)
    state.parent.mkdir()
    state.write_bytes(b"half of it")

    assert bench.run(options)["curve"] == result["curve"]
    assert not state.exists()


def test_state_of_other_options_begins_anew(result, tmp_path):
    other = make_grid(tmp_path).cells["both", "norm"].at(0.02, 0)
    bench = Bench("cpu", tmp_path, save_every=0.0)
    of_other = bench.run(other)
    options = other.at(0.01, 0)
    other.state_in(tmp_path).rename(options.state_in(tmp_path))  # as if a default had been changed

    again = bench.run(options)

    assert again["curve"] == result["curve"] != of_other["curve"]


def test_state_that_cannot_be_taken_up_is_in_the_way_once(result, tmp_path):
    options = make_grid(tmp_path).cells["both", "norm"].at(0.01, 0)
    bench = Bench("cpu", tmp_path, save_every=0.0)
    bench.run(options)
    state = options.state_in(tmp_path)
    content = torch.load(state, weights_only=True)
    del content["callbacks"]["Watch"]["seconds"]  # as if written by other code
    torch.save(content, state)

    with pytest.raises(KeyError, match="seconds"):
        bench.run(options)

    assert bench.run(options)["curve"] == result["curve"]


def test_run_that_diverged_and_was_killed_before_its_scoring_stays_diverged(tmp_path, monkeypatch):
    words = ["--model.network.rescale", "{conv3: 1.0e+30}", "--trainer.max_steps", "20"]
    rows = {"all": {"model": {"network": {"features": ["fc7", "conv3"]}}}}
    grid = read_grid(write_grid(tmp_path, rows=rows, leave_out=[], paper={}), words)
    options = grid.cells["all", "raw"].at(0.1, 0)
    bench = Bench("cpu", tmp_path / "out", save_every=0.0)
    with monkeypatch.context() as patch:
        patch.setattr("parsenet.lab.train._score", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            bench.run(options)

    resumed = bench.run(options)
    options.state_in(bench.out_dir).unlink()
    whole = bench.run(options)
    assert resumed["num_iterations"] == whole["num_iterations"] < 20
    assert resumed["reason"] == whole["reason"]
    assert whole["collapsed"]
    assert whole["reason"].startswith("the loss was ")
