"""Best rates, intervals, and which runs are wanted."""

import pytest
from scipy import stats

from parsenet.errors import ConfigError
from parsenet.lab.grid import Cell, Score
from parsenet.lab.results import Estimate, estimate, figure, finished, standing, wanted
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


def places(plans):
    return [(*plan.cell, plan.options.optim.lr, plan.options.seed) for plan in plans]


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
    assert found.mean == pytest.approx(0.34)
    assert found.half_width == pytest.approx((high - low) / 2)
    assert [estimate([0.5]), estimate([])] == [Estimate(0.5, None, 1), Estimate(None, None, 0)]


def test_best_rate_is_the_best_of_the_sweep(tmp_path):
    grid = make_grid(tmp_path)
    results = results_of(grid, {(0.001, 0): 0.3, (0.01, 0): 0.2, (0.01, 1): 0.9})

    stand = standing(grid, CELL, results)

    assert stand.best_lr == 0.001
    assert [run["seed"] for run in stand.runs] == [0]


@pytest.mark.parametrize(
    ("scores", "working"),
    [
        ({1e-4: 0.35, 1e-3: 0.37, 1e-2: 0.40, 1e-1: 0.39}, (1e-3, 1e-2, 1e-1)),  # nine tenths
        ({1e-5: 0.39, 1e-4: 0.1, 1e-3: 0.39, 1e-2: 0.40}, (1e-3, 1e-2)),  # none beyond a gap
        ({1e-3: 0.39, 1e-2: 0.40, 1e-1: 0.0}, (1e-3, 1e-2)),
    ],
)
def test_rates_work_around_the_best_from_nine_tenths_of_it_up(tmp_path, scores, working):
    grid = make_grid(tmp_path, lrs=list(scores))
    results = results_of(grid, {(lr, 0): score for lr, score in scores.items()})

    stand = standing(grid, CELL, results)

    assert stand.working == working
    assert stand.decades == pytest.approx(len(working) - 1)


def test_no_rate_works_where_all_collapsed(tmp_path):
    grid = make_grid(tmp_path)
    scores = {(0.001, 0): 0.1, (0.01, 0): 0.1}

    stand = standing(grid, CELL, results_of(grid, scores, collapsed=set(scores)))

    assert (stand.working, stand.decades) == ((), None)


def test_sweep_is_wanted_first(tmp_path):
    grid = make_grid(tmp_path)

    assert [plan.key for plan in wanted(grid, {}, ())] == [plan.key for plan in grid.sweep()]


def test_further_seeds_are_wanted_at_the_best_rate_once_the_sweep_is_there(tmp_path):
    grid = make_grid(tmp_path, **ONE_CELL)
    half = results_of(grid, {(0.001, 0): 0.3})
    whole = results_of(grid, {(0.001, 0): 0.3, (0.01, 0): 0.2})

    assert places(wanted(grid, half, ())) == [("fc7", "raw", 0.01, 0)]
    assert places(wanted(grid, whole, ())) == [
        ("fc7", "raw", 0.001, 1), ("fc7", "raw", 0.001, 2),
    ]  # fmt: skip


def test_no_further_seed_is_wanted_while_the_sweep_is_under_way(tmp_path):
    grid = make_grid(tmp_path, **ONE_CELL)
    results = results_of(grid, {(0.001, 0): 0.3})
    under_way = {grid.plan(CELL, 0.01, 0).key}

    assert wanted(grid, results, (), under_way) == []


def test_failed_runs_do_not_hold_a_cell_up(tmp_path):
    grid = make_grid(tmp_path, **ONE_CELL)
    results = results_of(grid, {(0.001, 0): 0.3})
    failed = grid.plan(CELL, 0.01, 0).key

    assert [seed for *_, seed in places(wanted(grid, results, {failed}))] == [1, 2]


def test_finished_grid_wants_nothing(tmp_path):
    grid = make_grid(tmp_path, **ONE_CELL)
    scores = {(0.001, 0): 0.3, (0.01, 0): 0.2, (0.001, 1): 0.3, (0.001, 2): 0.3}

    results = results_of(grid, scores)

    assert wanted(grid, results, ()) == []
    assert len(results) == grid.num_runs


def test_cells_of_equal_options_share_their_runs(tmp_path):
    grid = make_grid(tmp_path, rows={"a": {}, "b": {}}, leave_out=[], paper={})

    keys = [plan.key for plan in wanted(grid, {}, ())]

    assert len(keys) == len(set(keys)) == 4  # two columns at two rates


def test_run_that_failed_or_had_another_default_does_not_count(tmp_path):
    grid = make_grid(tmp_path)
    good, failed, old = results_of(grid, {(0.01, 0): 0.5, (0.001, 0): 0.5, (0.01, 1): 0.5}).items()
    failed[1]["failed"] = "no memory"
    old[1]["config"]["model"]["optim"]["power"] = 7.0

    assert finished(grid, dict([good, failed, old])) == dict([good])
