"""The hooks. A plugin is a module with any of them, each marked ``@hookimpl`` (docs/how-to/write-a-plugin.md).

The first group says what can be plugged in. Each returns a list, of which the order means nothing. A name is its first
bringer's: craterbench's own plugins come first, then the others by name. What comes later under a name that is taken is
left out, and ``bench list`` names both plugins.

The second group tells what happens. They are called in the process that keeps the records, never in the one that
trains; what they return is not used, and what they raise is shown and does not stop the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

from craterbench.plugin.components import (
    AugmentationSpec,
    BenchmarkSpec,
    DatasetSpec,
    ExecutorSpec,
    FrameworkSpec,
    Implementation,
    LossSpec,
    MetricSpec,
    ModelSpec,
    OptimizerSpec,
    PublishedResult,
    ScheduleSpec,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

hookspec = pluggy.HookspecMarker("craterbench")
hookimpl = pluggy.HookimplMarker("craterbench")


@hookspec
def bench_frameworks() -> list[FrameworkSpec]:  # type: ignore[empty-body]
    """Return the frameworks that can train."""


@hookspec
def bench_models() -> list[ModelSpec]:  # type: ignore[empty-body]
    """Return the models that can be trained."""


@hookspec
def bench_losses() -> list[LossSpec]:  # type: ignore[empty-body]
    """Return the losses that training can minimise."""


@hookspec
def bench_optimizers() -> list[OptimizerSpec]:  # type: ignore[empty-body]
    """Return the optimizers that can move weights."""


@hookspec
def bench_implementations() -> list[Implementation]:  # type: ignore[empty-body]
    """Return code for components of other plugins, in frameworks that they were not written for."""


@hookspec
def bench_augmentations() -> list[AugmentationSpec]:  # type: ignore[empty-body]
    """Return the augmentations that can be drawn."""


@hookspec
def bench_datasets() -> list[DatasetSpec]:  # type: ignore[empty-body]
    """Return the data sets that can be read or made."""


@hookspec
def bench_schedules() -> list[ScheduleSpec]:  # type: ignore[empty-body]
    """Return the schedules that the learning rate can follow."""


@hookspec
def bench_metrics() -> list[MetricSpec]:  # type: ignore[empty-body]
    """Return the metrics that predictions can be scored by."""


@hookspec
def bench_executors() -> list[ExecutorSpec]:  # type: ignore[empty-body]
    """Return what can run the trials of a search."""


@hookspec
def bench_benchmarks() -> list[BenchmarkSpec]:  # type: ignore[empty-body]
    """Return the definitions that ``bench run`` knows by name."""


@hookspec
def bench_published() -> list[PublishedResult]:  # type: ignore[empty-body]
    """Return the published figures to show below the table."""


@hookspec
def bench_run_started(run: Mapping[str, Any]) -> None:
    """Be told that a run starts: its record as far as it is known. Nothing follows if it cannot be had as asked."""


@hookspec
def bench_epoch_finished(run: Mapping[str, Any], epoch: Mapping[str, Any]) -> None:
    """Be told that a run has finished an epoch: a row of its history."""


@hookspec
def bench_run_finished(run: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Be told that a run has ended, whatever its status: its record, whole."""
