"""A grid file: rows and columns of options, rates and seeds, and what the paper reports."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from parsenet.errors import ConfigError, suggest
from parsenet.files import read_yaml
from parsenet.lab.options import Options, Record, parse_options
from parsenet.reports.tables import SUMMARY

_BASE, _SET = "base: ../shapes/demo.yaml", "{trainer: {max_steps: 1000}}"
_MODEL = "model: {network: {trunk: tiny}}"
_PAIRS = "list pairs of a row and a column"


class Cell(NamedTuple):
    """A place in the table."""

    row: str
    column: str


class Score(NamedTuple):
    """The figure that cells are ranked by."""

    metric: str
    """One of the four scores."""
    classes: tuple[str, ...]
    """Classes whose IoU is averaged instead; empty for the metric."""

    @property
    def title(self) -> str:
        """Say what the figure is."""
        return f"mean IoU of {len(self.classes)} classes" if self.classes else SUMMARY[self.metric]


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
    """The paper's figures by metric, per cent."""
    paper_collapsed: frozenset[Cell]
    """Cells of which the paper says no more than that the network collapsed."""

    @property
    def num_runs(self) -> int:
        """Runs of the whole grid."""
        later = len(self.seeds) - len(self.sweep_seeds)
        return len(self.cells) * (len(self.lrs) * len(self.sweep_seeds) + later)

    def plans(self) -> Iterator[Plan]:
        """List every run that can come to be wanted: all seeds at all rates."""
        for cell in self.cells:
            for lr in self.lrs:
                yield from (self.plan(cell, lr, seed) for seed in self.seeds)

    def sweep(self) -> Iterator[Plan]:
        """List the runs at every rate."""
        for seed in self.sweep_seeds:
            for cell in self.cells:
                yield from (self.plan(cell, lr, seed) for lr in self.lrs)

    def plan(self, cell: Cell, lr: float, seed: int) -> Plan:
        """Return a run of a cell."""
        return Plan(cell, self.cells[cell].at(lr, seed))

    def with_inputs(self, inputs: Callable[[Options], Mapping[str, str]]) -> Grid:
        """Return the same grid with the fingerprints of its data and weights in its keys.

        Args:
            inputs: returns those of a cell's options.
        """
        found: dict[object, Mapping[str, str]] = {}  # COCO's annotations take a minute to read
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

    Raises:
        ConfigError: something in it is unknown or contradicts something else.
        DataNotFoundError: it, or the config it begins with, is missing.
    """
    record, changes = _read(path), parse_overrides(overrides)
    given: Any = record.get("base") or {}
    given = read_yaml(Path(given), _MODEL) if isinstance(given, str) else given
    base = merge(merge(given, record.get("set") or {}), changes)
    rows, columns = (
        {str(key): value or {} for key, value in record[name].items()}
        for name in ("rows", "columns")
    )
    rate = _rate_of(changes)
    cells = {}
    for cell in _places(path, record):
        section = merge(merge(merge(base, rows[cell.row]), columns[cell.column]), rate)
        cells[cell] = parse_options(section, f"'{path}', row '{cell.row}', column '{cell.column}'")
    own_rates = sorted({options.optim.lr for options in cells.values()})
    if len(own_rates) > 1:
        raise ConfigError(
            f"`model.optim.lr` of '{path}' must be the same in every cell, got "
            f"{' and '.join(f'{lr:g}' for lr in own_rates)}. List them in `lrs`: every cell is "
            "run at each."
        )
    seeds = record.get("seeds", [0])
    sweep_seeds = record.get("sweep_seeds", seeds[:1])
    score, paper = record.get("score") or {}, _paper(path, record, cells)
    return Grid(
        path=path,
        title=str(record.get("title") or path.stem),
        rows=tuple(rows),
        columns=tuple(columns),
        cells=cells,
        lrs=tuple(own_rates if rate else sorted(set(map(float, record.get("lrs") or own_rates)))),
        sweep_seeds=tuple(sweep_seeds),
        seeds=tuple(dict.fromkeys([*sweep_seeds, *seeds])),
        score=Score(score.get("metric", "mean_iou"), tuple(score.get("classes") or ())),
        paper={cell: figures for cell, figures in paper.items() if figures != "collapsed"},
        paper_collapsed=frozenset(x for x, figures in paper.items() if figures == "collapsed"),
    )


def parse_overrides(words: Sequence[str]) -> Record:
    """Turn words such as `--data.root DIR` or `--data.root=DIR` into nested options.

    Raises:
        ConfigError: an option has no value, or none that can be read.
    """
    record: Record = {}
    rest = [part for word in words for part in _split(word)]
    for name, value in zip(rest[::2], [*rest[1::2], None], strict=False):
        if value is None:
            raise ConfigError(f"`{name}` must have a value, got none. Write it behind the option.")
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


def _places(path: Path, record: Record) -> list[Cell]:
    """Return the cells that are not left out."""
    places = [Cell(str(row), str(column)) for row in record["rows"] for column in record["columns"]]
    left_out = [Cell(str(row), str(column)) for row, column in record.get("leave_out") or []]
    stray = [cell for cell in left_out if cell not in places]
    if stray or set(left_out) == set(places):
        raise _wrong(path, "leave_out", f"{_PAIRS} and leave a cell", list((stray or left_out)[-1]))
    return [cell for cell in places if cell not in left_out]


def _paper(path: Path, record: Record, cells: Collection[Cell]) -> dict[Cell, Any]:
    """Return what the paper says of cells: figures by metric, or `collapsed`."""
    found = {}
    for row, columns in (record.get("paper") or {}).items():
        for column, figures in columns.items():
            cell = Cell(str(row), str(column))
            if cell not in cells:
                raise ConfigError(
                    f"`paper` of '{path}' must name cells of the grid, got row '{row}', column "
                    f"'{column}'. Check their spelling."
                )
            numbers = isinstance(figures, Mapping)
            found[cell] = {x: float(figures[x]) for x in figures} if numbers else figures
    return found


class _Rule(NamedTuple):
    """What a value of a grid file must be."""

    holds: Callable[[Any], object]
    rule: str
    way_out: str | Callable[[Any], str]


def _known(names: Collection[str], rule: str) -> _Rule:
    """Ask for keys or a value among known names; of keys that are not, the first is told."""
    return _Rule(lambda name: name in tuple(names), rule, lambda name: suggest(str(name), names))


def _number(value: object, low: float, high: float) -> bool:
    """Say whether a number is in (low, high]; YAML takes 1e-4, without a point, for a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        return low < float(value) <= high
    except ValueError:
        return False


