"""The parts of a grid file, each checked: a wrong one is named, with its value and a way out."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from parsenet.errors import ConfigError, suggest
from parsenet.files import read_yaml
from parsenet.reports.tables import SUMMARY

_KEYS = (
    "title", "base", "set", "rows", "columns", "leave_out", "lrs", "seeds", "sweep_seeds", "score",
    "paper",
)  # fmt: skip
_EXAMPLE = "base: ../shapes/demo.yaml"


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


@dataclass(frozen=True)
class GridFile:
    """What a grid file says; its parts are checked when they are asked for.

    Every method raises a `ConfigError` for a part that is not as it must be.
    """

    path: Path
    record: Mapping[str, Any]
    """Its values over those of the file that it extends."""

    @classmethod
    def read(cls, path: Path) -> GridFile:
        """Read a file and, below it, the one that it extends.

        Args:
            path: YAML.

        Raises:
            ConfigError: a key is unknown, or files extend one another.
            DataNotFoundError: a file is missing.
        """
        record = _extended(path, ())
        unknown = [str(name) for name in record if name not in _KEYS]
        if unknown:
            raise ConfigError(
                f"'{path}' must hold the options of a grid, got '{unknown[0]}'. "
                f"{suggest(unknown[0], _KEYS)}"
            )
        return cls(path, record)

    def base(self) -> dict[str, Any]:
        """Return the options that every cell begins with: `set` over `base`."""
        base = self.record.get("base") or {}
        if isinstance(base, str):
            base = read_yaml(Path(base), "model: {network: {trunk: tiny}}")
        elif not isinstance(base, Mapping):
            raise self._wrong(
                "base", "name a config or hold its sections", base, f"Write `{_EXAMPLE}`."
            )
        return merge(base, _section(self.path, self.record, "set"))

    def named(self, name: str) -> dict[str, Mapping[str, Any]]:
        """Return the rows or the columns; an empty one changes nothing.

        Args:
            name: `rows` or `columns`.
        """
        given = self.record.get(name)
        example = "Write `fc7: {model: {network: {features: [fc7]}}}`."
        if not isinstance(given, Mapping) or not given:
            raise self._wrong(name, "name at least one set of options", given, example)
        for key, value in given.items():
            if not isinstance(value, Mapping | None):
                raise self._wrong(f"{name}.{key}", "be options by section", value, example)
        return {str(key): value or {} for key, value in given.items()}

    def left_out(self, places: Collection[Cell]) -> list[Cell]:
        """Return the cells that are not wanted.

        Args:
            places: all cells; one must remain.
        """
        pairs = self.record.get("leave_out") or []
        rule, way_out = "list pairs of a row and a column", "Write [[ROW, COLUMN]]."
        if not isinstance(pairs, list):
            raise self._wrong("leave_out", rule, pairs, way_out)
        for pair in pairs:
            if not isinstance(pair, list) or len(pair) != 2:
                raise self._wrong("leave_out", rule, pair, way_out)
        cells = [Cell(str(row), str(column)) for row, column in pairs]
        stray = [list(cell) for cell in cells if cell not in places]
        if stray or set(cells) == set(places):
            rule += " and leave a cell"
            raise self._wrong("leave_out", rule, stray[0] if stray else pairs[-1])
        return cells

    def rates(self, default: float) -> tuple[float, ...]:
        """Return the rates of the sweep, from low to high.

        Args:
            default: the only one where the file lists none.
        """
        given = self.record.get("lrs") or [default]
        if not isinstance(given, list):
            raise self._wrong("lrs", "list rates", given, f"Write [{given}].")
        rates = [_number(rate) for rate in given]
        for rate, written in zip(rates, given, strict=True):
            if rate is None or rate <= 0:
                raise self._wrong("lrs", "list rates above 0", written, "Write [1.0e-4, 1.0e-3].")
        return tuple(sorted({rate for rate in rates if rate is not None}))

    def seeds(self, name: str, default: list[int]) -> list[int]:
        """Return seeds.

        Args:
            name: `seeds` or `sweep_seeds`.
            default: those where the file lists none.
        """
        given = self.record.get(name, default)
        whole = isinstance(given, list) and all(type(seed) is int and seed >= 0 for seed in given)
        if not whole or not given or len(set(given)) != len(given):
            raise self._wrong(name, "list different whole numbers", given, "Write [0, 1, 2].")
        return list(given)

    def score(self) -> Score:
        """Return what cells are ranked by."""
        given = _section(self.path, self.record, "score", "{metric: mean_iou}")
        for key in given:
            if key not in Score._fields:
                way_out = suggest(str(key), Score._fields)
                raise self._wrong("score", "hold known keys", key, way_out)
        metric, classes = given.get("metric", "mean_iou"), given.get("classes") or []
        if metric not in tuple(SUMMARY):
            way_out = suggest(str(metric), SUMMARY)
            raise self._wrong("score.metric", "be a known score", metric, way_out)
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
            raise self._wrong(
                "score.classes", "list names of classes", classes, "Write [cat, dog]."
            )
        return Score(metric, tuple(classes))

    def paper(
        self, cells: Collection[Cell]
    ) -> tuple[dict[Cell, dict[str, float]], frozenset[Cell]]:
        """Return the paper's figures, per cent, and the cells of which it says `collapsed`.

        Args:
            cells: those of the grid.
        """
        figures: dict[Cell, dict[str, float]] = {}
        collapsed = set()
        way_out = "Write {ROW: {COLUMN: {mean_iou: 69.43}}}, or `collapsed` for the figures."
        for row, columns in _section(
            self.path, self.record, "paper", "{ROW: {COLUMN: collapsed}}"
        ).items():
            if not isinstance(columns, Mapping):
                raise self._wrong(f"paper.{row}", "hold figures by column", columns, way_out)
            for column, scores in columns.items():
                cell = Cell(str(row), str(column))
                if cell not in cells:
                    raise ConfigError(
                        f"`paper` of '{self.path}' must name cells of the grid, got row "
                        f"'{cell.row}', column '{cell.column}'. Check their spelling."
                    )
                if scores == "collapsed":
                    collapsed.add(cell)
                elif isinstance(scores, Mapping):
                    figures[cell] = {str(key): self._figure(key, scores[key]) for key in scores}
                else:
                    name = f"paper.{row}.{column}"
                    raise self._wrong(name, "hold figures by score", scores, way_out)
        return figures, frozenset(collapsed)

    def _figure(self, metric: object, value: object) -> float:
        """Check one of the paper's figures."""
        if metric not in tuple(SUMMARY):
            raise self._wrong("paper", "name known scores", metric, suggest(str(metric), SUMMARY))
        number = _number(value)
        if number is None or not 0 <= number <= 100:
            raise self._wrong("paper", f"give `{metric}` in per cent", value, "Write 69.43.")
        return number

    def _wrong(
        self, name: str, rule: str, value: object, way_out: str = "Check its spelling."
    ) -> ConfigError:
        return ConfigError(f"`{name}` of '{self.path}' must {rule}, got {value!r}. {way_out}")


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested options over others: sections are joined, everything else is replaced."""
    joined = dict(below)
    for name, value in above.items():
        under = joined.get(name)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            value = merge(under, value)
        joined[name] = value
    return joined


def _extended(path: Path, above: Sequence[Path]) -> dict[str, Any]:
    """Read a grid file and, below it, the one that it extends; `above` has been read already."""
    record = read_yaml(path, _EXAMPLE)
    if isinstance(record.get("base"), str):
        record["base"] = str(path.parent / record["base"])
    other = record.pop("extends", None)
    if other is None:
        return record
    if not isinstance(other, str) or (path.parent / other).resolve() in [*above, path.resolve()]:
        raise ConfigError(
            f"`extends` of '{path}' must name another grid file, got {other!r}. Write other.yaml."
        )
    below = _extended(path.parent / other, [*above, path.resolve()])
    joined = merge(_section(path, below, "set"), _section(path, record, "set"))
    return {**below, **record, "set": joined}


def _section(
    path: Path, record: Mapping[str, Any], name: str, example: str = "{trainer: {max_steps: 1000}}"
) -> Mapping[str, Any]:
    section = record.get(name)
    if not isinstance(section, Mapping | None):
        raise ConfigError(
            f"`{name}` of '{path}' must hold named values, got {section!r}. Write `{example}`."
        )
    return section or {}


def _number(value: object) -> float | None:
    """Read a number; YAML takes 1e-4, without a point, for a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
