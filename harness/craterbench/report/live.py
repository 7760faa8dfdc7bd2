"""Runs and sweeps that are shown while they train: what the commands and ``craterbench.api`` have in common."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from craterbench.execution.executor import ExecutionOptions, Executor, open_executor
from craterbench.metrics.metric import Metrics
from craterbench.plugin.registry import Registry
from craterbench.report.progress import run_progress
from craterbench.report.run_plots import RunPlots
from craterbench.report.study.study_progress import study_live
from craterbench.results.store import Store
from craterbench.search.setup import PreparedSweep
from craterbench.search.several.compare import compare
from craterbench.search.several.setup import PreparedSweeps
from craterbench.search.study import Study, StudyView
from craterbench.search.sweep import confirm_best, fresh_seeds, listened_to, packages_for, search, select_best

__all__ = ["LiveSweep", "live_runs", "live_sweep", "sweep_several"]


@contextlib.contextmanager
def live_runs(registry: Registry, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Show the runs that train meanwhile and draw their pictures; gives what shows a line.

    Args:
        registry: the plugins, of which the listeners hear of the runs, too.
        quiet: whether to show nothing.
    """
    with (
        run_progress(quiet=quiet) as progress,
        registry.listening(progress=progress, pictures=RunPlots(Metrics.of(registry))),
    ):
        yield progress.log


class LiveSweep:
    """A sweep in its two halves, both shown.

    Attributes:
        study: what is kept of it.
        gave_up: whether too many trials in a row failed.
    """

    def __init__(
        self,
        study: Study,
        prepared: PreparedSweep,
        options: ExecutionOptions,
        executor: Executor,
        leave: Callable[[], None],
        *,
        quiet: bool,
    ) -> None:
        self.study = study
        self.gave_up = False
        self._prepared = prepared
        self._options = options
        self._executor = executor
        self._leave = leave
        self._quiet = quiet

    def search(self, *, timeout: float | None) -> None:
        """Train the trials; the workers leave at the end.

        Args:
            timeout: seconds after which no trial is started.

        Raises:
            UserError: there have been no workers for a while, or a folder cannot be written.
        """
        with study_live(quiet=self._quiet) as progress:
            for problem in self._prepared.registry.problems:
                progress.log(f"plugin {problem.plugin}: {problem.message}")
            self.gave_up = search(
                self.study, self._prepared, self._executor, progress, device=self._options.device, timeout=timeout
            )
        self._leave()

    def confirm(self, results: Path, seeds: Sequence[int] | None = None) -> None:
        """Write the best to ``best.toml``, and train as many of them again as the study wants.

        Args:
            results: the folder of their runs.
            seeds: to train with; by default some that no trial of this study has trained with.

        Raises:
            UserError: one does not fit the framework, a folder cannot be written, or there is nobody to train.
        """
        self._leave()  # those who trained trials: the runs have workers of their own
        best = select_best(self.study, self._prepared)
        if best and self.study.config.confirm:
            with live_runs(self._prepared.registry, quiet=self._quiet) as log:
                confirm_best(self.study, self._prepared, best, results, self._options, log, seeds=seeds)


@contextlib.contextmanager
def live_sweep(
    prepared: PreparedSweep, results: Path, options: ExecutionOptions, *, quiet: bool, log: Callable[[str], None]
) -> Iterator[LiveSweep]:
    """Open the study of a sweep, new or not, with workers for its trials.

    Args:
        prepared: what is searched.
        results: the folder of results, with the study's folder in it.
        options: where trials and runs train.
        quiet: whether to show no progress.
        log: shows what listeners do wrong.

    Raises:
        UserError: there are no workers, the study is open elsewhere, or what is found could not be confirmed.
    """
    prepared.reference()  # what does not fit the framework to confirm in is reported before the search, not after
    prepared.full_config([])
    registry, folder = prepared.registry, results / "studies" / prepared.config.name
    options = replace(options, packages=packages_for(prepared))
    # workers first, lest a study be made that cannot begin
    with ExitStack() as workers, ExitStack() as stack:
        executor = workers.enter_context(open_executor(registry, options))
        study = stack.enter_context(Study(folder, prepared.config, Metrics.of(registry)))
        stack.enter_context(listened_to(registry, study, log))
        yield LiveSweep(study, prepared, options, executor, workers.close, quiet=quiet)


def sweep_several(
    prepared: PreparedSweeps,
    results: Path,
    options: ExecutionOptions,
    *,
    timeout: float | None,
    quiet: bool,
    log: Callable[[str], None],
) -> bool:
    """Search several benchmarks one after the other, confirm the best of each on the same seeds, and compare them.

    What is done already is not done again. Nothing is confirmed before all have had their trials: fewer would be a
    smaller budget, and the seeds are to be fresh in all of them.

    Args:
        prepared: what is searched.
        results: the folder of results, with the studies' folders in it.
        options: where trials and runs train.
        timeout: seconds after which no trial is started, in any of them.
        quiet: whether to show no progress.
        log: shows a line.

    Returns:
        Whether too many trials in a row failed in one of them.

    Raises:
        UserError: see ``live_sweep`` and ``LiveSweep``.
    """
    last = None if timeout is None else time.monotonic() + timeout
    plan, folder = prepared.plan, results / "studies" / prepared.plan.name
    metrics = Metrics.of(prepared.members[0].registry)
    gave_up = False
    plan.write(folder)
    try:
        for number, member in enumerate(prepared.members, start=1):
            with live_sweep(member, results, options, quiet=quiet, log=log) as sweep:
                if not quiet and sweep.study.counted < member.config.trials:
                    log(f"{member.config.name}: search {number} of {len(prepared.members)}")
                sweep.search(timeout=None if last is None else last - time.monotonic())
                gave_up = gave_up or sweep.gave_up
    except BaseException:
        plan.discard(folder)
        raise
    studies = [StudyView(folder.parent / member.config.name, metrics) for member in prepared.members]
    if gave_up or any(study.counted < study.config.trials for study in studies):
        return gave_up
    seeds = fresh_seeds(studies)
    for member in prepared.members:
        with live_sweep(member, results, options, quiet=quiet, log=log) as sweep:
            sweep.confirm(results, seeds)
    compare(plan, folder, Store(results), metrics)
    return False
