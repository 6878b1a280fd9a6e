"""Grid files: what they may say, and which runs they stand for."""

import pytest
import yaml

from parsenet.errors import ConfigError
from parsenet.lab.grid import Cell, read_grid
from tests.fakes.lab import GRID, make_grid, write_grid


def test_cells_are_rows_times_columns_without_those_left_out(tmp_path):
    grid = make_grid(tmp_path)

    assert list(grid.cells) == [Cell("fc7", "raw"), Cell("both", "norm"), Cell("both", "raw")]


def test_overrides_win_over_the_base_but_not_over_a_row(tmp_path):
    words = ["--trainer.max_steps", "7", "--model.network.features=[conv3]"]

    options = read_grid(write_grid(tmp_path), words).cells["fc7", "raw"]

    assert (options.trainer["max_steps"], options.network.features) == (7, ("fc7",))


def test_sweep_has_every_cell_at_every_rate_from_low_to_high(tmp_path):
    plans = list(make_grid(tmp_path).sweep())

    assert [plan.options.optim.lr for plan in plans] == [0.001, 0.01] * 3
    assert {plan.options.seed for plan in plans} == {0}
    assert make_grid(tmp_path).num_runs == 3 * (2 * 1 + 2)  # further seeds at the best rate


def test_rate_of_the_command_line_stands_for_the_sweep(tmp_path):
    rows = GRID["rows"] | {"fc7": {"model": {"optim": {"lr": 0.5}}}}

    grid = read_grid(write_grid(tmp_path, rows=rows), ["--model.optim.lr", "1e-4"])

    assert grid.lrs == (1e-4,)
    assert {plan.options.optim.lr for plan in grid.sweep()} == {1e-4}


def test_paper_is_in_per_cent_or_says_collapsed(tmp_path):
    grid = make_grid(tmp_path)

    assert grid.paper == {("fc7", "raw"): {"mean_iou": 50.0}, ("both", "raw"): {}}


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


