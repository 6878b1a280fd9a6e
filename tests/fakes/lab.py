"""A small grid on synthetic shapes, and results that look as if they had been run."""

import errno
import os
import signal

import yaml

from parsenet.errors import ConfigError
from parsenet.lab.grid import Cell, Plan, read_grid
from parsenet.lab.options import read_inputs

GRID = {
    "title": "Tiny",
    "base": {
        "model": {
            "network": {"trunk": "tiny", "head": "early", "upsample": "bilinear", "dropout": 0.0},
            "optim": {"loss": "mean"},
        },
        "data": {
            "dataset": "shapes", "train_split": "train", "val_split": "val", "batch_size": 2,
            "num_workers": 0, "crop": [24, 32], "scale": [1, 1], "check_labels": False,
        },
        "trainer": {"max_steps": 3, "accelerator": "cpu", "precision": "32-true"},
        "scoring": {"images": 3, "samples": 1},
    },
    "rows": {
        "fc7": {"model": {"network": {"features": ["fc7"]}}},
        "both": {"model": {"network": {"features": ["pool6", "fc7"]}}},
    },
    "columns": {
        "norm": {"model": {"network": {"normalize": True}}},
        "raw": {"model": {"network": {"normalize": False}}},
    },
    "leave_out": [["fc7", "norm"]],
    "lrs": [0.01, 0.001],
    "seeds": [0, 1, 2],
    "paper": {"fc7": {"raw": {"mean_iou": 50.0}}, "both": {"raw": "collapsed"}},
}  # fmt: skip


def write_grid(folder, **changes):
    """Write the grid file; return its path."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(GRID | changes, sort_keys=False))
    return path


def make_grid(folder, **changes):
    """Write and read the grid, and what its data are."""
    return read_grid(write_grid(folder, **changes)).with_inputs(read_inputs)


def result_of(plan, score, collapsed=False, **changes):
    """Return a result of a run with this mean IoU."""
    return {
        "row": plan.cell.row,
        "column": plan.cell.column,
        "lr": plan.options.optim.lr,
        "seed": plan.options.seed,
        "key": plan.key,
        "inputs": dict(plan.options.inputs),
        "config": plan.options.to_dict(),
        "date": "2026-01-02T03:04:05+00:00",
        "seconds": 36.0,
        "machine": {
            "versions": {"torch": "2"}, "git_commit": "a" * 40 + "-dirty", "device": "cpu: X",
            "num_threads": 2,
        },
        "precision": "32-true",
        "curve": [[1, 3.0], [2, 2.0]],
        "highest_loss": 4.0,
        "norms": {"conv3": [[0, 100.0], [2, 10.0]], "fc7": [[0, 10.0], [2, None]]},
        "scales": {},
        "num_images": 3,
        "scores": {
            "pixel_accuracy": 0.5, "mean_accuracy": 0.5, "mean_iou": score,
            "frequency_weighted_iou": 0.5,
        },
        "class_iou": {"a": score, "b": None, "c": 0.0},
        "samples": ["one"],
        "collapsed": collapsed,
        "reason": "everything is sky" if collapsed else None,
        **changes,
    }  # fmt: skip


def pretend(device, out_dir, options):
    """Make a run without training: seed 1 kills its process once, 2 always, 3 breaks, 5 fills
    the disk.

    A run's score is its rate, and a rate above 1 is refused. A state is left behind.
    """
    begun = out_dir / f"{options.key}.begun"
    first = not begun.exists()
    begun.touch()
    options.state_in(out_dir).parent.mkdir(exist_ok=True)
    options.state_in(out_dir).touch()
    if options.seed == 2 or (options.seed == 1 and first):
        os.kill(os.getpid(), signal.SIGKILL)
    if options.seed == 3:
        raise ValueError("no")
    if options.seed == 5:
        raise OSError(errno.ENOSPC, "No space left on device")
    if options.optim.lr > 1:
        raise ConfigError("`data.root` must be set.")
    return result_of(Plan(Cell("x", "y"), options), options.optim.lr)
