"""What a grid came to, as plain values: the one record that every form of the report is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from parsenet.lab.grid import Grid
from parsenet.lab.results import Result
from parsenet.lab.standings import WORKS, Estimate, Standing, estimate, figure, standing
from parsenet.reports.tables import SUMMARY

Summary = dict[str, Any]


def summarise(grid: Grid, results: Mapping[str, Result]) -> Summary:
    """Put together what is known of every cell.

    Args:
        grid: what was asked for.
        results: finished runs by key.

    Returns:
        plain values; scores in [0, 1], the paper's too.
    """
    stands = [standing(grid, cell, results) for cell in grid.cells]
    runs = _unique(run for stand in stands for run in _all_runs(stand))
    return {
        "name": grid.name,
        "title": grid.title,
        "score": grid.score.title,
        "metric": None if grid.score.classes else grid.score.metric,
        "classes": list(grid.score.classes),
        "rows": list(grid.rows),
        "columns": list(grid.columns),
        "lrs": list(grid.lrs),
        "seeds": list(grid.seeds),
        "sweep_seeds": list(grid.sweep_seeds),
        "works": WORKS,
        "num_runs": grid.num_runs,
        "num_done": len(runs),
        "num_collapsed": sum(run["collapsed"] for run in runs),
        "seconds": sum(run["seconds"] for run in runs),
        "origins": origins(runs),
        "cells": [_summarise_cell(grid, stand) for stand in stands],
    }


def origins(runs: Sequence[Result]) -> list[str]:
    """Say on what the runs were made: machines, commits, days; a line for each combination."""
    counts: dict[str, int] = {}
    for run in runs:
        machine = run["machine"]
        commit = machine["git_commit"]
        threads = machine["num_threads"]
        word = (
            f"{run['date'][:10]}, {machine['device']}, {threads} thread{'s'[: threads != 1]}, "
            f"{run['precision']}, torch {machine['versions']['torch']}, commit "
            f"{commit[:7] + commit[40:] if commit else 'unknown'}"
        )
        counts[word] = counts.get(word, 0) + 1
    return [f"{count} runs: {word}" for word, count in sorted(counts.items())]


def _summarise_cell(grid: Grid, stand: Standing) -> Summary:
    """Put together what is known of a cell."""
    runs = stand.runs
    paper = grid.paper.get(stand.cell, {})
    record: Summary = {
        "row": stand.cell.row,
        "column": stand.cell.column,
        "best_lr": stand.best_lr,
        "num_collapsed": sum(run["collapsed"] for run in runs),
        "reasons": sorted({run["reason"] for run in runs if run["collapsed"]}),
        "sweep": [
            {
                "lr": lr,
                "score": fmean(figure(run, grid.score) for run in found),
                "collapsed": any(run["collapsed"] for run in found),
                "highest_loss": max((run["highest_loss"] or 0.0 for run in found), default=None),
            }
            for lr, found in stand.sweep.items()
        ],
        "is_swept": stand.is_swept,
        "working": list(stand.working),
        "decades": stand.decades,
        "score": _plain(estimate([figure(run, grid.score) for run in runs])),
        "paper_collapsed": stand.cell in grid.paper_collapsed,
    }
    for metric in SUMMARY:
        values = [run["scores"][metric] for run in runs if run["scores"][metric] is not None]
        record[metric] = _plain(estimate(values)) | {"paper": None}
        if metric in paper:
            record[metric]["paper"] = paper[metric] / 100
    if runs:  # the first seed's run stands for the cell in curves and images
        shown = runs[0]
        record |= {"shown": shown["key"], "samples": shown["samples"]}
        record |= {name: shown[name] for name in ("curve", "norms", "scales")}
    return record


def _plain(value: Estimate) -> Summary:
    return {
        "mean": value.mean if value.count else None,
        "half_width": value.half_width,
        "count": value.count,
    }


def _all_runs(stand: Standing) -> list[Result]:
    return [*(run for runs in stand.sweep.values() for run in runs), *stand.runs]


def _unique(runs: Iterable[Result]) -> list[Result]:
    """Leave out what is there twice: the sweep's run at the best rate is one of the cell's."""
    return list({run["key"]: run for run in runs}.values())
