"""`parsenet ablate`: run a grid of experiments and report on it."""

from dataclasses import dataclass
from pathlib import Path

from parsenet.errors import ConfigError
from parsenet.options import overrides_of, positional


@dataclass(frozen=True)
class AblateOptions:
    """Make the runs of a grid that are not recorded yet; it can be stopped and started again."""

    grid: Path = positional()
    """YAML file, see docs/ablations.md; options of a config may follow, such as `--data.root DIR`,
    `--model.network.weights FILE`, `--trainer.max_steps 100` or `--scoring.images 50`."""
    out: Path | None = None
    """Folder of results, samples and report; `runs/GRID` where it is not given."""
    results: Path | None = None
    """Results file; `OUT/results.jsonl` where it is not given."""
    devices: str = "auto"
    """`auto` (every GPU, else the CPU), `cpu,cpu` (two that share the cores), `cuda:0,cuda:1`."""
    report: bool = False
    """Report on the runs that are there, and make none."""
    model: tuple[str, ...] = overrides_of("model")
    data: tuple[str, ...] = overrides_of("data")
    trainer: tuple[str, ...] = overrides_of("trainer")
    scoring: tuple[str, ...] = overrides_of("scoring")


def ablate(options: AblateOptions) -> int:
    """Run the command; return its exit code: 1 where some runs failed."""
    from parsenet.lab.grid import read_grid
    from parsenet.lab.options import read_inputs
    from parsenet.lab.report import write_grid_report
    from parsenet.lab.results import ResultsFile, finished, identify
    from parsenet.lab.runner import LocalWorkers, Runner, find_devices

    overrides = (*options.model, *options.data, *options.trainer, *options.scoring)
    grid = read_grid(options.grid, overrides)
    out_dir = options.out or Path("runs") / options.grid.stem
    file = ResultsFile(options.results or out_dir / "results.jsonl")
    if options.report:
        grid, results = identify(grid, file), file.read()
    else:
        workers = LocalWorkers(find_devices(options.devices), out_dir)
        grid = grid.with_inputs(read_inputs)
        results = Runner(grid, file, out_dir, workers).run()
    known = [results[plan.key] for plan in grid.plans() if plan.key in results]
    counted = finished(grid, results)
    if options.report and not any("failed" in run or run["key"] in counted for run in known):
        raise ConfigError(
            f"'{file.path}' must hold runs of '{options.grid}' to report on, got none of its "
            f"{grid.num_runs}. Make them without `--report`, name another file by `--results`, "
            "or give the options, data and weights that they were made with."
        )
    print(f"Report: {write_grid_report(grid, counted, out_dir)}")
    return int(any("failed" in run for run in known))
