"""A grid file: rows and columns of options, rates and seeds, and what the paper reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple

import yaml

from parsenet.errors import ConfigError, suggest
from parsenet.files import read_yaml
from parsenet.lab.options import Options, Record, parse_options
from parsenet.reports.tables import SUMMARY


class Cell(NamedTuple):
    """A place in the table."""

    row: str
    column: str


class Score(NamedTuple):
    """The figure that cells are ranked by."""

    metric: str = "mean_iou"
    """One of the four scores."""
    classes: tuple[str, ...] = ()
    """Classes whose IoU is averaged instead; empty for the metric."""


class Plan(NamedTuple):
    """One run that a grid wants."""

    cell: Cell
    options: Options

    @property
    def key(self) -> str:
        """Name of the run, see `Options.key`."""
        return self.options.key


@dataclass(frozen=True)
class Grid:
    """What to run, and what to compare it with."""

    path: Path
    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[Cell, Options]
    """Options of every cell that is not left out, row by row."""
    lrs: tuple[float, ...]
    """Rates of the sweep, from low to high."""
    sweep_seeds: tuple[int, ...]
    """Seeds that every rate is run with."""
    seeds: tuple[int, ...]
    """Seeds that a cell is run with at its best rate; those of the sweep come first."""
    score: Score
    paper: Mapping[Cell, Mapping[str, float]]
    """The paper's figures by metric, per cent; none where it says only that a cell collapsed."""

    @property
    def num_runs(self) -> int:
        """Runs of the whole grid."""
        later = len(self.seeds) - len(self.sweep_seeds)
        return len(self.cells) * (len(self.lrs) * len(self.sweep_seeds) + later)

    def plans(self) -> Iterator[Plan]:
        """List every run that can come to be wanted: all seeds at all rates."""
        return (self.plan(*place) for place in product(self.cells, self.lrs, self.seeds))

    def sweep(self) -> Iterator[Plan]:
        """List the runs at every rate."""
        places = product(self.sweep_seeds, self.cells, self.lrs)
        return (self.plan(cell, lr, seed) for seed, cell, lr in places)

    def plan(self, cell: Cell, lr: float, seed: int) -> Plan:
        """Return a run of a cell."""
        return Plan(cell, self.cells[cell].at(lr, seed))

    def with_inputs(self, inputs: Callable[[Options], Mapping[str, str | None]]) -> Grid:
        """Return the same grid with the fingerprints of its data and weights in its keys."""
        found: dict[object, Mapping[str, str | None]] = {}  # COCO's lists take a minute to read
        cells = {}
        for cell, options in self.cells.items():
            place = (options.data, options.network.weights)
            found[place] = found[place] if place in found else inputs(options)
            cells[cell] = replace(options, inputs=found[place])
        return replace(self, cells=cells)


def read_grid(path: Path, overrides: Sequence[str] = ()) -> Grid:
    """Read a grid file.

    Args:
        path: the file.
        overrides: words such as `--data.root DIR`, which win over the file's `base`;
            `--model.optim.lr` also over its `lrs`.
    """
    record, changes = _read(path), parse_overrides(overrides)
    base = merge(merge(record["base"], record["set"]), changes)
    try:
        rate: Record = {"model": {"optim": {"lr": changes["model"]["optim"]["lr"]}}}
    except (KeyError, TypeError):
        rate = {}
    places = [Cell(*place) for place in product(record["rows"], record["columns"])]
    cells = {}
    for cell in places:
        if cell not in record["leave_out"]:
            own = merge(record["rows"][cell.row], record["columns"][cell.column])
            name = f"'{path}', row '{cell.row}', column '{cell.column}'"
            cells[cell] = parse_options(merge(merge(base, own), rate), name)
    if not cells:
        raise ConfigError(
            f"`leave_out` of '{path}' must leave a cell, got all. Remove one of them."
        )
    for name, known in (("leave_out", places), ("paper", [*cells])):
        for cell in record[name]:
            if cell not in known:
                raise ConfigError(
                    f"`{name}` of '{path}' must name cells of the grid, got row '{cell.row}', "
                    f"column '{cell.column}'. Check their spelling."
                )
    rates = sorted({options.optim.lr for options in cells.values()})
    if len(rates) > 1:
        raise ConfigError(
            f"`model.optim.lr` of '{path}' must be the same in every cell, got "
            f"{' and '.join(f'{lr:g}' for lr in rates)}. List them in `lrs`: every cell is "
            "run at each."
        )
    sweep_seeds = record["sweep_seeds"] or record["seeds"][:1]
    return Grid(
        path=path,
        title=record["title"] or path.stem,
        rows=tuple(record["rows"]),
        columns=tuple(record["columns"]),
        cells=cells,
        lrs=tuple(rates if rate else record["lrs"] or rates),
        sweep_seeds=sweep_seeds,
        seeds=tuple(dict.fromkeys([*sweep_seeds, *record["seeds"]])),
        score=record["score"],
        paper=record["paper"],
    )


def parse_overrides(words: Sequence[str]) -> Record:
    """Turn words such as `--data.root DIR` or `--data.root=DIR` into nested options."""
    record: Record = {}
    parts = [x for word in words for x in (word.split("=", 1) if word[:2] == "--" else [word])]
    if len(parts) % 2:
        raise ConfigError(f"`{parts[-1]}` must have a value, got none. Write it behind the option.")
    for name, value in zip(parts[::2], parts[1::2], strict=True):
        try:
            nested: Any = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError):
            raise ConfigError(
                f"`{name}` must have a value in YAML, got '{value}'. Close its brackets and quotes."
            ) from None
        for part in reversed(name[2:].split(".")):
            nested = {part: nested}
        record = merge(record, nested)
    return record


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> Record:
    """Lay nested options over others: sections are joined, everything else is replaced."""
    joined = dict(below)
    for name, value in above.items():
        under = joined.get(name)
        both = isinstance(value, Mapping) and isinstance(under, Mapping)
        joined[name] = merge(under or {}, value) if both else value
    return joined


