"""`parsenet report`: write a run's report anew."""

from dataclasses import dataclass
from pathlib import Path

from parsenet.options import positional


@dataclass(frozen=True)
class ReportOptions:
    """Write report.html and report.md of a run folder anew."""

    run_dir: Path = positional()
    """Folder that `parsenet fit` wrote."""


def report(options: ReportOptions) -> int:
    """Run the command; return its exit code."""
    from parsenet.reports.runs import write_report

    print(write_report(options.run_dir))
    return 0
