"""Best rates, intervals, and which runs are wanted."""

import pytest
from scipy import stats

from parsenet.errors import ConfigError
from parsenet.lab.grid import Cell, Score
from parsenet.lab.results import estimate, figure, finished, standing, wanted
from tests.fakes.lab import make_grid, result_of

CELL = Cell("fc7", "raw")
ONE_CELL = {"rows": {"fc7": {}}, "columns": {"raw": {}}, "leave_out": [], "paper": {}}


def results_of(grid, scores, collapsed=()):
    """Results of one cell: {(lr, seed): score}."""
    plans = {place: grid.plan(CELL, *place) for place in scores}
    return {
        plan.key: result_of(plan, scores[place], place in collapsed)
        for place, plan in plans.items()
    }


def test_figure_is_the_metric_or_the_mean_of_chosen_classes(tmp_path):
    result = result_of(make_grid(tmp_path).plan(CELL, 0.1, 0), 0.6)

    assert figure(result, Score("mean_iou", ())) == 0.6
    assert figure(result, Score("mean_iou", ("a", "b", "c"))) == 0.3  # b has no ground truth


def test_class_that_is_none_of_the_datas_is_refused(tmp_path):
    result = result_of(make_grid(tmp_path).plan(CELL, 0.1, 0), 0.6)

    message = "^`score.classes` must name classes of the data, got 'd'. Known: `a`, `b`, `c`.$"
    with pytest.raises(ConfigError, match=message):
        figure(result, Score("mean_iou", ("a", "d")))


def test_interval_is_that_of_student():
    values = [0.31, 0.35, 0.36]

    found = estimate(values)

    low, high = stats.t.interval(0.95, 2, loc=0.34, scale=stats.sem(values))
    assert found["mean"] == pytest.approx(0.34)
    assert found["half_width"] == pytest.approx((high - low) / 2)
    assert estimate([0.5]) == {"mean": 0.5, "half_width": None, "num_runs": 1}
    assert estimate([]) == {"mean": None, "half_width": None, "num_runs": 0}


def test_best_rate_is_the_best_of_the_sweep(tmp_path):
    grid = make_grid(tmp_path)
    results = results_of(grid, {(0.001, 0): 0.3, (0.01, 0): 0.2, (0.01, 1): 0.9})

    stand = standing(grid, CELL, results)

    assert stand.best_lr == 0.001
    assert [run["seed"] for run in stand.runs] == [0]


@pytest.mark.parametrize(
    ("scores", "working"),
    [
        ({1e-4: 0.35, 1e-3: 0.37, 1e-2: 0.40, 1e-1: 0.39}, [1e-3, 1e-2, 1e-1]),  # nine tenths
        ({1e-5: 0.39, 1e-4: 0.1, 1e-3: 0.39, 1e-2: 0.40}, [1e-3, 1e-2]),  # none beyond a gap
        ({1e-3: 0.39, 1e-2: 0.40, 1e-1: 0.0}, [1e-3, 1e-2]),
    ],
)
def test_rates_work_around_the_best_from_nine_tenths_of_it_up(tmp_path, scores, working):
    grid = make_grid(tmp_path, lrs=list(scores))
    results = results_of(grid, {(lr, 0): score for lr, score in scores.items()})

    assert standing(grid, CELL, results).working == working


def test_no_rate_works_where_all_collapsed(tmp_path):
    grid = make_grid(tmp_path)
    scores = {(0.001, 0): 0.1, (0.01, 0): 0.1}

    stand = standing(grid, CELL, results_of(grid, scores, collapsed=set(scores)))

    assert stand.working == []


def test_sweep_is_wanted_first(tmp_path):
    grid = make_grid(tmp_path)

    assert [plan.key for plan in wanted(grid, {})] == [plan.key for plan in grid.sweep()]


WHOLE = {(0.001, 0): 0.3, (0.01, 0): 0.2}


@pytest.mark.parametrize(
    ("scores", "failed", "under_way", "expected"),
    [
        ({(0.001, 0): 0.3}, (), (), [(0.01, 0)]),
        (WHOLE, (), (), [(0.001, 1), (0.001, 2)]),  # further seeds at the best rate
        ({(0.001, 0): 0.3}, (), [(0.01, 0)], []),  # which is not known yet
        ({(0.001, 0): 0.3}, [(0.01, 0)], (), [(0.001, 1), (0.001, 2)]),
        (WHOLE | {(0.001, 1): 0.3, (0.001, 2): 0.3}, (), (), []),
    ],
)
def test_sweep_is_wanted_then_further_seeds(tmp_path, scores, failed, under_way, expected):
    grid = make_grid(tmp_path, **ONE_CELL)
    results = results_of(grid, scores)
    results |= {grid.plan(CELL, *place).key: {"failed": "no memory"} for place in failed}

    plans = wanted(grid, results, [grid.plan(CELL, *place).key for place in under_way])

    assert [(plan.options.optim.lr, plan.options.seed) for plan in plans] == expected


def test_cells_of_equal_options_share_their_runs(tmp_path):
    grid = make_grid(tmp_path, rows={"a": {}, "b": {}}, leave_out=[], paper={})

    keys = [plan.key for plan in wanted(grid, {})]

    assert len(keys) == len(set(keys)) == 4  # two columns at two rates


def test_run_that_failed_or_had_another_default_does_not_count(tmp_path):
    grid = make_grid(tmp_path)
    good, failed, old = results_of(grid, {(0.01, 0): 0.5, (0.001, 0): 0.5, (0.01, 1): 0.5}).items()
    failed[1]["failed"] = "no memory"
    old[1]["config"]["model"]["optim"]["power"] = 7.0

    assert finished(grid, dict([good, failed, old])) == dict([good])
