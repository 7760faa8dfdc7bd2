"""Threads and device of a child, settled by its environment before it imports anything."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["DEVICES", "available_cores", "available_memory", "computes_bfloat16", "environment"]

DEVICES = ("auto", "cpu", "gpu")

# Every library that a child may load reads one of these when it is imported.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory() -> int | None:
    """Return how much memory can be had now without swapping, in bytes; ``None`` where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024
    except (OSError, StopIteration, ValueError):
        return None


def computes_bfloat16(device: str) -> bool:
    """Return whether a device computes in bfloat16, and does not only emulate it, which is slow.

    Of a processor Linux tells; where nothing is told the answer is no. GPUs for which PyTorch is built do.
    """
    if device == "gpu":
        return True
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split())
    except OSError:
        return False
    return not flags.isdisjoint({"avx512_bf16", "amx_bf16"})


def environment(*, threads: int, device: str, framework: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of a child.

    Args:
        threads: how many threads its libraries may use.
        device: ``cpu`` hides every GPU; otherwise the framework sees what there is.
        framework: the framework's own variables, with ``{threads}`` where their number goes.
    """
    variables = dict.fromkeys(_THREADS, str(threads))
    variables |= {name: value.format(threads=threads) for name, value in framework.items()}
    if device == "cpu":
        variables["CUDA_VISIBLE_DEVICES"] = "-1"
    return variables
