"""The device, the precision and the memory that are chosen, on pretended machines."""

import re

import pytest
import torch

from parsenet import hardware
from parsenet.errors import ConfigError
from parsenet.hardware import (
    choose_device,
    choose_precision,
    cpu_has_bf16,
    free_memory,
    prefers_channels_last,
    release_memory,
)


@pytest.fixture
def machine(monkeypatch):
    """Return a function that pretends to be a machine."""

    def pretend(cuda=False, mps=False, gpu_bf16=False, cpu_bf16=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation=True: gpu_bf16
        )
        monkeypatch.setattr(hardware, "cpu_has_bf16", lambda: cpu_bf16)

    return pretend


@pytest.mark.parametrize(
    ("available", "device"),
    [
        ({}, "cpu"),
        ({"cuda": True}, "cuda"),
        ({"mps": True}, "mps"),
        ({"cuda": True, "mps": True}, "cuda"),
    ],
)
def test_auto_takes_the_best_device(available, device, machine):
    machine(**available)

    assert choose_device("auto") == torch.device(device)
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "", "hpu", "xla"])
def test_device_that_is_not_there_is_refused(name):
    message = f"`device` must be available here, got '{name}'. Use `auto` or `cpu`."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        choose_device(name)


@pytest.mark.parametrize(
    ("device", "has", "precision"),
    [
        ("cuda", {"gpu_bf16": True}, "bf16-mixed"),
        ("cuda", {"cpu_bf16": True}, "32-true"),
        ("cpu", {"cpu_bf16": True}, "bf16-mixed"),
        ("cpu", {"gpu_bf16": True}, "32-true"),
        ("mps", {"cpu_bf16": True, "gpu_bf16": True}, "32-true"),
    ],
)
def test_precision_follows_the_units_of_the_device(device, has, precision, machine):
    machine(**has)

    assert choose_precision(torch.device(device)) == precision
    assert choose_precision(torch.device(device), "bf16-mixed") == "bf16-mixed"
    assert choose_precision(torch.device(device), "32-true") == "32-true"


def test_unknown_precision_is_refused():
    message = "`precision` must be `auto`, `32-true` or `bf16-mixed`, got '16'. Use `auto`."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        choose_precision(torch.device("cpu"), "16")


@pytest.mark.parametrize(("device", "prefers"), [("cpu", True), ("cuda:1", True), ("mps", False)])
def test_channels_last_is_for_cpu_and_cuda(device, prefers):
    assert prefers_channels_last(torch.device(device)) == prefers


@pytest.mark.parametrize(
    ("cpuinfo", "has"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16 sse2\n", True),
        ("flags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("flags\t\t: not_avx512_bf16_really\n", False),
        (None, False),
    ],
)
def test_bf16_units_are_read_from_cpuinfo(cpuinfo, has, tmp_path, monkeypatch):
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(hardware, "Path", lambda _: tmp_path / "cpuinfo")

    assert cpu_has_bf16.__wrapped__() == has


def test_free_memory_is_what_the_kernel_says_if_there_is_one(tmp_path, monkeypatch):
    meminfo = tmp_path / "meminfo"
    monkeypatch.setattr(hardware, "Path", lambda _: meminfo)
    assert free_memory() is None

    meminfo.write_text("MemTotal:       16 kB\nMemAvailable:       7 kB\n")

    assert free_memory() == 7 * 1024


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_memory_is_released_where_the_c_library_can(error, monkeypatch):
    release_memory()

    def load(name):
        raise error

    monkeypatch.setattr(hardware.ctypes, "CDLL", load)
    release_memory()
