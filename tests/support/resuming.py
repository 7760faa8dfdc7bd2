"""Whether a run that is broken off after any epoch, and goes on, comes to the digits of one that was not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.results.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from craterbench.training.experiment import RunResult, train_and_evaluate


def without_seconds(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def check_every_epoch(benchmark: BenchmarkConfig, folder: Path) -> RunResult:
    """Perform a benchmark, and once more from each of its checkpoints, each from its file."""
    checkpoints: list[Checkpoint] = []
    unbroken = train_and_evaluate(benchmark, seed=3, device="cpu", on_checkpoint=checkpoints.append)
    assert len(checkpoints) == len(unbroken.training.history) > 2
    for epoch, checkpoint in enumerate(checkpoints, 1):
        write_checkpoint(folder / "state.safetensors", checkpoint)
        heard: list[dict[str, float]] = []
        after = train_and_evaluate(
            benchmark,
            seed=3,
            device="cpu",
            on_epoch=heard.append,
            checkpoint=read_checkpoint(folder / "state.safetensors"),
        )
        history = after.training.history
        assert history[:epoch] == unbroken.training.history[:epoch]
        assert without_seconds(history) == without_seconds(unbroken.training.history)
        assert history[epoch:] == heard
        assert after.training.best_epoch == unbroken.training.best_epoch
        assert after.training.images_trained == unbroken.training.images_trained
        assert after.training.best_weights.keys() == unbroken.training.best_weights.keys()
        for name, array in unbroken.training.best_weights.items():
            assert after.training.best_weights[name].dtype == array.dtype
            np.testing.assert_array_equal(after.training.best_weights[name], array)
        for part, scored in unbroken.scored.items():
            assert after.scored[part].statistics.arrays.keys() == scored.statistics.arrays.keys()
            for name, array in scored.statistics.arrays.items():
                np.testing.assert_array_equal(after.scored[part].statistics.arrays[name], array)
    return unbroken