def _require(fits: object) -> None:
    """End a reader of a grid file's part, see `_PARTS`."""
    if not fits:
        raise ValueError


def _read_sets(given: Any) -> dict[str, Record]:  # noqa: ANN401 - of YAML
    _require(given and all(isinstance(options, Mapping | None) for options in given.values()))
    return {str(name): options or {} for name, options in given.items()}


def _read_cells(given: Any) -> list[Cell]:  # noqa: ANN401
    _require(isinstance(given, list) and all(isinstance(pair, list) for pair in given))
    return [Cell(str(row), str(column)) for row, column in given]


def _read_number(given: Any, most: float) -> float:  # noqa: ANN401
    """Read a number from 0 up; YAML takes 1e-4, without a point, for a text."""
    _require(not isinstance(given, bool) and 0 <= float(given) <= most)
    return float(given)


def _read_rates(given: Any) -> list[float]:  # noqa: ANN401
    rates = sorted({_read_number(rate, 1e308) for rate in given})
    _require(isinstance(given, list) and all(rates))
    return rates


def _read_seeds(given: Any) -> tuple[int, ...]:  # noqa: ANN401
    _require(given and all(type(seed) is int and seed >= 0 for seed in given))
    _require(len(given) == len(set(given)))
    return tuple(given)


def _read_score(given: Any) -> Score:  # noqa: ANN401
    score = Score(**given)
    classes = given.get("classes") or []
    _require(isinstance(classes, list) and all(isinstance(name, str) for name in classes))
    _require(score.metric in [*SUMMARY])
    return Score(score.metric, tuple(classes))


def _read_paper(given: Any) -> dict[Cell, dict[str, float]]:  # noqa: ANN401
    """Read the figures of cells; one that collapsed has none."""
    paper = {}
    for row, columns in given.items():
        for column, figures in columns.items():
            numbers = {} if figures == "collapsed" else figures
            _require(set(numbers) <= set(SUMMARY) and (numbers or figures == "collapsed"))
            numbers = {metric: _read_number(figure, 100.0) for metric, figure in numbers.items()}
            paper[Cell(str(row), str(column))] = numbers
    return paper


_SET = "fc7: {model: {network: {features: [fc7]}}}"
_PARTS: dict[str, tuple[object, Callable[[Any], object], str, str]] = {
    "title": ("", str, "be a text", "Context on my data"),
    "base": ({}, dict, "name a config or hold its sections", "../shapes/demo.yaml"),
    "set": ({}, dict, "hold options by section", "{trainer: {max_steps: 1000}}"),
    "rows": (None, _read_sets, "name at least one set of options", _SET),
    "columns": (None, _read_sets, "name at least one set of options", _SET),
    "leave_out": ([], _read_cells, "list pairs of a row and a column", "[[ROW, COLUMN]]"),
    "lrs": ([], _read_rates, "list rates above 0", "[1.0e-4, 1.0e-3]"),
    "seeds": ((0,), _read_seeds, "list different whole numbers", "[0, 1, 2]"),
    "sweep_seeds": ((), _read_seeds, "list different whole numbers", "[0, 1, 2]"),
    "score": (
        Score(),
        _read_score,
        f"hold `classes` and as `metric` one of {', '.join(SUMMARY)}",
        "{metric: mean_iou, classes: [cat, dog]}",
    ),
    "paper": (
        {},
        _read_paper,
        "hold per cent by row, column and score, or `collapsed`",
        "{ROW: {COLUMN: {mean_iou: 69.43}}}",
    ),
}
"""What a grid file holds: what stands for a missing part (None: it must be there), what reads one,
what it must do, and an example."""


def _read(path: Path) -> Record:
    """Read a grid file part by part."""
    given = _extended(path, ())
    for name in given:
        if name not in _PARTS:
            raise ConfigError(
                f"'{path}' must hold the options of a grid, got '{name}'. "
                f"{suggest(str(name), _PARTS)}"
            )
    record = {}
    for name, (default, reader, rule, example) in _PARTS.items():
        value = given.get(name)
        try:
            is_missing = value is None and default is not None
            record[name] = default if is_missing else reader(value)
        except (TypeError, ValueError, AttributeError):
            raise _wrong(path, name, rule, value, example) from None
    return record


def _extended(path: Path, above: Sequence[Path]) -> Record:
    """Read a grid file and, below it, the one that it extends; `above` has been read already."""
    record = read_yaml(path, "base: ../shapes/demo.yaml")
    if isinstance(record.get("base"), str):
        record["base"] = read_yaml(path.parent / record["base"], "model: {network: {trunk: tiny}}")
    other = record.pop("extends", None)
    if other is None:
        return record
    if not isinstance(other, str) or (path.parent / other).resolve() in [*above, path.resolve()]:
        raise _wrong(path, "extends", "name another grid file", other, "other.yaml")
    below = _extended(path.parent / other, [*above, path.resolve()])
    own = {"set": record["set"]} if record.get("set") else {}
    return {**below, **record, **merge({"set": below.get("set")}, own)}


def _wrong(path: Path, name: str, rule: str, value: object, example: str) -> ConfigError:
    told = shorten(repr(value), 120, placeholder=" ...")
    return ConfigError(f"`{name}` of '{path}' must {rule}, got {told}. Write {example}.")
