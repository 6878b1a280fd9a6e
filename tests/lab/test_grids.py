"""Every grid that is shipped can be run: each of its cells is parsed and builds."""

import re
from functools import cache
from pathlib import Path

import pytest
import torch

from parsenet.data.build import taxonomy_of
from parsenet.lab.grid import Cell, read_grid
from parsenet.models.build import build_model

REPOSITORY = Path(__file__).parents[2]
GRIDS = sorted((REPOSITORY / "configs" / "ablations").glob("*.yaml"))


@cache
def grid_of(path):
    return read_grid(path)


each_grid = pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)


@each_grid
def test_every_cell_builds(path):
    grid = grid_of(path)

    for options in grid.cells.values():
        with torch.device("meta"):
            build_model(options.network, taxonomy_of(options.data).num_classes)
        assert options.trainer["max_steps"] > 0


@each_grid
def test_runs_of_a_grid_differ(path):
    plans = list(grid_of(path).sweep())

    assert len({plan.key for plan in plans}) == len(plans)


@each_grid
def test_grid_opens_with_its_command(path):
    head = path.read_text(encoding="utf-8").split("\n", 12)[:12]

    assert any(
        f"parsenet ablate configs/ablations/{path.name}" in line
        for line in head
        if line.startswith("#")
    )


def test_classes_that_are_averaged_exist():
    for path in GRIDS:
        grid = grid_of(path)
        names = {taxonomy_of(options.data).names for options in grid.cells.values()}
        assert all(set(grid.score.classes) <= set(classes) for classes in names)


def test_table_4_is_the_papers():
    grid = grid_of(REPOSITORY / "configs" / "ablations" / "table4_pascal_context.yaml")

    assert grid.rows == (
        "FCN-32s", "FCN-8s", "fc7", "pool6 + fc7", "+ conv5", "+ conv4", "+ conv3",
    )  # fmt: skip
    assert grid.paper["+ conv3", "norm"] == {"mean_iou": 40.4}
    assert grid.paper_collapsed == {Cell("+ conv3", "no norm")}
    assert len(grid.cells) == 12


def test_authors_recipe_is_that_of_the_released_solver():
    for name in ("table3_siftflow", "table4_pascal_context", "table5_voc2012"):
        grid = grid_of(REPOSITORY / "configs" / "ablations" / f"{name}.yaml")
        for options in grid.cells.values():
            optim, data, trainer = options.optim, options.data, options.trainer
            assert (optim.loss, optim.momentum, optim.power) == ("sum", 0.9, 0.9)
            assert (optim.score_lr_mult, optim.bias_lr_mult) == (10, 2)
            assert (data.batch_size, data.crop, data.flip, data.scale) == (1, None, False, (1, 1))
            assert (trainer["max_steps"], trainer["accumulate_grad_batches"]) == (20000, 8)
        assert grid.lrs[0] == 1e-8


def test_no_grid_names_what_is_on_one_machine():
    for path in GRIDS:
        assert not re.search(r"^ *root:", path.read_text(encoding="utf-8"), re.MULTILINE)
