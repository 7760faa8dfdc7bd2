"""The command line and children in processes of their own, to be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.execution.worker import TRAIN_AND_EVALUATE, WorkerProcess
from craterbench.training.experiment import RunResult

BENCH = str(Path(sys.executable).with_name("bench"))

PATIENCE = 240  # seconds for what takes a few on a machine that has nothing else to do


def eventually(condition: Callable[[], object]) -> bool:
    """Wait until something holds, and say whether it does."""
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(condition())


def after(statements: str, command: list[str]) -> list[str]:
    """Return a command that runs some Python first, in the same process.

    What ``preexec_fn`` does between fork and exec may wait for ever for a lock that another thread held.
    """
    return [sys.executable, "-c", f"{statements}; import os, sys; os.execv(sys.argv[1], sys.argv[1:])", *command]


def started(
    command: list[str], until: str = "epoch 1/", environment: Mapping[str, str] = os.environ
) -> subprocess.Popen[str]:
    """Run a command in a process group of its own, as a shell does, and wait until it says something."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if until in line:
            return process
    raise AssertionError(f"it never said {until!r}")


def children(pid: int) -> list[int]:
    """The training processes below a process; its resource tracker is none."""
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in below if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


def trained_and_evaluated(
    child: WorkerProcess,
    benchmark: BenchmarkConfig,
    *,
    seed: int,
    log: Path,
    device: str = "cpu",
    on_epoch: Callable[[dict[str, Any]], object] = lambda row: None,
) -> RunResult:
    """Return what a child brings home from a run, each epoch of which is told as it ends."""
    child.ask(TRAIN_AND_EVALUATE, {"benchmark": benchmark, "seed": seed, "device": device}, log)
    while (told := child.hear())[0] != "finished":
        if told[0] == "epoch":
            on_epoch(told[1])
    return told[1]
