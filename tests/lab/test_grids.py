"""Every grid that is shipped can be run: each of its cells is parsed and builds."""

import re
from functools import cache
from pathlib import Path

import pytest
import torch

from parsenet.data.build import taxonomy_of
from parsenet.lab.grid import read_grid
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
        assert set(grid.score.classes) <= set(taxonomy_of(options.data).names)
        with torch.device("meta"):
            build_model(options.network, taxonomy_of(options.data).num_classes)
        assert options.trainer["max_steps"] > 0


@each_grid
def test_runs_of_a_grid_differ(path):
    plans = list(grid_of(path).sweep())

    assert len({plan.key for plan in plans}) == len(plans)


@each_grid
def test_grid_opens_with_its_command_and_names_no_place_of_one_machine(path):
    text = path.read_text(encoding="utf-8")

    assert re.search(rf"^#.*parsenet ablate configs/ablations/{path.name}", text, re.MULTILINE)
    assert not re.search(r"^ *root:", text, re.MULTILINE)


def test_table_4_is_the_papers():
    grid = grid_of(REPOSITORY / "configs" / "ablations" / "table4_pascal_context.yaml")

    assert grid.rows == (
        "FCN-32s", "FCN-8s", "fc7", "pool6 + fc7", "+ conv5", "+ conv4", "+ conv3",
    )  # fmt: skip
    assert grid.paper["+ conv3", "norm"] == {"mean_iou": 40.4}
    assert grid.paper["+ conv3", "no norm"] == {}  # collapsed
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
