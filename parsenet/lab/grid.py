"""A grid file: rows and columns of options, rates and seeds, and what the paper reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from parsenet.errors import ConfigError, DataNotFoundError, suggest
from parsenet.lab.options import Options, parse_options
from parsenet.reports.tables import SUMMARY

_KEYS = (
    "title", "base", "set", "rows", "columns", "leave_out", "lrs", "seeds", "sweep_seeds", "score",
    "paper",
)  # fmt: skip


class Cell(NamedTuple):
    """A place in the table."""

    row: str
    column: str


class Plan(NamedTuple):
    """One run that a grid wants."""

    cell: Cell
    options: Options

    @property
    def key(self) -> str:
        """Name of the run, see `Options.key`."""
        return self.options.key


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


@dataclass(frozen=True)
class Grid:
    """What to run, and what to compare it with."""

    name: str
    """The file's name without its ending."""
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

    def sweep(self) -> Iterator[Plan]:
        """List the runs at every rate."""
        for seed in self.sweep_seeds:
            for cell in self.cells:
                yield from (self.plan(cell, lr, seed) for lr in self.lrs)

    def plan(self, cell: Cell, lr: float, seed: int) -> Plan:
        """Return a run of a cell."""
        return Plan(cell, self.cells[cell].at(lr, seed))


