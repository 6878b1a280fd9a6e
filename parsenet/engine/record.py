"""What a run leaves: `record.json` (what ran, where, on which versions), scores, sample images."""

import json
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from parsenet.config import DataConfig
from parsenet.data.sample import Item, collate
from parsenet.engine.datamodule import SegmentationDataModule
from parsenet.engine.module import Result, SegmentationModule
from parsenet.files import write_bytes_atomically
from parsenet.inference.drawing import Triple, draw_sample, write_image, write_worst
from parsenet.metrics.record import Evaluation
from parsenet.taxonomy import Taxonomy
from parsenet.version import __version__

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "albumentations", "numpy")


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Return versions, git commit and hardware as plain values."""
    versions = {"python": platform.python_version(), "parsenet": __version__}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "git_commit": git_commit(),
        "device": device_name(device),
        "num_threads": torch.get_num_threads(),
    }


def device_name(device: torch.device) -> str:
    """Name the hardware behind a device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    if device.type == "cpu" and cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return f"cpu: {line.partition(':')[2].strip()}"
    return f"{device.type}: {platform.processor() or platform.machine()}"


def git_commit() -> str | None:
    """Return the commit of this source tree, with `-dirty` where files differ; None outside git."""
    folder = Path(__file__).parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}-dirty" if changed else commit


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    write_bytes_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def write_metrics(
    out_dir: Path, result: Result, taxonomy: Taxonomy, data: DataConfig, checkpoint: Path | None
) -> Evaluation:
    """Write the scores with their card, the confusion matrix, and the counts per image.

    Args:
        out_dir: folder to write to.
        result: what the pass gave.
        taxonomy: names of the classes.
        data: tells the split.
        checkpoint: file that was scored.

    Returns:
        what was written.
    """
    split = data.val_split if result.stage == "val" else data.test_split
    evaluation = Evaluation.of(result.images, taxonomy, split, checkpoint)
    evaluation.write(out_dir)
    return evaluation


def write_samples(
    out_dir: Path,
    module: SegmentationModule,
    datamodule: SegmentationDataModule,
    evaluation: Evaluation,
    count: int = 8,
) -> None:
    """Draw images spread evenly over the scored split, and the worst ones, beside the ground truth.

    Args:
        out_dir: folder; the images go to `samples/` in it, named after their id, and `worst/`.
        module: predicts.
        datamodule: holds the split that `module.result` belongs to.
        evaluation: tells which images are the worst.
        count: how many of each.
    """
    assert module.result is not None
    dataset = datamodule.dataset(module.result.stage)
    spread = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int).tolist()
    for index in spread:
        item = dataset[index]
        sheet = draw_sample(*_predict(module, item), module.taxonomy)
        write_image(out_dir / "samples" / f"{item.id.replace('/', '_')}.png", sheet)

    def read(name: str) -> Triple:
        return _predict(module, dataset[dataset.ids.index(name)])

    write_worst(out_dir / "worst", evaluation.worst(count), read, module.taxonomy)


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def _predict(module: SegmentationModule, item: Item) -> Triple:
    """Return image, ground truth and prediction."""
    batch = collate([item])
    device = next(module.parameters()).device
    with torch.inference_mode():
        label = module.predict_label(batch._replace(image=batch.image.to(device)))[0]
    return (
        item.image.permute(1, 2, 0).numpy(),
        item.label.numpy().astype(module.taxonomy.label_type),
        label.cpu().numpy().astype(module.taxonomy.label_type),
    )
