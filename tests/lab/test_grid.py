"""Grid files: what they may say, and which runs they stand for."""

import pytest
import yaml

from parsenet.errors import ConfigError
from parsenet.lab.grid import Cell, read_grid
from parsenet.reports.tables import SUMMARY
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


SET, SCORES = "fc7: {model: {network: {features: [fc7]}}}", ", ".join(SUMMARY)
PARTS = {
    "rows": ("name at least one set of options", SET),
    "columns": ("name at least one set of options", SET),
    "base": ("name a config or hold its sections", "../shapes/demo.yaml"),
    "set": ("hold options by section", "{trainer: {max_steps: 1000}}"),
    "extends": ("name another grid file", "other.yaml"),
    "leave_out": ("list pairs of a row and a column", "[[ROW, COLUMN]]"),
    "lrs": ("list rates above 0", "[1.0e-4, 1.0e-3]"),
    "seeds": ("list different whole numbers", "[0, 1, 2]"),
    "sweep_seeds": ("list different whole numbers", "[0, 1, 2]"),
    "score": (
        f"hold `classes` and as `metric` one of {SCORES}",
        "{metric: mean_iou, classes: [cat, dog]}",
    ),
    "paper": (
        "hold per cent by row, column and score, or `collapsed`",
        "{ROW: {COLUMN: {mean_iou: 69.43}}}",
    ),
}


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("rows", {}),
        ("rows", {"fc7": 3}),
        ("columns", None),
        ("base", 3),
        ("set", [1]),
        ("extends", "tiny.yaml"),
        ("leave_out", ["ab"]),
        ("lrs", 0.1),
        ("lrs", [0.1, None]),
        ("lrs", [0, 1]),
        ("seeds", [1, 1]),
        ("sweep_seeds", [[1]]),
        ("score", {"metric": "miou"}),
        ("score", {"clases": []}),
        ("score", {"classes": "cat"}),
        ("paper", {"fc7": 69.4}),
        ("paper", {"fc7": {"raw": 3}}),
        ("paper", {"fc7": {"raw": {"mean_iou": 694}}}),
        ("paper", {"fc7": {"raw": {"mean_io": 1}}}),
    ],
)
def test_wrong_part_is_refused(tmp_path, part, value):
    path, (rule, example) = write_grid(tmp_path, **{part: value}), PARTS[part]

    with pytest.raises(ConfigError) as caught:
        read_grid(path)

    message = f"`{part}` of '{path}' must {rule}, got {value!r}. Write {example}."
    assert str(caught.value) == message


EVERY = [[row, column] for row in ("fc7", "both") for column in ("norm", "raw")]
RATES = {"norm": {"model": {"optim": {"lr": 0.1}}}, "raw": {}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"leave_out": [["fc7", "nrm"]]},
            "`leave_out`{} must name cells of the grid, got row 'fc7', column 'nrm'. Check their "
            "spelling.",
        ),
        (
            {"paper": {"fc7": {"norm": {"mean_iou": 1}}}},
            "`paper`{} must name cells of the grid, got row 'fc7', column 'norm'. Check their "
            "spelling.",
        ),
        ({"leave_out": EVERY}, "`leave_out`{} must leave a cell, got all. Remove one of them."),
        (
            {"columns": RATES},
            "`model.optim.lr`{} must be the same in every cell, got 1e-08 and 0.1. List them in "
            "`lrs`: every cell is run at each.",
        ),
        (
            {"set": {"trainer": None}},
            "`trainer`{}, row 'fc7', column 'raw' must hold named options, got None. Name them "
            "below it, or leave it out.",
        ),
        (
            {"set": {"data": {"folder": 3}}},
            "`data.folder`{}, row 'fc7', column 'raw' must hold named options, got 3. Name them "
            "below it, or leave it out.",
        ),
        (
            {"set": {"trainer": {"max_steps": 2.5}}},
            "`trainer.max_steps`{}, row 'fc7', column 'raw' must be a whole number, got 2.5. Write "
            "1000, or leave it out.",
        ),
    ],
)
def test_contradiction_is_refused(tmp_path, changes, message):
    path = write_grid(tmp_path, **changes)

    with pytest.raises(ConfigError) as caught:
        read_grid(path)

    assert str(caught.value) == message.format(f" of '{path}'")


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


@pytest.mark.parametrize(
    "place",
    ["trainer.plugins", "trainer.strategy", "data.folder", "model.network.rescale", "data"],
)
def test_grid_of_a_stranger_runs_no_code(tmp_path, place):
    touch = {"args": f"touch {tmp_path / 'made'}", "shell": True}
    made = {"class_path": "subprocess.Popen", "init_args": touch}
    # Callbacks and loggers of a config have no meaning here: they are left out.
    section = {"trainer": {"callbacks": [made], "logger": made}}
    *outer, name = place.split(".")
    inner = section
    for part in outer:
        inner = inner.setdefault(part, {})
    inner[name] = [made] if name == "plugins" else made

    with pytest.raises(ConfigError) as caught:
        make_grid(tmp_path, set=section)

    assert str(caught.value) == (
        f"`{place}` of '{tmp_path / 'tiny.yaml'}', row 'fc7', column 'raw' must be a plain value, "
        "got 'subprocess.Popen'. A grid makes no objects of classes that it names: write numbers, "
        "words or lists of them."
    )
    assert not (tmp_path / "made").exists()