def read_grid(path: Path, overrides: Sequence[str] = ()) -> Grid:
    """Read a grid file.

    Args:
        path: the file.
        overrides: words such as `--data.root DIR`, which win over the file's `base`.

    Raises:
        ConfigError: something in it is unknown or contradicts something else.
        DataNotFoundError: it, or the config it begins with, is missing.
    """
    record = _extended(path)
    unknown = [name for name in record if name not in _KEYS]
    if unknown:
        raise ConfigError(
            f"'{path}' must hold the options of a grid, got '{unknown[0]}'. "
            f"{suggest(unknown[0], _KEYS)}"
        )
    base = record.get("base") or {}
    base = merge(_read(Path(base)) if isinstance(base, str) else base, record.get("set") or {})
    base = merge(base, parse_overrides(overrides))
    rows, columns = _named(record, "rows", path), _named(record, "columns", path)
    places = [Cell(row, column) for row in rows for column in columns]
    left_out = [tuple(pair) for pair in record.get("leave_out") or ()]
    chosen = [cell for cell in places if cell not in left_out]
    stray = [pair for pair in left_out if pair not in places]
    if stray or not chosen:
        raise ConfigError(
            f"`leave_out` of '{path}' must list pairs of a row and a column and leave a cell, got "
            f"{list(stray[0] if stray else left_out[-1])}. Check its spelling."
        )
    cells = {}
    for cell in chosen:
        section = merge(merge(base, rows[cell.row]), columns[cell.column])
        cells[cell] = parse_options(section, f"'{path}', row '{cell.row}', column '{cell.column}'")
    seeds = _numbers(record, "seeds", [0], path)
    sweep_seeds = _numbers(record, "sweep_seeds", seeds[:1], path)
    lrs = record.get("lrs") or [cells[chosen[0]].optim.lr]
    if not isinstance(lrs, list):
        raise ConfigError(f"`lrs` of '{path}' must list rates, got {lrs!r}. Write [{lrs}].")
    score = record.get("score") or {}
    figures, collapsed = _paper(record.get("paper") or {}, chosen, path)
    grid = Grid(
        name=path.stem,
        title=str(record.get("title") or path.stem),
        rows=tuple(rows),
        columns=tuple(columns),
        cells=cells,
        lrs=tuple(sorted({float(lr) for lr in lrs})),
        sweep_seeds=tuple(sweep_seeds),
        seeds=tuple(dict.fromkeys([*sweep_seeds, *seeds])),
        score=Score(str(score.get("metric", "mean_iou")), tuple(score.get("classes") or ())),
        paper=figures,
        paper_collapsed=frozenset(collapsed),
    )
    if grid.score.metric not in SUMMARY:
        raise ConfigError(
            f"`score.metric` of '{path}' must be a known score, got '{grid.score.metric}'. "
            f"{suggest(grid.score.metric, SUMMARY)}"
        )
    return grid


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested options over others: sections are joined, everything else is replaced."""
    joined = dict(below)
    for name, value in above.items():
        under = joined.get(name)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            value = merge(under, value)
        joined[name] = value
    return joined


def parse_overrides(words: Sequence[str]) -> dict[str, Any]:
    """Turn words such as `--data.root DIR` or `--data.root=DIR` into nested options.

    Raises:
        ConfigError: a word is no option, or an option has no value.
    """
    record: dict[str, Any] = {}
    rest = [part for word in words for part in _split(word)]
    for name, value in zip(rest[::2], [*rest[1::2], None], strict=False):
        if not name.startswith(("--model.", "--data.", "--trainer.", "--scoring.")):
            raise ConfigError(
                "Options must be those that `--help` lists or begin with `--model.`, `--data.`, "
                f"`--trainer.` or `--scoring.`, got '{name}'. Check its spelling."
            )
        if value is None:
            raise ConfigError(f"`{name}` must have a value, got none.")
        nested: Any = yaml.safe_load(value)
        for part in reversed(name[2:].split(".")):
            nested = {part: nested}
        record = merge(record, nested)
    return record


def _split(word: str) -> list[str]:
    name, equals, value = word.partition("=")
    return [name, value] if word.startswith("--") and equals else [word]


def _extended(path: Path) -> dict[str, Any]:
    """Read a grid file and, below it, the one that it extends."""
    record = _read(path)
    if isinstance(record.get("base"), str):
        record["base"] = str(path.parent / record["base"])
    other = record.pop("extends", None)
    if other is None:
        return record
    below = _extended(path.parent / str(other))
    return {**below, **record, "set": merge(below.get("set") or {}, record.get("set") or {})}


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataNotFoundError(f"'{path}' must be a YAML file, got nothing there. Check the path.")
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"'{path}' must be a YAML file, got '{reason}'. Check it.") from None
    if not isinstance(record, dict):
        raise ConfigError(f"'{path}' must hold named options, got {type(record).__name__}.")
    return record


def _named(record: Mapping[str, Any], name: str, path: Path) -> dict[str, Mapping[str, Any]]:
    """Return the rows or the columns; an empty one changes nothing."""
    named = record.get(name)
    if not isinstance(named, Mapping) or not named:
        raise ConfigError(
            f"`{name}` of '{path}' must name at least one set of options, got {named!r}."
        )
    return {str(key): value or {} for key, value in named.items()}


def _numbers(record: Mapping[str, Any], name: str, default: list[int], path: Path) -> list[int]:
    numbers = record.get(name, default)
    if not isinstance(numbers, list) or not numbers or len(set(numbers)) != len(numbers):
        raise ConfigError(f"`{name}` of '{path}' must list different numbers, got {numbers!r}.")
    return [int(number) for number in numbers]


def _paper(
    record: Mapping[str, Any], cells: Sequence[Cell], path: Path
) -> tuple[dict[Cell, dict[str, float]], list[Cell]]:
    """Read the paper's figures: row -> column -> metric -> per cent, or the word `collapsed`."""
    figures: dict[Cell, dict[str, float]] = {}
    collapsed = []
    for row, columns in record.items():
        for column, scores in columns.items():
            cell = Cell(str(row), str(column))
            if cell not in cells:
                raise ConfigError(
                    f"`paper` of '{path}' must name cells of the grid, got row '{cell.row}', "
                    f"column '{cell.column}'."
                )
            if scores == "collapsed":
                collapsed.append(cell)
                continue
            for metric in scores:
                if metric not in SUMMARY:
                    raise ConfigError(
                        f"`paper` of '{path}' must name known scores, got '{metric}'. "
                        f"{suggest(metric, SUMMARY)}"
                    )
            figures[cell] = {metric: float(value) for metric, value in scores.items()}
    return figures, collapsed
