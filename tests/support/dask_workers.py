"""Trials for workers of the Dask executor."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from processes import PATIENCE

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.config.resolve import parse_override, resolve
from craterbench.execution.devices import environment
from craterbench.execution.executor import ExecutionOptions, Executor, Worker
from craterbench.execution.versions import packages_of
from craterbench.execution.worker import TRAIN_AND_EVALUATE
from craterbench.plugin.registry import Registry
from craterbench.training.parts import train_val

ENDLESS = ("training.epochs=100000", "training.patience=100000")


def small(*settings: str, name: str = "logistic") -> BenchmarkConfig:
    common = ("dataset.name=synthetic", "dataset.images=12", "dataset.size=16", "training.epochs=3")
    return resolve(Registry.installed(), name, [parse_override(setting) for setting in (*common, *settings)]).benchmark


def executor_options(address: str, benchmark: BenchmarkConfig | None = None, **changes: Any) -> ExecutionOptions:
    packages = packages_of(benchmark or small())
    return replace(ExecutionOptions(executor="dask", packages=packages, device="cpu", address=address), **changes)


def variables(benchmark: BenchmarkConfig | None = None, threads: int = 1) -> dict[str, str]:
    """Return the environment of a worker that trains such a benchmark."""
    framework = Registry.installed().get("framework", (benchmark or small()).framework.name)
    return environment(threads=threads, device="cpu", framework=framework.environment)


def begin(worker: Any, benchmark: BenchmarkConfig, log: Path, *, seed: int = 1, interactive: bool = False) -> None:
    """Ask a worker, of whatever executor, for a trial."""
    images = train_val(benchmark)
    worker.provide(images)
    task = {
        "benchmark": benchmark,
        "seed": seed,
        "device": "cpu",
        "interactive": interactive,
        "dataset_id": images.digest,
    }
    worker.ask(TRAIN_AND_EVALUATE, task, log)


def heard(worker: Any, should_prune: Callable[[int], bool] | None = None) -> list[tuple[str, Any]]:
    """Return all messages of a worker on its task; each epoch of an interactive one is answered."""
    told = []
    while not told or told[-1][0] != "finished":
        assert worker.connection.poll(PATIENCE)
        told.append(worker.hear())
        if should_prune is not None and told[-1][0] == "epoch":
            worker.answer(should_continue=should_prune(len(told) - 1))
    return told


def acquired(executor: Executor, benchmark: BenchmarkConfig | None = None) -> Worker:
    deadline = time.monotonic() + PATIENCE
    while (worker := executor.acquire(variables(benchmark))) is None:
        assert time.monotonic() < deadline, "no worker could be acquired"
        time.sleep(0.1)
    return worker