SETS = "name at least one set of options"
WRITE_SETS = "Write fc7: {model: {network: {features: [fc7]}}}."
FIGURES = "`paper` must hold per cent by row, column and score, or `collapsed`, got"
WRITE_FIGURES = "Write {ROW: {COLUMN: {mean_iou: 69.43}}}."
SCORES = "pixel_accuracy, mean_accuracy, mean_iou, frequency_weighted_iou"
SCORE = f"`score` must hold `classes` and as `metric` one of {SCORES}, got"
WRITE_SCORE = "Write {metric: mean_iou, classes: [cat, dog]}."
PLACE = ", row 'fc7', column 'raw'"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": {}}, f"`rows` must {SETS}, got {{}}. {WRITE_SETS}"),
        ({"rows": {"fc7": 3}}, f"`rows` must {SETS}, got {{'fc7': 3}}. {WRITE_SETS}"),
        ({"columns": None}, f"`columns` must {SETS}, got None. {WRITE_SETS}"),
        (
            {"base": 3},
            "`base` must name a config or hold its sections, got 3. Write ../shapes/demo.yaml.",
        ),
        (
            {"set": [1]},
            "`set` must hold options by section, got [1]. Write {trainer: {max_steps: 1000}}.",
        ),
        (
            {"extends": "tiny.yaml"},
            "`extends` must name another grid file, got 'tiny.yaml'. Write other.yaml.",
        ),
        (
            {"seeds": [1, 1]},
            "`seeds` must list different whole numbers, got [1, 1]. Write [0, 1, 2].",
        ),
        (
            {"sweep_seeds": [[1]]},
            "`sweep_seeds` must list different whole numbers, got [[1]]. Write [0, 1, 2].",
        ),
        ({"lrs": 0.1}, "`lrs` must list rates above 0, got 0.1. Write [1.0e-4, 1.0e-3]."),
        (
            {"lrs": [0.1, None]},
            "`lrs` must list rates above 0, got [0.1, None]. Write [1.0e-4, 1.0e-3].",
        ),
        (
            {"lrs": [0, 1]},
            "`lrs` must list rates above 0, got [0, 1]. Write [1.0e-4, 1.0e-3].",
        ),
        (
            {"leave_out": ["ab"]},
            "`leave_out` must list pairs of a row and a column, got ['ab']. Write [[ROW, COLUMN]].",
        ),
        (
            {"leave_out": [["fc7", "nrm"]]},
            "`leave_out` must name cells of the grid, got row 'fc7', column 'nrm'. Check their "
            "spelling.",
        ),
        (
            {"leave_out": [[x, y] for x in ("fc7", "both") for y in ("norm", "raw")]},
            "`leave_out` must leave a cell, got all. Remove one of them.",
        ),
        ({"score": {"metric": "miou"}}, f"{SCORE} {{'metric': 'miou'}}. {WRITE_SCORE}"),
        ({"score": {"clases": []}}, f"{SCORE} {{'clases': []}}. {WRITE_SCORE}"),
        ({"score": {"classes": "cat"}}, f"{SCORE} {{'classes': 'cat'}}. {WRITE_SCORE}"),
        ({"paper": {"fc7": 69.4}}, f"{FIGURES} {{'fc7': 69.4}}. {WRITE_FIGURES}"),
        ({"paper": {"fc7": {"raw": 3}}}, f"{FIGURES} {{'fc7': {{'raw': 3}}}}. {WRITE_FIGURES}"),
        (
            {"paper": {"fc7": {"raw": {"mean_iou": 694}}}},
            f"{FIGURES} {{'fc7': {{'raw': {{'mean_iou': 694}}}}}}. {WRITE_FIGURES}",
        ),
        (
            {"paper": {"fc7": {"raw": {"mean_io": 1}}}},
            f"{FIGURES} {{'fc7': {{'raw': {{'mean_io': 1}}}}}}. {WRITE_FIGURES}",
        ),
        (
            {"paper": {"fc7": {"norm": {"mean_iou": 1}}}},
            "`paper` must name cells of the grid, got row 'fc7', column 'norm'. Check their "
            "spelling.",
        ),
        (
            {"set": {"trainer": None}},
            f"`trainer`{PLACE} must hold named options, got None. Name them below it, or leave it "
            "out.",
        ),
        (
            {"set": {"data": {"folder": 3}}},
            f"`data.folder`{PLACE} must hold named options, got 3. Name them below it, or leave it "
            "out.",
        ),
        (
            {"set": {"trainer": {"gradient_clip_val": {"a": 1}}}},
            f"`trainer.gradient_clip_val`{PLACE} must be a plain value, got {{'a': 1}}. A grid "
            "makes no objects of classes that it names: write numbers, words or lists of them.",
        ),
        (
            {"set": {"trainer": {"max_steps": 2.5}}},
            f"`trainer.max_steps`{PLACE} must be a whole number, got 2.5. Write 1000, or leave it "
            "out.",
        ),
        (
            {"columns": {"raw": {"model": {"optim": {"lr": 0.1}}}, "norm": {}}},
            "`model.optim.lr` must be the same in every cell, got 1e-08 and 0.1. List them in "
            "`lrs`: every cell is run at each.",
        ),
    ],
)
def test_wrong_grid_is_refused(tmp_path, monkeypatch, changes, message):
    monkeypatch.chdir(tmp_path)
    path = write_grid(tmp_path, **changes).relative_to(tmp_path)
    name, rest = message.split("`", 2)[1:]

    with pytest.raises(ConfigError) as caught:
        read_grid(path)

    assert str(caught.value) == f"`{name}` of 'tiny.yaml'{rest}"


@pytest.mark.parametrize(
    ("changes", "words", "message"),
    [
        (
            {"row": {}},
            [],
            r"^'.*' must hold the options of a grid, got 'row'. Did you mean `rows`\?$",
        ),
        (
            {
                "rows": {"fc7": {"model": {"network": {"fetures": []}}}},
                "leave_out": [],
                "paper": {},
            },
            [],
            "row 'fc7', column 'norm' must be right, got: .*fetures",
        ),
        (
            {"set": {"scoring": {"images": 0}}},
            [],
            "`scoring.images` must be at least 1 and `scoring.samples` at least 0, got 0 and 1.$",
        ),
        (
            {},
            ["--model.optim.lr", "null"],
            "^The options of .*column 'raw' must be right, got: nul",
        ),
        (
            {},
            ["--data.root"],
            r"^`--data\.root` must have a value, got none\. Write it behind the option\.$",
        ),
        (
            {},
            ["--data.crop", "[1"],
            r"^`--data.crop` must have a value in YAML, got '\[1'. Close its brackets and quotes.$",
        ),
    ],
)
def test_unknown_and_wrong_options_are_refused(tmp_path, changes, words, message):
    with pytest.raises(ConfigError, match=message):
        read_grid(write_grid(tmp_path, **changes), words)


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
