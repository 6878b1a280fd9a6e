"""`parsenet score`: label maps against true ones, without a model."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def main(words: list[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        "parsenet score",
        description="Score predicted label maps against true ones, pixel by pixel. Needs no model.",
        allow_abbrev=False,
    )
    parser.add_argument("--pred", type=Path, required=True, help="folder of predictions")
    parser.add_argument("--gt", type=Path, required=True, help="folder of true label maps")
    parser.add_argument("--taxonomy", required=True, help="voc2012, or a YAML file with `names:`")
    parser.add_argument("--split", type=Path, help="file of names (default: all files of --gt)")
    parser.add_argument("--out", type=Path, help="folder for scores, counts and a report")
    parser.add_argument("--images", type=Path, help="folder of the images, for the report")
    parser.add_argument(
        "--boundary", action="store_true", help="also score near contours: boundary IoU, trimap"
    )
    parser.add_argument("--json", action="store_true", help="print metrics.json, not tables")
    given = parser.parse_args(words[1:])

    from parsenet.evaluation.contours import score_contours, write_contours
    from parsenet.evaluation.folders import find_pairs, reader, score_pairs
    from parsenet.inference.drawing import write_worst
    from parsenet.reports.runs import write_report
    from parsenet.reports.tables import class_table, contour_table, protocol_sentence, summary_table
    from parsenet.taxonomy import taxonomy_from

    taxonomy = taxonomy_from(given.taxonomy)
    pairs = find_pairs(given.pred, given.gt, given.split)
    split = given.split.stem if given.split else given.gt.resolve().name
    evaluation = score_pairs(pairs, taxonomy, split)
    if given.out is not None:
        evaluation.write(given.out)
        read = reader(pairs, taxonomy, given.images)
        write_worst(given.out / "worst", evaluation.worst(), read, taxonomy)
        print(f"Report: {write_report(given.out)}", file=sys.stderr)
    metrics = evaluation.to_dict()
    if given.boundary:
        metrics["contours"] = score_contours(pairs, taxonomy)
        if given.out is not None:
            write_contours(given.out, metrics["contours"])
    if given.json:
        print(json.dumps(metrics, indent=1))
    else:
        print(f"{protocol_sentence(metrics)}\n\n{summary_table(metrics)}\n{class_table(metrics)}")
        if given.boundary:
            print(contour_table(metrics["contours"]))
    return 0
