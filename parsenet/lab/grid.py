"""A grid file: rows and columns of options, rates and seeds, and what the paper reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from parsenet.errors import ConfigError
from parsenet.lab.grid_file import Cell, GridFile, Score, merge
from parsenet.lab.options import Options, parse_options

SECTIONS = ("--model.", "--data.", "--trainer.", "--scoring.")
"""How options of a config begin on the command line."""


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
    file = GridFile.read(path)
    changes = parse_overrides(overrides)
    base = merge(file.base(), changes)
    rows, columns = file.named("rows"), file.named("columns")
    places = [Cell(row, column) for row in rows for column in columns]
    left_out = file.left_out(places)
    rate = _rate_of(changes)
    cells = {}
    for cell in (place for place in places if place not in left_out):
        section = merge(merge(merge(base, rows[cell.row]), columns[cell.column]), rate)
        cells[cell] = parse_options(section, f"'{path}', row '{cell.row}', column '{cell.column}'")
    own_rates = sorted({options.optim.lr for options in cells.values()})
    if len(own_rates) > 1:
        raise ConfigError(
            f"`model.optim.lr` of '{path}' must be the same in every cell, got "
            f"{' and '.join(f'{lr:g}' for lr in own_rates)}. List them in `lrs`: every cell is "
            "run at each."
        )
    seeds = file.seeds("seeds", [0])
    sweep_seeds = file.seeds("sweep_seeds", seeds[:1])
    figures, collapsed = file.paper(cells)
    return Grid(
        name=path.stem,
        title=str(file.record.get("title") or path.stem),
        rows=tuple(rows),
        columns=tuple(columns),
        cells=cells,
        lrs=(own_rates[0],) if rate else file.rates(own_rates[0]),
        sweep_seeds=tuple(sweep_seeds),
        seeds=tuple(dict.fromkeys([*sweep_seeds, *seeds])),
        score=file.score(),
        paper=figures,
        paper_collapsed=collapsed,
    )


def parse_overrides(words: Sequence[str]) -> dict[str, Any]:
    """Turn words such as `--data.root DIR` or `--data.root=DIR` into nested options.

    Raises:
        ConfigError: a word is no option, or an option has no value.
    """
    record: dict[str, Any] = {}
    rest = [part for word in words for part in _split(word)]
    for name, value in zip(rest[::2], [*rest[1::2], None], strict=False):
        if not name.startswith(SECTIONS):
            raise ConfigError(
                "Options must be those that `--help` lists or begin with `--model.`, `--data.`, "
                f"`--trainer.` or `--scoring.`, got '{name}'. Check its spelling."
            )
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


def _split(word: str) -> list[str]:
    name, equals, value = word.partition("=")
    return [name, value] if word.startswith("--") and equals else [word]


def _rate_of(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of overrides that sets `model.optim.lr`, or nothing."""
    section: Any = changes
    for name in ("model", "optim"):
        section = section.get(name) if isinstance(section, Mapping) else None
    if not isinstance(section, Mapping) or "lr" not in section:
        return {}
    return {"model": {"optim": {"lr": section["lr"]}}}
