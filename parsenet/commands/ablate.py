"""`parsenet ablate`: run a grid of experiments and report on it."""

from __future__ import annotations

import argparse
from pathlib import Path

from parsenet.errors import ConfigError, ParseNetError


def main(words: list[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        "parsenet ablate",
        description="Make every run of a grid that is not in its results file yet, one after "
        "another on a CPU, one per GPU at a time on GPUs, and report on all of them. It can be "
        "stopped at any moment and started again.",
        epilog="Any option of a config may follow, such as `--data.root DIR`, "
        "`--model.network.weights FILE` or `--trainer.max_steps 100`. Exit code: 0 done, 1 some "
        "runs failed, 2 refused.",
        allow_abbrev=False,
    )
    parser.add_argument("grid", type=Path, metavar="GRID", help="YAML file, see docs/ablations.md")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder (default: runs/GRID)")
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="results file (default: DIR/results.jsonl)"
    )
    parser.add_argument(
        "--devices",
        default="auto",
        help="auto (every GPU, else the CPU), cpu,cpu (two workers share the cores), cuda:0,cuda:1",
    )
    parser.add_argument(
        "--report", action="store_true", help="report on the runs that are there, and make none"
    )
    from parsenet.lab.grid import SECTIONS, read_grid

    own, overrides = _take_out(words[1:], SECTIONS)
    given, unknown = parser.parse_known_args(own)

    from parsenet.lab.results import ResultsFile

    grid = read_grid(given.grid, [*unknown, *overrides])
    out_dir = given.out or Path("runs") / grid.name
    file = ResultsFile(given.results or out_dir / "results.jsonl")
    try:
        from parsenet.lab.report import write_grid_report
        from parsenet.lab.runner import run_grid
        from parsenet.lab.standings import finished

        results = file.read() if given.report else run_grid(grid, file, out_dir, given.devices)
        counted = finished(grid, results)
        known = {*counted, *(key for key, result in results.items() if "failed" in result)}
        if given.report and not any(plan.key in known for plan in grid.plans()):
            raise ConfigError(
                f"'{file.path}' must hold runs of '{given.grid}' to report on, got none of its "
                f"{grid.num_runs}. Make them without `--report`, name another file by `--results`, "
                "or give the options that they were made with."
            )
        print(f"Report: {write_grid_report(grid, counted, out_dir)}")
    except ModuleNotFoundError as error:
        raise ParseNetError(
            f"`parsenet ablate` needs '{error.name}', which is not installed. "
            "Run `pip install 'parsenet[train]'`."
        ) from error
    return int(any("failed" in results.get(plan.key, ()) for plan in grid.plans()))


def _take_out(words: list[str], beginnings: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Part words from options that begin so, and their values: one could be taken for GRID."""
    rest: list[str] = []
    taken: list[str] = []
    for index, word in enumerate(words):
        before = words[index - 1] if index else ""
        is_value = before.startswith(beginnings) and "=" not in before
        (taken if is_value or word.startswith(beginnings) else rest).append(word)
    return rest, taken
