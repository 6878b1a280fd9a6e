"""`parsenet report`: write a run's report anew."""

from __future__ import annotations

import argparse
from pathlib import Path


def main(words: list[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        "parsenet report",
        description="Write report.html and report.md of a run folder anew.",
        allow_abbrev=False,
    )
    parser.add_argument("run_dir", type=Path, help="folder that `parsenet fit` wrote")
    given = parser.parse_args(words[1:])

    from parsenet.reports.html import write_report

    print(write_report(given.run_dir))
    return 0