def _whole(values: Any) -> bool:  # noqa: ANN401 - of YAML
    """Say whether these are different whole numbers, at least one."""
    plain = isinstance(values, list) and all(type(x) is int and x >= 0 for x in values)
    return plain and 0 < len(values) == len(set(values))


def _named(example: str) -> _Rule:
    return _Rule(
        lambda x: isinstance(x, Mapping | None), "hold named values", f"Write `{example}`."
    )


_OPTIONS = "Write `fc7: {model: {network: {features: [fc7]}}}`."
_PAPER = "Write {ROW: {COLUMN: {mean_iou: 69.43}}}, or `collapsed` for the figures."
_SEEDS = _Rule(_whole, "list different whole numbers", "Write [0, 1, 2].")
_SETS = _Rule(lambda x: isinstance(x, Mapping) and x, "name at least one set of options", _OPTIONS)
_SECTIONS = _Rule(lambda x: isinstance(x, Mapping | None), "be options by section", _OPTIONS)
_RULES = {
    "title": _Rule(lambda x: True, "", ""),
    "base": _Rule(
        lambda x: isinstance(x, str | Mapping | None),
        "name a config or hold its sections",
        f"Write `{_BASE}`.",
    ),
    "set": _named(_SET),
    "rows": _SETS,
    "rows.*": _SECTIONS,
    "columns": _SETS,
    "columns.*": _SECTIONS,
    "leave_out": _Rule(lambda x: isinstance(x, list | None), _PAIRS, "Write [[ROW, COLUMN]]."),
    "leave_out.*": _Rule(
        lambda x: isinstance(x, list) and len(x) == 2, _PAIRS, "Write [[ROW, COLUMN]]."
    ),
    "lrs": _Rule(lambda x: isinstance(x, list | None), "list rates", lambda x: f"Write [{x}]."),
    "lrs.*": _Rule(
        lambda x: _number(x, 0.0, 1e308), "list rates above 0", "Write [1.0e-4, 1.0e-3]."
    ),
    "seeds": _SEEDS,
    "sweep_seeds": _SEEDS,
    "score": _named("{metric: mean_iou}"),
    "score.keys": _known(Score._fields, "hold known keys"),
    "score.metric": _known(SUMMARY, "be a known score"),
    "score.classes": _Rule(
        lambda x: x is None or (isinstance(x, list) and all(isinstance(y, str) for y in x)),
        "list names of classes",
        "Write [cat, dog].",
    ),
    "paper": _named("{ROW: {COLUMN: collapsed}}"),
    "paper.*": _Rule(lambda x: isinstance(x, Mapping), "hold figures by column", _PAPER),
    "paper.*.*": _Rule(
        lambda x: x == "collapsed" or isinstance(x, Mapping), "hold figures by score", _PAPER
    ),
    "paper.*.*.keys": _known(SUMMARY, "name known scores"),
    "paper.*.*.*": _Rule(lambda x: _number(x, -1e-9, 100.0), "be in per cent", "Write 69.43."),
}
"""What a grid file may hold: `*` stands for any name or place in a list, `keys` for the names."""


