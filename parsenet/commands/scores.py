"""`parsenet score`, `compare`, `dialects` and `report`: scores without a network."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parsenet.metrics.statistics import Resampling
from parsenet.options import positional


@dataclass(frozen=True)
class ScoreOptions:
    """Score predicted label maps against true ones, pixel by pixel. Needs no model."""

    pred: Path
    """Folder of predictions."""
    gt: Path
    """Folder of true label maps."""
    taxonomy: str
    """voc2012 or another known name, or a YAML file with `names:`."""
    split: Path | None = None
    """File of names; all files of `--gt` if it is missing."""
    out: Path | None = None
    """Folder for scores, counts and a report."""
    images: Path | None = None
    """Folder of the images, for the report."""
    boundary: bool = False
    """Also score near contours: boundary IoU, trimap."""
    json: bool = False
    """Print metrics.json, not tables."""


@dataclass(frozen=True)
class CompareOptions:
    """Set two checkpoints' scores side by side, with intervals and a paired test.

    Refuses scores that were made by different protocols.
    """

    a: Path = positional()
    """metrics.json, its counts.npz beside it."""
    b: Path = positional()
    """Another, of the same images."""
    anyway: bool = False
    """Compare although the protocol cards differ."""
    resampling: Resampling = Resampling()
    json: bool = False
    """Print numbers, not a table."""


@dataclass(frozen=True)
class DialectsOptions:
    """Print what other codebases would report for the same predictions, and why."""

    metrics: Path = positional()
    """metrics.json, its counts.npz beside it."""
    json: bool = False
    """Print numbers, not a table."""


@dataclass(frozen=True)
class ReportOptions:
    """Write report.html and report.md of a run folder anew."""

    run_dir: Path = positional()
    """Folder that `parsenet fit` wrote."""


def score(options: ScoreOptions) -> int:
    """Score two folders of label maps; return the exit code."""
    from parsenet.data.labels import read_mask
    from parsenet.data.reading import read_image
    from parsenet.evaluation import find_pairs, score_contours, score_pairs
    from parsenet.files import write_bytes_atomically
    from parsenet.inference.drawing import write_worst
    from parsenet.reports.runs import write_report
    from parsenet.reports.tables import class_cells, contour_cells, markdown_table, summary_cells
    from parsenet.taxonomy import taxonomy_from

    taxonomy, out = taxonomy_from(options.taxonomy), options.out
    pairs = find_pairs(options.pred, options.gt, options.split)
    split = options.split.stem if options.split else options.gt.resolve().name
    evaluation = score_pairs(pairs, taxonomy, split)
    metrics = evaluation.to_dict()
    contours = score_contours(pairs, taxonomy) if options.boundary else None
    if contours is not None:
        metrics["contours"] = contours
    if out is not None:
        evaluation.write(out)
        if contours is not None:
            content = json.dumps(contours, indent=1) + "\n"
            write_bytes_atomically(out / "boundary.json", content.encode())
        root = options.images or Path()
        files = root.rglob("*") if options.images else []
        images = {path.relative_to(root).with_suffix("").as_posix(): path for path in files}

        def read(name: str) -> tuple[Any, Any, Any]:
            """Read image, ground truth and prediction; the image may lack."""
            prediction, label = (read_mask(path, taxonomy) for path in pairs[name])
            image = read_image(images[name]) if name in images else None
            fits = image is not None and image.shape[:2] == label.shape
            return image if fits else None, label, prediction

        write_worst(out / "worst", evaluation.worst(), read, taxonomy)
        print(f"Report: {write_report(out)}", file=sys.stderr)
    cells = [summary_cells(metrics), class_cells(metrics)]
    cells += [] if contours is None else [contour_cells(contours)]
    text = "\n".join([f"{evaluation.card}.\n", *(markdown_table(*each) for each in cells)])
    print(json.dumps(metrics, indent=1) if options.json else text)
    return 0


def compare(options: CompareOptions) -> int:
    """Compare two scores; return the exit code."""
    from parsenet.metrics.record import Evaluation, compare_scored
    from parsenet.reports.tables import comparison_cells, comparison_note, markdown_table

    one, other = Evaluation.load(options.a), Evaluation.load(options.b)
    record = compare_scored(one, other, options.resampling, options.anyway).to_dict(one.names)
    cards = f"A: {options.a}: {one.card}.\nB: {options.b}: {other.card}."
    text = f"{cards}\n\n{markdown_table(*comparison_cells(record))}\n{comparison_note(record)}"
    print(json.dumps(record, indent=1) if options.json else text)
    return 0


def dialects(options: DialectsOptions) -> int:
    """Print one score as every codebase would; return the exit code."""
    from parsenet.metrics.dialects import in_all_dialects
    from parsenet.metrics.record import Evaluation
    from parsenet.reports.tables import dialect_cells, markdown_table

    scored = Evaluation.load(options.metrics)
    record = in_all_dialects(scored.images)
    reasons = [f"- {name}: {entry['reason']}" for name, entry in record.items()]
    text = "\n".join([f"{scored.card}.\n", markdown_table(*dialect_cells(record)), *reasons])
    print(json.dumps(record, indent=1) if options.json else text)
    return 0


def report(options: ReportOptions) -> int:
    """Write a run's report anew; return the exit code."""
    from parsenet.reports.runs import write_report

    print(write_report(options.run_dir))
    return 0
