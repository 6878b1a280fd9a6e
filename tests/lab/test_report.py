"""The report says what the results say, in every form."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from parsenet.lab.grid import Cell
from parsenet.lab.report import latex, list_tables, summarise, write_grid_report
from tests.fakes.lab import make_grid, result_of


@pytest.fixture
def grid(tmp_path):
    return make_grid(tmp_path)


def results_of(grid):
    """fc7 raw: three seeds at 0.001; both raw: collapsed; both norm: nothing yet."""
    scores = {
        ("fc7", 0.001, 0): 0.5, ("fc7", 0.001, 1): 0.52, ("fc7", 0.001, 2): 0.54,
        ("fc7", 0.01, 0): 0.2, ("both", 0.001, 0): 0.1, ("both", 0.01, 0): 0.05,
    }  # fmt: skip
    plans = {place: grid.plan(Cell(place[0], "raw"), *place[1:]) for place in scores}
    return {
        plan.key: result_of(plan, scores[place], collapsed=place[0] == "both")
        for place, plan in plans.items()
    }


def test_tables_tell_best_rates_collapses_and_the_difference_to_the_paper(grid):
    tables = list_tables(summarise(grid, results_of(grid)))

    _, heads, rows, _ = tables["Every cell at its best rate"]
    assert heads[2:] == ["mean IoU", "n", "best lr", "rates that work", "decades", "collapsed"]
    assert rows == [
        ["fc7", "raw", "52.00 ± 4.97", "3", "1e-3", "1e-3", "0.0", "0 of 3"],
        ["both", "norm", "-", "0", "-", "none", "-", "0 of 0"],
        ["both", "raw", "10.00", "1", "1e-3", "none", "-", "1 of 1"],
    ]
    _, heads, rows, _ = tables["Every rate"]
    assert heads == ["", "", "1e-3", "1e-2"]
    assert rows[::2] == [["fc7", "raw", "50.00", "20.00"], ["both", "raw", "10.00*", "5.00*"]]
    _, _, rows, _ = tables["Against the paper: mean IoU"]
    assert rows[0] == ["fc7", "raw", "50.00", "52.00 ± 4.97", "+2.00"]
    assert rows[2] == ["both", "raw", "collapsed", "10.00", "-"]
    assert [title for title in tables if "paper" in title] == ["Against the paper: mean IoU"]


def test_rates_that_work_are_told_as_a_range(tmp_path):
    grid = make_grid(tmp_path, lrs=[1e-4, 2.5e-4, 1e-3, 1e-2])
    plans = [grid.plan(Cell("fc7", "raw"), lr, 0) for lr in grid.lrs[:3]]

    tables = list_tables(summarise(grid, {plan.key: result_of(plan, 0.5) for plan in plans}))

    assert tables["Every cell at its best rate"][2][0][4:7] == [
        "1e-4", "1e-4 to 1e-3", "1.0",
    ]  # fmt: skip


def test_report_is_written_in_four_forms(grid, tmp_path):
    path = write_grid_report(grid, results_of(grid), tmp_path / "out")

    markdown = (tmp_path / "out" / "report.md").read_text()
    record = json.loads((tmp_path / "out" / "report.json").read_text())
    latex = (tmp_path / "out" / "report.tex").read_text()
    told = "\n\n6 of 12 runs are there, 2 of them collapsed; 3.6 minutes of runs in all.\n\n"
    assert markdown.startswith(f"# Tiny{told}The figure of a run is its mean IoU, scored once")
    assert "- both, raw: everything is sky" in markdown
    assert "- 6 runs: 2026-01-02, cpu: X, 2 threads, 32-true, torch 2, commit aaaaaaa-dirty" in (
        markdown
    )
    assert all((tmp_path / "out" / name).is_file() for name in re.findall(r"\((.*svg)\)", markdown))
    assert record["cells"][0]["score"]["mean"] == pytest.approx(0.52)
    assert r"fc7 &  & $52.00 \pm 4.97$ (50.0) \\" in latex
    assert "everything is sky" in path.read_text()


def test_latex_has_the_papers_figure_of_the_metric_that_cells_are_ranked_by(tmp_path):
    paper = {"fc7": {"raw": {"pixel_accuracy": 70.0}}}
    ranked = make_grid(tmp_path, paper=paper, score={"metric": "pixel_accuracy"})
    other = make_grid(tmp_path, paper=paper)

    assert r"fc7 &  & $50.00 \pm 0.00$ (70.0) \\" in latex(summarise(ranked, results_of(ranked)))
    assert r"fc7 &  & $52.00 \pm 4.97$ \\" in latex(summarise(other, results_of(other)))


def test_page_shows_the_same_image_for_all_cells(grid, tmp_path):
    results = results_of(grid)
    shown = [cell["shown"] for cell in summarise(grid, results)["cells"] if "shown" in cell]
    for folder in ("image", "ground_truth", *shown):
        (tmp_path / "samples" / folder).mkdir(parents=True)
        pixels = np.full((6, 8, 3), 9, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "samples" / folder / "one.png")

    page = write_grid_report(grid, results, tmp_path).read_text()

    (sheet,) = re.findall(r'<img [^>]*src="data:image/jpeg;base64,([^"]+)"', page)
    with Image.open(io.BytesIO(base64.b64decode(sheet))) as opened:
        assert opened.width > 4 * 240  # image, ground truth and two cells
    assert len(shown) == 2


def test_empty_grid_has_a_report(grid, tmp_path):
    page = write_grid_report(grid, {}, tmp_path).read_text()

    assert "0 of 12 runs are there" in page
