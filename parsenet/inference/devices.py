"""One run shared by several GPUs or processes; Lightning starts them and says who has which device.

Every process labels each n-th image and writes its own files. What is one file for all is written
at the end by the process that started the others, from the journals that they leave.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from parsenet.config import InferenceConfig
from parsenet.errors import ConfigError, ParseNetError
from parsenet.files import write_bytes_atomically
from parsenet.inference.folder import Job
from parsenet.inference.journal import Journal
from parsenet.inference.predictor import Predictor
from parsenet.inference.report import Report
from parsenet.taxonomy import Taxonomy
from parsenet.version import __version__

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_GRACE = 60.0
"""Seconds that processes get to finish the files they are at."""


@dataclass(frozen=True)
class Loading:
    """How each process loads the network."""

    path: Path | None
    """Checkpoint; None for the bundled model."""
    device: str
    """`auto`, `cpu` or `cuda`; which GPU is up to the process."""
    precision: str
    """`32-true`, `bf16-mixed` or `auto`."""
    config: InferenceConfig
    """Windows, context and test-time augmentation."""

    def load(self, device: str | None = None) -> Predictor:
        """Load the network, on a given device or on that of the options."""
        return Predictor.load(self.path, device or self.device, self.precision, self.config)

    def settings(self) -> dict[str, Any]:
        """Say what decides about the labels; a folder holds results of one such choice."""
        config = self.config
        settings = {"scales": list(config.scales), "flip": config.flip, "context": config.context}
        settings |= {"window": config.window, "overlap": config.overlap}
        if self.path is None:
            return {"model": f"bundled with {__version__}"} | settings
        if not self.path.is_file():
            return settings  # loading says so in a moment
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"model": f"{self.path.name} ({digest[:12]})"} | settings


def predict_on_devices(loading: Loading, job: Job, taxonomy: Taxonomy, devices: int) -> Report:
    """Write the results of every image into a folder, by several processes.

    Args:
        loading: how each process loads the network.
        job: what there is to do.
        taxonomy: of the network.
        devices: number of GPUs, or of processes on a CPU.

    Raises:
        ConfigError: there are not so many devices, Lightning is missing, or an input belongs to one
            process; and whatever a run by one process raises.
    """
    accelerator = _choose_accelerator(loading.device, devices)
    _refuse_standard_input(job)
    job.prepare()
    Journal(job.out_dir, job.run.settings, job.run.overwrite)  # refuses, and begins the file
    report, errors = Report(), []
    try:
        _launch(accelerator, devices, loading, job)
    finally:
        for path in sorted(job.out_dir.glob(".part*.report.json")):
            record = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
            errors += [record.pop("error")] if "error" in record else []
            report.add([Report(**record)])
            path.unlink()
        # Not `overwrite`: what the processes have just noted must stay.
        job.finish(Journal(job.out_dir, job.run.settings), taxonomy, report)
    if errors:
        raise ConfigError(errors[0])
    return report


def _launch(accelerator: str, devices: int, loading: Loading, job: Job) -> None:
    from lightning_fabric import Fabric

    fabric = Fabric(accelerator=accelerator, devices=devices, strategy="ddp_spawn")
    try:
        fabric.launch(partial(_work, loading=loading, job=job))
    except BaseException:
        children = multiprocessing.active_children()
        for child in children:
            if child.pid is not None:
                os.kill(child.pid, signal.SIGTERM)
        for child in children:
            child.join(_GRACE)
        raise


def _work(fabric: Fabric, loading: Loading, job: Job) -> None:
    """Label one process's share."""
    rank, world = fabric.global_rank, fabric.world_size
    # On a terminal Ctrl-C reaches every process; the one that started them passes it on, once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    report = Report()
    error = {}
    try:
        if fabric.device.type == "cpu":
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // world))
        predictor = loading.load(str(fabric.device))
        shown = replace(job, run=replace(job.run, progress=job.run.progress and rank == 0))
        journal = Journal(job.out_dir, job.run.settings, part=f"part{rank}")
        shown.label(predictor, journal, report, slice(rank, None, world))
    except ParseNetError as reason:
        error = {"error": str(reason)}
    finally:
        text = json.dumps(asdict(report) | error)
        path = job.out_dir / f".part{rank}.report.json"
        write_bytes_atomically(path, text.encode("ascii"))


def _choose_accelerator(device: str, devices: int) -> str:
    if find_spec("lightning_fabric") is None:
        raise ConfigError(
            "`--devices` needs Lightning, which is not installed. Run "
            "`pip install 'parsenet[train]'`."
        )
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(
            f"`device` must be auto, cpu or cuda with `--devices {devices}`, got '{device}'."
        )
    gpus = torch.cuda.device_count()
    accelerator = "cpu" if device == "cpu" or (device == "auto" and not gpus) else "cuda"
    if accelerator == "cuda" and devices > gpus:
        raise ConfigError(
            f"`devices` must be at most {gpus}, the GPUs here, got {devices}. Add `--device cpu` "
            "for processes on the CPU."
        )
    return accelerator


def _refuse_standard_input(job: Job) -> None:
    if any(source.kind == "stdin" for source in job.sources):
        raise ConfigError("`-` must be read by one process. Leave out `--devices`.")
