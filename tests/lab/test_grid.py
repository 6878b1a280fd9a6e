"""Grid files: what they may say, and which runs they stand for."""

import re

import pytest
import yaml

from parsenet.errors import ConfigError
from parsenet.lab.grid import Cell, merge, parse_overrides, read_grid
from tests.fakes.lab import GRID, make_grid, write_grid


def test_cells_are_rows_times_columns_without_those_left_out(tmp_path):
    grid = make_grid(tmp_path)

    assert list(grid.cells) == [Cell("fc7", "raw"), Cell("both", "norm"), Cell("both", "raw")]


def test_cell_has_the_options_of_its_row_and_column(tmp_path):
    network = make_grid(tmp_path).cells["both", "raw"].network

    assert (network.features, network.normalize, network.trunk) == (
        ("pool6", "fc7"), False, "tiny",
    )  # fmt: skip


def test_overrides_win_over_the_base_but_not_over_a_row(tmp_path):
    words = ["--trainer.max_steps", "7", "--model.network.features=[conv3]"]

    options = read_grid(write_grid(tmp_path), words).cells["fc7", "raw"]

    assert (options.trainer["max_steps"], options.network.features) == (7, ("fc7",))


def test_sweep_has_every_cell_at_every_rate_from_low_to_high(tmp_path):
    plans = list(make_grid(tmp_path).sweep())

    assert [plan.options.optim.lr for plan in plans] == [0.001, 0.01] * 3
    assert {plan.options.seed for plan in plans} == {0}
    assert make_grid(tmp_path).num_runs == 3 * (2 * 1 + 2)  # further seeds at the best rate


def test_grid_without_rates_takes_that_of_its_base(tmp_path):
    path = write_grid(tmp_path, lrs=None)

    assert read_grid(path, ["--model.optim.lr", "0.02"]).lrs == (0.02,)


def test_rate_of_the_command_line_stands_for_the_sweep(tmp_path):
    rows = GRID["rows"] | {"fc7": {"model": {"optim": {"lr": 0.5}}}}

    grid = read_grid(write_grid(tmp_path, rows=rows), ["--model.optim.lr", "1e-4"])

    assert grid.lrs == (1e-4,)
    assert {plan.options.optim.lr for plan in grid.sweep()} == {1e-4}


def test_paper_is_in_per_cent_or_says_collapsed(tmp_path):
    grid = make_grid(tmp_path)

    assert grid.paper == {("fc7", "raw"): {"mean_iou": 50.0}}
    assert grid.paper_collapsed == {("both", "raw")}


def test_extended_grid_keeps_what_it_does_not_say(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "run.yaml").write_text(yaml.safe_dump(GRID["base"]))
    write_grid(tmp_path, base="configs/run.yaml", set={"data": {"batch_size": 4}})
    path = tmp_path / "more.yaml"
    path.write_text("extends: tiny.yaml\nset: {trainer: {max_steps: 9}}\nlrs: [0.1]\n")

    grid = read_grid(path)

    options = grid.cells["fc7", "raw"]
    assert (options.data.batch_size, options.trainer["max_steps"]) == (4, 9)
    assert (grid.path.stem, grid.title, grid.lrs) == ("more", "Tiny", (0.1,))


