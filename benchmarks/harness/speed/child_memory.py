"""Whether a warm child grows: ``python benchmarks/harness/speed/child_memory.py [TRIALS] [FRAMEWORK ...]``.

Trains tiny networks of varying depth, filters, loss and batch size on made-up images, one trial after the other in one
child of the local executor, asked after each epoch whether to go on, as in a search. Printed is the memory that the
child holds after the tenth, the middle and the last trial (the median of it and its two neighbours), and the ratio of
the last to the tenth.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.config.resolve import Override, resolve
from craterbench.data.dataset import TrainVal
from craterbench.execution.devices import available_cores, environment
from craterbench.execution.executor import ExecutionOptions
from craterbench.execution.local import open_executor
from craterbench.execution.worker import TRAIN_AND_EVALUATE, WorkerProcess
from craterbench.plugin.components import load
from craterbench.plugin.registry import Registry

EARLY = 10


def main() -> None:
    """Print how much memory a child of each framework holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", type=int, nargs="?", default=100)
    parser.add_argument("frameworks", nargs="*", default=["torch", "keras"])
    asked = parser.parse_args()
    trials: int = asked.trials
    for framework in asked.frameworks:
        held = memory(framework, trials)
        at = {number: statistics.median(held[number - 2 : number + 1]) for number in (EARLY, trials // 2, trials)}
        told = ", ".join(f"{size / 2**20:.0f} MiB after trial {number}" for number, size in at.items())
        print(f"{framework}: {told}; ratio {at[trials] / at[EARLY]:.3f}; most {max(held) / 2**20:.0f} MiB", flush=True)


def memory(framework: str, trials: int) -> list[int]:
    """Return the bytes that one child holds after each trial."""
    registry = Registry.installed()
    options = ExecutionOptions(device="cpu", workers=1)
    variables = environment(
        threads=available_cores(), device="cpu", framework=registry.get("framework", framework).environment
    )
    drawing = np.random.default_rng(0)
    train_val: TrainVal | None = None
    held: list[int] = []
    processes = set()
    with tempfile.TemporaryDirectory() as folder, open_executor(options) as executor:
        for number in range(trials):
            benchmark = some_benchmark(registry, framework, drawing)
            if train_val is None:
                train_val = load(benchmark.dataset.target)(benchmark.dataset.parameters).without_test()
            child = executor.acquire(variables)
            assert isinstance(child, WorkerProcess)
            do_trial(child, benchmark, train_val, number, Path(folder) / "log.txt")
            held.append(child.memory or 0)
            processes.add(child.pid)
            executor.release(child, usable=True)
    if len(processes) > 1:
        print(f"{framework}: the executor replaced the child, {len(processes)} did the trials")
    return held


def some_benchmark(registry: Registry, framework: str, drawing: np.random.Generator) -> BenchmarkConfig:
    """Draw the definition of a trial."""
    values = {
        "framework": framework,
        "dataset.name": "synthetic",
        "dataset.images": 48,
        "model.depth": int(drawing.integers(1, 4)),
        "model.filters": int(drawing.integers(2, 13)),
        "loss.name": str(drawing.choice(["bce", "dice", "focal", "bce-dice"])),
        "optimizer.name": str(drawing.choice(["adam", "adamw", "sgd"])),
        "optimizer.learning_rate": 1e-3,
        "training.batch_size": int(drawing.choice([8, 16, 32])),
        "training.epochs": 2,
    }
    return resolve(registry, "reference", [Override(key, value, "") for key, value in values.items()]).benchmark


def do_trial(child: WorkerProcess, benchmark: BenchmarkConfig, train_val: TrainVal, seed: int, log: Path) -> None:
    """Have a trial trained to its end."""
    child.provide(train_val)
    task = {"benchmark": benchmark, "seed": seed, "device": "cpu", "interactive": True, "dataset_id": train_val.digest}
    child.ask(TRAIN_AND_EVALUATE, task, log)
    while (told := child.hear())[0] != "finished":
        if told[0] == "epoch":
            child.answer(should_continue=True)


if __name__ == "__main__":
    main()
