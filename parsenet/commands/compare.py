"""`parsenet compare`: two scores side by side, with a test."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def main(words: list[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        "parsenet compare",
        description="Set two checkpoints' scores side by side, with intervals and a paired test. "
        "Refuses scores that were made by different protocols.",
        allow_abbrev=False,
    )
    parser.add_argument("a", type=Path, help="metrics.json, its counts.npz beside it")
    parser.add_argument("b", type=Path, help="another, of the same images")
    parser.add_argument("--anyway", action="store_true", help="compare although the cards differ")
    parser.add_argument("--resamples", type=int, default=5000, help="data sets drawn (5000)")
    parser.add_argument("--level", type=float, default=0.95, help="of the intervals (0.95)")
    parser.add_argument("--seed", type=int, default=0, help="start of the randomness (0)")
    parser.add_argument("--json", action="store_true", help="print numbers, not a table")
    given = parser.parse_args(words[1:])

    from parsenet.evaluation.comparison import Scored, compare_scored, comparison_record
    from parsenet.metrics.statistics import Resampling
    from parsenet.reports.tables import comparison_table

    how = Resampling(given.resamples, given.level, given.seed)
    one, other = Scored.load(given.a), Scored.load(given.b)
    result = compare_scored(one, other, how, given.anyway)
    record = comparison_record(result, one.names, how)
    if given.json:
        print(json.dumps(record, indent=1))
    else:
        cards = f"A: {one.path}: {one.card}.\nB: {other.path}: {other.card}."
        print(f"{cards}\n\n{comparison_table(record)}", end="")
    return 0
