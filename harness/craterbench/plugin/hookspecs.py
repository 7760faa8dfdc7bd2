"""The hooks. A plugin is a module with any of them, each marked ``@hookimpl`` (docs/how-to/write-a-plugin.md).

The first group says what can be plugged in. Each returns a list, of which the order means nothing. A name is its first
bringer's: craterbench's own plugins come first, then the others by name. What comes later under a name that is taken is
left out, and ``bench list`` names both plugins.

The second group reports what happens. They are called in the process that keeps the records, never in the one that
trains. Their arguments are copies of their own; what they return is not used, and what they raise stops nothing: it
is shown, and of a run it is among the warnings of its record. Who was called when something started is called when it
has finished, however it ended, as long as the process lives.
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
    ModelSpec,
    OptimizerSpec,
    PublishedResult,
    ScheduleSpec,
)
from craterbench.plugin.context import RunContext, StudyContext
from craterbench.plugin.metric_spec import MetricSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    import click

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
    """Return the benchmarks that ``bench run`` knows by name."""


@hookspec
def bench_published() -> list[PublishedResult]:  # type: ignore[empty-body]
    """Return the published figures to show below the table."""


@hookspec
def bench_run_started(run: RunContext) -> None:
    """Called when a run starts, or goes on: ``history.csv`` in its folder has the epochs that it goes on after."""


@hookspec
def bench_epoch_finished(run: RunContext, epoch: Mapping[str, Any]) -> None:
    """Called when a run has finished an epoch: a row of its history."""


@hookspec
def bench_run_finished(run: RunContext, record: Mapping[str, Any], samples: Mapping[str, Any] | None) -> None:
    """Called when a run has ended, whatever its status, before its folder is moved to the ended runs.

    Args:
        run: the run.
        record: its record, as ``record.json`` has it.
        samples: of a run that has been scored, some validation images to look at: ``images``, ``masks`` and
            ``probabilities``, each (M, H, W, 1).
    """


@hookspec
def bench_study_started(study: StudyContext) -> None:
    """Called when a study starts, or goes on."""


@hookspec
def bench_trial_finished(study: StudyContext, trial: Mapping[str, Any]) -> None:
    """Called when a trial has ended: its number, state, parameters, values, curve, record, reason if it failed."""


@hookspec
def bench_study_finished(study: StudyContext, summary: Mapping[str, Any] | None) -> None:
    """Called when a study has ended or was broken off: what it has found, or ``None`` where that is not known."""


@hookspec
def bench_commands(cli: click.Group) -> None:
    """Add verbs to ``bench``. Called only when one is used, or listed."""
