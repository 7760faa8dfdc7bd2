"""Threads and device of a child, settled by its environment before it imports anything."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = [
    "DEVICES",
    "available_cores",
    "computes_bfloat16",
    "environment",
    "fitting_workers",
    "memory_of_each",
    "workers_and_threads",
]

DEVICES = ("auto", "cpu", "gpu")

#: What a process that trains a small network may need, in bytes: the framework alone takes half of it.
_MEMORY_NEEDED = 2 * 2**30

#: What a container may take, where there is one.
_CONTAINER = Path("/sys/fs/cgroup")

# Every library that a child may load reads one of these when it is imported.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

#: What GNU's runtime is set to on Linux: threads that wait for each other sleep soon, where they would keep a core from
#: whoever needs it, and memory that a step frees stays with the process, which needs it again in the next. Chosen by
#: measurement: ``benchmarks/harness/speed/child_environment.py``.
_ON_LINUX = {
    "GOMP_SPINCOUNT": "1000",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(2**26),
}


def available_cores() -> int:
    """Return the number of cores that this process may use, in a container no more than its share of time allows."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        share, period = map(int, (_CONTAINER / "cpu.max").read_text(encoding="ascii").split())
        cores = min(cores, max(1, share // period))
    return cores


def fitting_workers(device: str) -> int:
    """Return how many processes can train at once: as cores and memory allow, and one where there is a GPU."""
    if device == "gpu" or (device == "auto" and any(Path("/proc/driver/nvidia/gpus").glob("*"))):
        return 1
    memory = _available_memory()
    cores = available_cores()
    return max(1, cores if memory is None else min(cores, memory // _MEMORY_NEEDED))


def workers_and_threads(runs: int | None, workers: int | None, device: str, *, most: int = 1) -> tuple[int, int]:
    """Return how many of so many runs to train at once, and how many threads each of them has for itself.

    Args:
        runs: how many there are, or ``None`` for more than can be trained at once.
        workers: how many the user wants at once, or ``None`` for as many as there are runs and the machine allows.
        most: how many threads one of the runs has anyway.
    """
    cores = available_cores()
    if workers is None:
        fitting = min(fitting_workers(device), cores // most)
        workers = max(1, fitting if runs is None else min(runs, fitting))
    return workers, max(1, cores // workers)


def memory_of_each(workers: int) -> int | None:
    """Return how much memory each of so many processes may take, in bytes; ``None`` where the system does not say.

    It is no less than one may need, however short memory is.
    """
    memory = _available_memory()
    return None if memory is None else max(memory // workers, _MEMORY_NEEDED)


def _available_memory() -> int | None:
    """Return how much memory can be had now without swapping, in bytes, in a container no more than it may take."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024
    except (OSError, StopIteration, ValueError):
        return None
    with contextlib.suppress(OSError, ValueError, KeyError):  # "max" where there is no limit
        limit, taken = (int((_CONTAINER / f"memory.{what}").read_text(encoding="ascii")) for what in ("max", "current"))
        kinds = dict(line.split() for line in (_CONTAINER / "memory.stat").read_text(encoding="ascii").splitlines())
        free = min(free, limit - taken + int(kinds["inactive_file"]))  # files that were read are let go of
    return max(free, 0)


def computes_bfloat16(device: str) -> bool:
    """Return whether a device computes in bfloat16, and does not only emulate it, which is slow.

    Of a processor Linux knows; where nothing is known the answer is no. GPUs for which PyTorch is built do.
    """
    if device == "gpu":
        return True
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split())
    except OSError:
        return False
    return not flags.isdisjoint({"avx512_bf16", "amx_bf16"})


def environment(*, threads: int, device: str, framework: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of a child. How its threads wait and its memory is kept, users may have set.

    Args:
        threads: how many threads its libraries may use.
        device: ``cpu`` hides every GPU; otherwise the framework sees what there is.
        framework: the framework's own variables, with ``{threads}`` where their number goes.
    """
    variables = dict.fromkeys(_THREADS, str(threads))
    if sys.platform == "linux":
        variables |= {name: value for name, value in _ON_LINUX.items() if name not in os.environ}
    variables |= {name: value.format(threads=threads) for name, value in framework.items()}
    if device == "cpu":
        variables["CUDA_VISIBLE_DEVICES"] = "-1"
    return variables
