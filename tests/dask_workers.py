"""Trials for workers of the Dask engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from processes import PATIENCE

from craterbench.definition.benchmark import Benchmark
from craterbench.definition.overrides import parse_override, resolve
from craterbench.host.engine import Engine, Terms, Worker
from craterbench.host.versions import packages_of
from craterbench.plugin.registry import Registry
from craterbench.training.experiment import development

ENDLESS = ("training.epochs=100000", "training.patience=100000")


def small(*settings: str, name: str = "logistic") -> Benchmark:
    common = ("dataset.name=synthetic", "dataset.images=12", "dataset.size=16", "training.epochs=3")
    return resolve(Registry.installed(), name, [parse_override(setting) for setting in (*common, *settings)]).benchmark


def terms(address: str, benchmark: Benchmark | None = None, **changes: Any) -> Terms:
    benchmark = benchmark or small()
    framework = Registry.installed().get("framework", benchmark.framework.name)
    packages = packages_of(benchmark)
    return replace(Terms(framework=framework, packages=packages, device="cpu", address=address), **changes)


def begin(worker: Any, benchmark: Benchmark, log: Path, *, seed: int = 1, asks: bool = False) -> None:
    """Ask a worker, of whatever engine, for a trial."""
    images = development(benchmark)
    worker.provide(images)
    task = {"benchmark": benchmark, "seed": seed, "device": "cpu", "asks": asks, "given": images.digest}
    worker.ask("perform", task, log)


def heard(worker: Any, judge: Callable[[int], bool] | None = None) -> list[tuple[str, Any]]:
    """Return all that a worker tells of its task, each epoch of which is judged if it asks."""
    told = []
    while not told or told[-1][0] != "finished":
        assert worker.connection.poll(PATIENCE)
        told.append(worker.hear())
        if judge is not None and told[-1][0] == "epoch":
            worker.answer(go_on=judge(len(told) - 1))
    return told


def hired(engine: Engine) -> Worker:
    deadline = time.monotonic() + PATIENCE
    while (worker := engine.hire()) is None:
        assert time.monotonic() < deadline, "nobody could be hired"
        time.sleep(0.1)
    return worker
