"""What a run is made on, for its `record.json`, and the sample images that it leaves."""

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from parsenet.data.base import SegmentationDataset
from parsenet.data.sample import collate
from parsenet.engine.module import SegmentationModule
from parsenet.inference.drawing import Triple, draw_sample, write_image, write_worst
from parsenet.metrics.record import Evaluation
from parsenet.version import __version__

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "albumentations", "numpy")


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Return versions, git commit and hardware as plain values."""
    versions = {package: version(package) for package in PACKAGES}
    return {
        "versions": {"python": platform.python_version(), "parsenet": __version__, **versions},
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
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    except OSError:  # no git
        return None
    return done.stdout.strip() or None


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_samples(
    out_dir: Path,
    module: SegmentationModule,
    dataset: SegmentationDataset,
    evaluation: Evaluation,
) -> None:
    """Draw images beside ground truth and prediction.

    Eight spread evenly over the scored split go to `samples/`, the eight worst to `worst/`.
    """
    device, kind = next(module.parameters()).device, module.taxonomy.label_type

    def read(name: str) -> Triple:
        item = dataset[dataset.ids.index(name)]
        batch = collate([item])
        with torch.inference_mode():
            label = module.predict_label(batch._replace(image=batch.image.to(device)))[0]
        image = item.image.permute(1, 2, 0).numpy()
        return image, item.label.numpy().astype(kind), label.cpu().numpy().astype(kind)

    for index in np.linspace(0, len(dataset) - 1, min(8, len(dataset))).astype(int):
        name = dataset.ids[index]
        path = out_dir / "samples" / f"{name.replace('/', '_')}.png"
        write_image(path, draw_sample(*read(name), module.taxonomy))
    write_worst(out_dir / "worst", evaluation.worst(), read, module.taxonomy)
