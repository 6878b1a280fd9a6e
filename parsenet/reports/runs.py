"""A run folder as a record, and as one page: scores, classes, curves, images, how it was made.

`report.html` needs no other file and no network; `report.md` says the same for a repository.
"""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from parsenet.errors import DataNotFoundError
from parsenet.files import write_bytes_atomically
from parsenet.reports import charts, tables
from parsenet.reports.page import image_uri, render_page

MAX_SAMPLES = 12
"""Sample images on the page; all of them stay in the run folder."""


@dataclass(frozen=True)
class Run:
    """What a run folder holds; what the run has not written yet is empty."""

    name: str
    """Name of the folder."""
    record: Mapping[str, Any]
    """`record.json`: command, times, versions, device, seed."""
    metrics: Mapping[str, Any]
    """`metrics.json`: the final scores."""
    curves: Mapping[str, list[tuple[int, float]]]
    """`metrics.csv`: for every column points (iteration, value), the finite ones."""
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
    names = ("record.json", "metrics.json", "metrics.csv", "config.yaml")
    paths = [run_dir / name for name in names]
    texts = [path.read_text(encoding="utf-8") if path.is_file() else "" for path in paths]
    if not any(texts[:2]):
        raise DataNotFoundError(
            f"'{run_dir}' must be a run folder, got neither `record.json` nor `metrics.json` in "
            "it. Give the folder that `parsenet fit` wrote."
        )
    curves = defaultdict(list)
    for row in csv.DictReader(texts[2].splitlines()):
        for name, value in row.items():
            # Lightning leaves a cell empty where a column was not logged at that step.
            if name not in {"step", "epoch"} and value and math.isfinite(float(value)):
                curves[name].append((int(row["step"]), float(value)))
    record, metrics = (json.loads(text or "{}") for text in texts[:2])
    samples, worst = (tuple(sorted((run_dir / x).glob("*.png"))) for x in ("samples", "worst"))
    return Run(run_dir.resolve().name, record, metrics, dict(curves), texts[3], samples, worst)


def write_report(run_dir: Path) -> Path:
    """Write `report.html`, `report.md` and `confusion.svg` into a run folder.

    Args:
        run_dir: as for `read_run`.

    Returns:
        the path of `report.html`.

    Raises:
        DataNotFoundError: it is no run folder.
    """
    run = read_run(run_dir)
    drawn = {name: chart for name, chart in _draw(run).items() if chart is not None}
    if "confusion" in drawn:
        charts.write_chart(run_dir / "confusion.svg", drawn["confusion"])
    facts = {**run.record, **run.record.get("versions", {})}
    values: dict[str, Any] = {
        "title": run.name,
        "run": run,
        "tables": tables,
        "charts": {name: charts.svg_element(chart) for name, chart in drawn.items()},
        "galleries": {"Worst images": run.worst, "Samples": run.samples[:MAX_SAMPLES]},
        "image_uri": image_uri,
        "facts": [(name, x) for name, x in facts.items() if name not in {"command", "versions"}],
    }
    for ending in ("md", "html"):
        text = render_page(f"run.{ending}.j2", **values)
        write_bytes_atomically(run_dir / f"report.{ending}", text.encode())
    return run_dir / "report.html"


def _draw(run: Run) -> dict[str, Figure | None]:
    """Draw the curves, the classes and the confusions, by name; None of what there is not."""
    drawn: dict[str, Figure | None] = {}
    for title, ends in (("Loss", ("loss", "loss_epoch")), ("Mean IoU", ("mIoU",))):
        names = sorted(name for name in run.curves if name.endswith(ends))
        lines = {name: charts.Line(run.curves[name]) for name in names}
        drawn[title] = charts.line_chart(title, lines, "iteration")
    if run.metrics:
        scores = {entry["name"]: entry["iou"] for entry in run.metrics["classes"]}
        drawn["classes"] = charts.bar_chart("IoU by class, %", scores)
        counts = run.metrics["confusion"]
        drawn["confusion"] = charts.matrix_chart("Confusion matrix", [*scores], counts)
    return drawn