def test_merge_joins_sections_and_replaces_lists():
    below = {"a": {"b": 1, "c": [1, 2]}, "d": 1}

    assert merge(below, {"a": {"c": [3]}}) == {"a": {"b": 1, "c": [3]}, "d": 1}
    assert below["a"]["c"] == [1, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"row": {}}, "must hold the options of a grid, got 'row'. Did you mean `rows`?"),
        (
            {"rows": {}},
            "`rows` of 'tiny.yaml' must name at least one set of options, got {}. Write `fc7: "
            "{model: {network: {features: [fc7]}}}`.",
        ),
        (
            {"rows": {"fc7": 3}},
            "`rows.fc7` of 'tiny.yaml' must be options by section, got 3. Write `fc7: {model: "
            "{network: {features: [fc7]}}}`.",
        ),
        (
            {"base": 3},
            "`base` of 'tiny.yaml' must name a config or hold its sections, got 3. Write `base: "
            "../shapes/demo.yaml`.",
        ),
        (
            {"set": [1]},
            "`set` of 'tiny.yaml' must hold named values, got [1]. Write `{trainer: {max_steps: "
            "1000}}`.",
        ),
        (
            {"set": {"trainer": None}},
            "`trainer` of 'tiny.yaml', row 'fc7', column 'raw' must hold named options, got None. "
            "Name them below it, or leave it out.",
        ),
        (
            {"extends": "tiny.yaml"},
            "`extends` of 'tiny.yaml' must name another grid file, got 'tiny.yaml'. Write "
            "other.yaml.",
        ),
        (
            {"seeds": [1, 1]},
            "`seeds` of 'tiny.yaml' must list different whole numbers, got [1, 1]. Write [0, 1, "
            "2].",
        ),
        (
            {"sweep_seeds": [[1]]},
            "`sweep_seeds` of 'tiny.yaml' must list different whole numbers, got [[1]]. Write [0, "
            "1, 2].",
        ),
        ({"lrs": 0.1}, "`lrs` of 'tiny.yaml' must list rates, got 0.1. Write [0.1]."),
        (
            {"lrs": [0.1, None]},
            "`lrs` of 'tiny.yaml' must list rates above 0, got None. Write [1.0e-4, 1.0e-3].",
        ),
        (
            {"leave_out": ["fc7"]},
            "`leave_out` of 'tiny.yaml' must list pairs of a row and a column, got 'fc7'. Write "
            "[[ROW, COLUMN]].",
        ),
        (
            {"leave_out": [["fc7", "nrm"]]},
            "`leave_out` of 'tiny.yaml' must list pairs of a row and a column and leave a cell, "
            "got ['fc7', 'nrm']. Check its spelling.",
        ),
        (
            {"score": {"metric": "miou"}},
            "`score.metric` of 'tiny.yaml' must be a known score, got 'miou'. Did you mean "
            "`mean_iou`?",
        ),
        (
            {"score": {"clases": []}},
            "`score` of 'tiny.yaml' must hold known keys, got 'clases'. Did you mean `classes`?",
        ),
        (
            {"score": {"classes": "cat"}},
            "`score.classes` of 'tiny.yaml' must list names of classes, got 'cat'. Write [cat, "
            "dog].",
        ),
        (
            {"paper": {"fc7": 69.4}},
            "`paper.fc7` of 'tiny.yaml' must hold figures by column, got 69.4. Write {ROW: "
            "{COLUMN: {mean_iou: 69.43}}}, or `collapsed` for the figures.",
        ),
        (
            {"paper": {"fc7": {"raw": {"mean_iou": 694}}}},
            "`paper.fc7.raw.mean_iou` of 'tiny.yaml' must be in per cent, got 694. Write 69.43.",
        ),
        (
            {"paper": {"fc7": {"norm": {"mean_iou": 1}}}},
            "`paper` of 'tiny.yaml' must name cells of the grid, got row 'fc7', column "
            "'norm'. Check their spelling.",
        ),
        (
            {"paper": {"fc7": {"raw": 3}}},
            "`paper.fc7.raw` of 'tiny.yaml' must hold figures by score, got 3. Write {ROW: "
            "{COLUMN: {mean_iou: 69.43}}}, or `collapsed` for the figures.",
        ),
        (
            {"set": {"trainer": {"gradient_clip_val": {"a": 1}}}},
            "`trainer.gradient_clip_val` of 'tiny.yaml', row 'fc7', column 'raw' must be a plain "
            "value, got {'a': 1}. A grid makes no objects of classes that it names: write numbers, "
            "words or lists of them.",
        ),
        (
            {"set": {"data": {"folder": 3}}},
            "`data.folder` of 'tiny.yaml', row 'fc7', column 'raw' must hold named options, got 3. "
            "Name them below it, or leave it out.",
        ),
        (
            {"set": {"trainer": {"max_steps": 2.5}}},
            "`trainer.max_steps` of 'tiny.yaml', row 'fc7', column 'raw' must be a whole number, "
            "got 2.5. Write 1000, or leave it out.",
        ),
        (
            {"set": {"scoring": {"images": 0}}},
            "`scoring.images` must be at least 1 and `scoring.samples` at least 0, got 0 and 1.",
        ),
        (
            {"paper": {"fc7": {"raw": {"mean_io": 1}}}},
            "`paper.fc7.raw` of 'tiny.yaml' must name known scores, got 'mean_io'. Did you mean "
            "`mean_iou`?",
        ),
    ],
)
def test_wrong_grid_is_refused(tmp_path, monkeypatch, changes, message):
    monkeypatch.chdir(tmp_path)
    path = write_grid(tmp_path, **changes).relative_to(tmp_path)

    with pytest.raises(ConfigError, match=f"{re.escape(message)}$"):
        read_grid(path)


