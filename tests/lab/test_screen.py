"""The live table: what it says, and what stays when it ends."""

import io

import pytest
from rich.console import Console

from parsenet.lab.screen import Screen, draw_bar, draw_table
from parsenet.lab.standings import standing
from tests.fakes.lab import make_grid, result_of


def text_of(thing, width=80):
    console = Console(file=io.StringIO(), width=width)
    console.print(thing)
    return console.file.getvalue()


@pytest.fixture
def grid(tmp_path):
    return make_grid(tmp_path, title="A title that is a good deal longer than the table is wide")


def results_of(grid):
    plans = [plan for plan in grid.sweep() if plan.options.optim.lr == 0.01]
    return {plan.key: result_of(plan, 0.5, collapsed=plan.cell.row == "both") for plan in plans}


def test_cells_tell_figure_seeds_and_rate(grid):
    results = results_of(grid)

    text = text_of(draw_table(grid, {x: standing(grid, x, results) for x in grid.cells}))

    rows = [line.replace("│", " ").split() for line in text.splitlines() if "│" in line]
    assert rows == [
        ["fc7", "50.00", "(1,", "1e-2)"],
        ["both", "50.00*", "(1,", "1e-2)", "50.00*", "(1,", "1e-2)"],
    ]


def test_bar_tells_runs_and_time_left():
    told = text_of(draw_bar(3, 1, 12, 4000.0)).split("━")[-1].strip()

    assert told == "3 of 12 runs done, 1 failed, about 1:06:40 left"


def test_last_frame_has_every_run_and_names_none_under_way(grid, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    results, out = {}, io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    with Screen() as screen:
        screen.show(grid, results, 0, ["fc7 / raw, iteration 3"])
        results |= results_of(grid)
        screen.show(grid, results, 0, ["both / raw, iteration 1"])

    before, _, last = out.getvalue().rpartition("A title")
    assert "fc7 / raw, iteration 3" in before
    assert "3 of 12 runs done" in last
    assert "iteration" not in last
