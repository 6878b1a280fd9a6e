"""`record.json`: what ran, where, on which versions, and how long."""

import json
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from parsenet.files import write_bytes_atomically
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
    """Write a JSON file, whole or not at all."""
    write_bytes_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
