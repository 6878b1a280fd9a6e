"""`parsenet dialects`: what other codebases would report."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def main(words: list[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        "parsenet dialects",
        description="Print what other codebases would report for the same predictions, and why.",
        allow_abbrev=False,
    )
    parser.add_argument("metrics", type=Path, help="metrics.json, its counts.npz beside it")
    parser.add_argument("--json", action="store_true", help="print numbers, not a table")
    given = parser.parse_args(words[1:])

    from parsenet.evaluation.comparison import Scored, dialect_record
    from parsenet.reports.tables import dialect_table

    scored = Scored.load(given.metrics)
    record = dialect_record(scored.images)
    if given.json:
        print(json.dumps(record, indent=1))
    else:
        print(f"{scored.card}.\n\n{dialect_table(record)}", end="")
    return 0
