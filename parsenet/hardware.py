"""What this machine is good at: device, precision, memory layout."""

import ctypes
import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Literal, cast, get_args

import torch

from parsenet.errors import ConfigError

Precision = Literal["32-true", "bf16-mixed"]


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of that name; `auto` prefers CUDA, then Apple's MPS, then the CPU.

    Raises:
        ConfigError: the device is not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:  # each back end has its own
        raise ConfigError(
            f"`device` must be available here, got '{name}'. Use `auto` or `cpu`."
        ) from error
    return device


def choose_precision(device: torch.device, name: str = "auto") -> Precision:
    """Return the precision of that name; `auto` is bfloat16 where the hardware computes it.

    On a CPU without bf16 units autocast is several times slower than float32.

    Raises:
        ConfigError: there is no such precision.
    """
    if name in get_args(Precision):
        return cast("Precision", name)
    if name != "auto":
        raise ConfigError(
            f"`precision` must be `auto`, `32-true` or `bf16-mixed`, got '{name}'. Use `auto`."
        )
    if device.type == "cuda":
        is_fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        is_fast = device.type == "cpu" and cpu_has_bf16()
    return "bf16-mixed" if is_fast else "32-true"


def prefers_channels_last(device: torch.device) -> bool:
    """Tell whether convolutions run faster with channels last: on CPUs and on CUDA, measured."""
    return device.type in ("cpu", "cuda")


@cache
def cpu_has_bf16() -> bool:
    """Tell whether the CPU multiplies bfloat16 itself (AVX512-BF16 or AMX); Linux only."""
    cpuinfo = Path("/proc/cpuinfo")
    words = cpuinfo.read_text(encoding="utf-8").split() if cpuinfo.is_file() else []
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(words)


def free_memory() -> int | None:
    """Return the bytes that programs can still have without swapping; None where unknown."""
    meminfo = Path("/proc/meminfo")
    text = meminfo.read_text(encoding="utf-8") if meminfo.is_file() else ""
    found = re.search(r"^MemAvailable: +(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def release_memory() -> None:
    """Give freed memory back to the system, where the C library can; elsewhere do nothing.

    glibc keeps what was freed for later use, and blocks of many sizes leave holes: over a thousand
    windows a process grew to twice what it had in use.
    """
    with suppress(AttributeError, OSError, TypeError):  # macOS and musl; Windows
        ctypes.CDLL(None).malloc_trim(0)