def test_unknown_option_of_a_row_is_refused_by_its_place(tmp_path):
    rows = {"fc7": {"model": {"network": {"fetures": ["fc7"]}}}}

    with pytest.raises(
        ConfigError, match=r"row 'fc7', column 'norm' must be right, got: .*fetures"
    ):
        make_grid(tmp_path, rows=rows, leave_out=[], paper={})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data.root"], "`--data.root` must have a value, got none. Write it behind the option."),
        (
            ["--data.crop", "[1"],
            "`--data.crop` must have a value in YAML, got '[1'. Close its brackets and quotes.",
        ),
    ],
)
def test_wrong_override_is_refused(words, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        parse_overrides(words)


def popen(path):
    return {"class_path": "subprocess.Popen", "init_args": {"args": f"touch {path}", "shell": True}}


@pytest.mark.parametrize(
    "place", ["trainer.plugins", "trainer.strategy", "data.folder", "model.network.rescale", "data"]
)
def test_grid_of_a_stranger_runs_no_code(tmp_path, place):
    made = popen(tmp_path / "made")
    section = [made] if place == "trainer.plugins" else made
    for part in reversed(place.split(".")):
        section = {part: section}

    with pytest.raises(ConfigError) as caught:
        make_grid(tmp_path, set=section)

    assert str(caught.value) == (
        f"`{place}` of '{tmp_path / 'tiny.yaml'}', row 'fc7', column 'raw' must be a plain value, "
        "got 'subprocess.Popen'. A grid makes no objects of classes that it names: write numbers, "
        "words or lists of them."
    )
    assert not (tmp_path / "made").exists()


def test_callbacks_and_loggers_of_a_config_have_no_meaning_here(tmp_path):
    made = popen(tmp_path / "made")

    grid = make_grid(tmp_path, set={"trainer": {"callbacks": [made], "logger": made}})

    assert "callbacks" not in grid.cells["fc7", "raw"].trainer
    assert not (tmp_path / "made").exists()


def test_value_of_the_wrong_type_is_refused(tmp_path):
    with pytest.raises(
        ConfigError, match=r"^The options of .*column 'raw' must be right, got: null or "
    ):
        read_grid(write_grid(tmp_path), ["--model.optim.lr", "null"])


def test_rates_that_differ_between_cells_are_refused(tmp_path):
    """They would be overruled by those of the sweep, and nobody would see it."""
    columns = {
        "sgd": {"model": {"optim": {"lr": 0.1}}},
        "adamw": {"model": {"optim": {"optimizer": "adamw", "lr": 1e-3}}},
    }
    path = write_grid(tmp_path, columns=columns, leave_out=[], paper={})
    message = (
        f"^`model.optim.lr` of '{path}' must be the same in every cell, got 0.001 and 0.1. List "
        "them in `lrs`: every cell is run at each.$"
    )

    with pytest.raises(ConfigError, match=message):
        read_grid(path)
