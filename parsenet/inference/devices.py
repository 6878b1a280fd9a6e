"""One run shared by several GPUs or processes, each with its own network and its own inputs."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection

import torch

from parsenet.errors import ConfigError, ParseNetError
from parsenet.inference.job import Job, Report
from parsenet.inference.predictor import Predictor
from parsenet.inference.run import Run, finish


def predict_on_devices(
    load: Callable[..., Predictor], job: Job, device: str, devices: int
) -> Report:
    """Write the results of every input into a folder, by several processes.

    Every process labels each n-th input and writes its own files; only they load the network.

    Raises:
        ConfigError: there are not so many devices; and whatever a run by one process raises.
    """
    names = _name_devices(device, devices)
    report = job.prepare()
    inputs = [one for one in job.inputs if str(one.path) not in report.failed]
    context = multiprocessing.get_context("spawn")
    answers, processes = [], []
    for rank, name in enumerate(names):
        share = replace(
            job, inputs=tuple(inputs[rank::devices]), progress=job.progress and rank == 0
        )
        answer, end = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(end, load, share, name, devices), daemon=True)
        process.start()
        end.close()
        answers.append(answer)
        processes.append(process)
    problem: BaseException | None = None
    while answers:
        try:
            part, error = answers[0].recv()
            report.done += part.done
            report.skipped += part.skipped
            report.failed |= part.failed
            report.taxonomy = report.taxonomy or part.taxonomy
            problem = problem or error
        except EOFError:
            problem = problem or RuntimeError("A process of `--devices` ended without a word.")
        except KeyboardInterrupt as interruption:
            problem = interruption
            for process in processes:
                process.terminate()
            continue
        answers.pop(0)
    finish(job, report)
    if problem is not None:
        raise problem
    return report


def _work(
    answer: Connection, load: Callable[..., Predictor], job: Job, device: str, devices: int
) -> None:
    """Label one process's share; answer with its report and what ended it early."""
    # On a terminal Ctrl-C reaches every process; the one that started them passes it on, once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    report, problem = Report(), None
    try:
        if device == "cpu":
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // devices))
        Run(load(device=device), job, report).label()
    except (ParseNetError, KeyboardInterrupt) as error:
        problem = error
    answer.send((report, problem))


def _name_devices(device: str, devices: int) -> list[str]:
    """Name the device of each process."""
    if devices < 1:
        raise ConfigError(f"`devices` must be at least 1, got {devices}.")
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(
            f"`device` must be auto, cpu or cuda with `--devices {devices}`, got '{device}'."
        )
    gpus = torch.cuda.device_count()
    if device == "cpu" or (device == "auto" and not gpus):
        return ["cpu"] * devices
    if devices > gpus:
        raise ConfigError(
            f"`devices` must be at most {gpus}, the GPUs here, got {devices}. Add `--device cpu` "
            "for processes on the CPU."
        )
    return [f"cuda:{rank}" for rank in range(devices)]
