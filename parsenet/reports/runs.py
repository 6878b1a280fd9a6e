"""A run folder as a record, and as one page: scores, classes, curves, images, how it was made.

`report.html` needs no other file and no network; `report.md` says the same for a repository.
"""

from __future__ import annotations

import csv
import json
import math
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

Curve = list[tuple[int, float]]
"""Points (iteration, value)."""

_WORST = "Lowest mean IoU over the classes in the image's own ground truth; the name ends in it."
_FACTS = {
    "started": "started", "finished": "finished", "seconds": "time", "device": "device",
    "precision": "precision", "seed": "seed", "num_parameters": "parameters",
    "git_commit": "commit",
}  # fmt: skip


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
    drawn = _draw(run)
    if "confusion" in drawn:
        charts.write_chart(run_dir / "confusion.svg", drawn["confusion"])
    page = render_page(
        "run.html.j2",
        title=run.name,
        run=run,
        metrics=run.metrics,
        tables=tables,
        charts={name: charts.svg_element(chart) for name, chart in drawn.items()},
        is_open=len(run.metrics.get("classes", [])) <= charts.MOST,
        galleries=_galleries(run),
        image_uri=image_uri,
        facts=facts(run.record),
    )
    write_bytes_atomically(run_dir / "report.md", markdown_report(run).encode())
    write_bytes_atomically(run_dir / "report.html", page.encode())
    return run_dir / "report.html"


def markdown_report(run: Run) -> str:
    """Write a run as Markdown that links its sample images."""
    parts = [f"# {run.name}"]
    if run.metrics:
        parts += [tables.protocol_sentence(run.metrics), tables.summary_table(run.metrics)]
        parts += ["## Classes", "In per cent; a dash marks a class without ground truth."]
        parts += [tables.class_table(run.metrics)]
        if run.metrics.get("confusion"):
            parts += ["## Confusions", "![confusion matrix](confusion.svg)"]
    for title, paths, note in _galleries(run):
        parts += [f"## {title}", *([note] if note else [])]
        parts += [f"![{x.stem}]({x.parent.name}/{x.name})" for x in paths]
    parts += ["## How it was made"] if run.record else []
    parts += [f"    {run.record['command']}"] if run.record.get("command") else []
    parts += ["\n".join(f"- {name}: {value}" for name, value in facts(run.record))]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List what a record says about machine, time and versions, ready to print."""
    shown = {key: record[key] for key in _FACTS if record.get(key) is not None}
    if "seconds" in shown:
        hours, rest = divmod(round(shown["seconds"]), 3600)
        minutes, seconds = divmod(rest, 60)
        exact = f"{minutes} min {seconds:02d} s"
        shown["seconds"] = f"{hours} h {minutes:02d} min" if hours else exact
    if "num_parameters" in shown:
        shown["num_parameters"] = f"{shown['num_parameters']:,}"
    rows = [(_FACTS[key], str(value)) for key, value in shown.items()]
    return rows + [(name, str(version)) for name, version in record.get("versions", {}).items()]


def _draw(run: Run) -> dict[str, Figure]:
    """Draw what there is of the curves, the classes and the confusions, by name."""
    drawn = {}
    for title, ends in (("Loss", ("loss", "loss_epoch")), ("Mean IoU", ("mIoU",))):
        names = sorted(name for name in run.curves if name.endswith(ends))
        lines = {name: charts.Line(run.curves[name]) for name in names}
        drawn[title] = charts.line_chart(title, lines, "iteration")
    classes = run.metrics.get("classes", [])
    shares = {x["name"]: None if x["iou"] is None else 100 * x["iou"] for x in classes}
    drawn["classes"] = charts.bar_chart("IoU by class, %", shares, "")
    if counts := run.metrics.get("confusion"):
        drawn["confusion"] = charts.matrix_chart("Confusion matrix", [*shares], counts)
    return {name: chart for name, chart in drawn.items() if chart is not None}


def _galleries(run: Run) -> list[tuple[str, tuple[Path, ...], str]]:
    every = (("Worst images", run.worst, _WORST), ("Samples", run.samples, ""))
    return [(title, paths[:MAX_SAMPLES], note) for title, paths, note in every if paths]


def _read_json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _read_curves(path: Path) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    for row in csv.DictReader(text.splitlines()):
        for name, value in row.items():
            # Lightning leaves a cell empty where a column was not logged at that step.
            if name not in {"step", "epoch"} and value and math.isfinite(float(value)):
                curves.setdefault(name, []).append((int(row["step"]), float(value)))
    return curves