def _read(path: Path) -> Record:
    """Read a grid file and check it part by part."""
    record = _extended(path, ())
    for name in record:
        if name not in (keys := [x for x in _RULES if "." not in x]):
            raise ConfigError(
                f"'{path}' must hold the options of a grid, got '{name}'. "
                f"{suggest(str(name), keys)}"
            )
    record |= {name: record.get(name) for name in ("rows", "columns")}
    for pattern, rule in _RULES.items():
        for name, value in _find(record, pattern.split("."), ""):
            if not rule.holds(value):
                way_out = rule.way_out if isinstance(rule.way_out, str) else rule.way_out(value)
                raise _wrong(path, name, rule.rule, value, way_out)
    return record


def _find(
    value: Any,  # noqa: ANN401 - of YAML
    parts: Sequence[str],
    name: str,
) -> Iterator[tuple[str, Any]]:
    """Yield every value that a pattern fits, with its name; items of a list have the list's."""
    if not parts:
        yield name, value
    elif isinstance(value, list) and parts[0] == "*":
        yield from ((name, item) for item in value)
    elif isinstance(value, Mapping) and parts[0] == "keys":
        yield from ((name, key) for key in value)
    elif isinstance(value, Mapping):
        for key in value if parts[0] == "*" else [key for key in value if key == parts[0]]:
            yield from _find(value[key], parts[1:], f"{name}.{key}".strip("."))


def _extended(path: Path, above: Sequence[Path]) -> Record:
    """Read a grid file and, below it, the one that it extends; `above` has been read already."""
    record = read_yaml(path, _BASE)
    if isinstance(record.get("base"), str):
        record["base"] = str(path.parent / record["base"])
    other = record.pop("extends", None)
    if other is None:
        return record
    if not isinstance(other, str) or (path.parent / other).resolve() in [*above, path.resolve()]:
        raise _wrong(path, "extends", "name another grid file", other, "Write other.yaml.")
    below = _extended(path.parent / other, [*above, path.resolve()])
    sets = [x.get("set") or {} for x in (below, record)]
    joined = next((x for x in sets if not isinstance(x, Mapping)), None) or merge(*sets)
    return {**below, **record, "set": joined}


def _wrong(
    path: Path, name: str, rule: str, value: object, way_out: str = "Check its spelling."
) -> ConfigError:
    return ConfigError(f"`{name}` of '{path}' must {rule}, got {value!r}. {way_out}")


def _split(word: str) -> list[str]:
    name, equals, value = word.partition("=")
    return [name, value] if word.startswith("--") and equals else [word]


def _rate_of(changes: Mapping[str, Any]) -> Record:
    """Return the part of overrides that sets `model.optim.lr`, or nothing."""
    section: Any = changes
    for name in ("model", "optim", "lr"):
        section = section.get(name) if isinstance(section, Mapping) else None
    return {} if section is None else {"model": {"optim": {"lr": section}}}
