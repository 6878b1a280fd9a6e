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

CPU = torch.device("cpu")


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


def test_named_device_is_taken(machine):
    machine(cuda=True)

    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "", "hpu", "xla"])
def test_device_that_is_not_there_is_refused(name):
    with pytest.raises(ConfigError) as error:
        choose_device(name)

    assert str(error.value) == (
        f"`device` must be available here, got '{name}'. Use `auto` or `cpu`."
    )


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_cuda_precision_follows_the_gpu(native, precision, machine):
    machine(cuda=True, gpu_bf16=native)

    assert choose_precision(torch.device("cuda")) == precision


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_cpu_precision_follows_its_bf16_units(native, precision, machine):
    machine(cpu_bf16=native)

    assert choose_precision(CPU) == precision


def test_mps_stays_at_float32(machine):
    machine(mps=True, cpu_bf16=True)

    assert choose_precision(torch.device("mps")) == "32-true"


@pytest.mark.parametrize(("device", "prefers"), [("cpu", True), ("cuda:1", True), ("mps", False)])
def test_channels_last_is_for_cpu_and_cuda(device, prefers):
    assert prefers_channels_last(torch.device(device)) == prefers


@pytest.mark.parametrize(
    ("cpuinfo", "has"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16 sse2\n", True),
        ("flags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
        ("flags\t\t: not_avx512_bf16_really\n", False),
        (None, False),
    ],
)
def test_bf16_units_are_read_from_cpuinfo(cpuinfo, has, tmp_path, monkeypatch):
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(hardware, "Path", lambda _: tmp_path / "cpuinfo")

    assert cpu_has_bf16.__wrapped__() == has


def test_precision_that_is_asked_for_is_taken():
    assert choose_precision(torch.device("cpu"), "bf16-mixed") == "bf16-mixed"
    assert choose_precision(torch.device("cpu"), "32-true") == "32-true"


def test_unknown_precision_is_refused():
    message = "`precision` must be `auto`, `32-true` or `bf16-mixed`, got '16'. Use `auto`."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        choose_precision(torch.device("cpu"), "16")


def test_free_memory_is_what_the_kernel_says(tmp_path, monkeypatch):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       16 kB\nMemAvailable:       7 kB\n")
    monkeypatch.setattr(hardware, "Path", lambda _: meminfo)

    assert free_memory() == 7 * 1024


def test_free_memory_is_unknown_without_a_kernel_that_says(tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "Path", lambda _: tmp_path / "nothing")

    assert free_memory() is None


def test_memory_is_released_where_the_c_library_can(monkeypatch):
    calls = []
    monkeypatch.setattr(hardware, "_malloc_trim", lambda: calls.append)

    release_memory()

    assert calls == [0]


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_releasing_memory_does_nothing_elsewhere(error, monkeypatch):
    def load(name):
        raise error

    monkeypatch.setattr(hardware.ctypes, "CDLL", load)
    monkeypatch.setattr(hardware, "_malloc_trim", hardware._malloc_trim.__wrapped__)

    assert release_memory() is None
