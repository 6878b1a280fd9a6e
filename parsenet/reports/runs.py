"""A run folder as a plain record: what its files say, nothing computed."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parsenet.errors import DataNotFoundError

Curve = list[tuple[int, float]]
"""Points (iteration, value)."""


@dataclass(frozen=True)
class Run:
    """What a run folder holds; what the run has not written yet is empty."""

    name: str
    """Name of the folder."""
    record: Mapping[str, Any]
    """`record.json`: command, times, versions, device, seed."""
    metrics: Mapping[str, Any]
    """`metrics.json`: the final scores."""
    curves: Mapping[str, Curve]
    """`metrics.csv`: the finite values of every column over the iterations."""
    config: str
    """`config.yaml` as it stands."""
    samples: tuple[Path, ...]
    """Sample images, by name."""
    worst: tuple[Path, ...]
    """The images that scored worst, worst first."""


def read_run(run_dir: Path) -> Run:
    """Read a run folder.

    Args:
        run_dir: folder that `parsenet fit`, `validate`, `test` or `score` wrote.

    Raises:
        DataNotFoundError: it is no run folder.
    """
    if not any((run_dir / name).is_file() for name in ("record.json", "metrics.json")):
        raise DataNotFoundError(
            f"'{run_dir}' must be a run folder, got neither `record.json` nor `metrics.json` in "
            "it. Give the folder that `parsenet fit` wrote."
        )
    config_path = run_dir / "config.yaml"
    return Run(
        name=run_dir.resolve().name,
        record=_read_json(run_dir / "record.json"),
        metrics=_read_json(run_dir / "metrics.json"),
        curves=_read_curves(run_dir / "metrics.csv"),
        config=config_path.read_text(encoding="utf-8") if config_path.is_file() else "",
        samples=tuple(sorted((run_dir / "samples").glob("*.png"))),
        worst=tuple(sorted((run_dir / "worst").glob("*.png"))),
    )


def _read_json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _read_curves(path: Path) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    if not path.is_file():
        return curves
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for name, text in row.items():
                # Lightning leaves a cell empty where a column was not logged at that step.
                if name in {"step", "epoch"} or not text or not math.isfinite(float(text)):
                    continue
                curves.setdefault(name, []).append((int(row["step"]), float(text)))
    return curves
