"""The two halves of a sweep: search, then confirm the best."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from craterbench.config.resolve import ResolvedConfig, flatten
from craterbench.execution.executor import ExecutionOptions, Executor
from craterbench.execution.run import RunFactory
from craterbench.execution.versions import distributions_of, packages_of, versions_of
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry
from craterbench.results.files import write_atomically
from craterbench.results.store import Store
from craterbench.search.confirm.confirm import Candidate, alike, confirm, write_best
from craterbench.search.optimize import TrialLoop, trial_seed
from craterbench.search.setup import PreparedSweep
from craterbench.search.space.space import Space
from craterbench.search.study import Study, StudyView
from craterbench.search.summarize import CONFIRMATION, summarize
from craterbench.search.summary import Progress, Trial

__all__ = ["SEEDS", "confirm_best", "fresh_seeds", "listened_to", "packages_for", "search", "select_best"]

#: How many seeds a candidate is confirmed on, and the first of them: where ``bench run`` begins.
SEEDS, _FIRST_SEED = 3, 42


@contextlib.contextmanager
def listened_to(registry: Registry, study: Study, log: Callable[[str], None]) -> Iterator[None]:
    """Call the hooks: a study starts and, whatever happens meanwhile, has ended."""

    def call_hook(hook: str, **arguments: object) -> None:
        for problem in registry.call_hook(hook, study=study.context, **arguments):
            log(f"plugin {problem.plugin}: {problem.message}")

    call_hook("bench_study_started")
    try:
        yield
    finally:
        if registry.hears("bench_study_finished"):
            summary = None
            with contextlib.suppress(OSError, UserError):
                found = summarize(study)
                summary = asdict(found) | {"objectives": [metric.name for metric in found.objectives]}
            call_hook("bench_study_finished", summary=summary)


def packages_for(prepared: PreparedSweep) -> dict[str, str]:
    """Return the versions of what can move a digit of a trial, or of a run of the confirmation."""
    brought = distributions_of(prepared.registry, prepared.config.versions)
    return packages_of(prepared.base) | packages_of(prepared.reference().benchmark) | versions_of(brought)


def search(
    study: Study, prepared: PreparedSweep, executor: Executor, progress: Progress, *, device: str, timeout: float | None
) -> bool:
    """Bring a study to the number of trials that are wanted, and say whether it gave up before.

    Args:
        study: the study.
        prepared: its config, space and data.
        executor: where its trials run.
        progress: shows them.
        device: what they train on.
        timeout: seconds after which no trial is started.

    Raises:
        UserError: there have been no workers for a while, or a folder cannot be written.
    """
    for note in study.notes:
        progress.log(note)
    if not study.single:
        progress.log("there are two objectives, so no trial is pruned")
    store = Store(study.folder)
    for line in store.recover()[1]:
        progress.log(line)
    factory = RunFactory(
        registry=prepared.registry, store=store, device=device, log=progress.log, study=study.config.name
    )
    loop = TrialLoop(
        study, prepared.space, prepared.trial, factory=factory, train_val=prepared.train_val, progress=progress
    )
    loop.search(executor, timeout=timeout)
    if study.counted < study.config.trials:
        why = "too many trials in a row failed" if loop.gave_up else "the time is up"
        after = f"after {study.counted} of {study.config.trials} trials"
        progress.log(f"{why}, {after}; bench sweep --resume {study.config.resumed_as} goes on")
    return loop.gave_up


def select_best(study: Study, prepared: PreparedSweep) -> list[Candidate]:
    """Return the best of a study as they are to be confirmed, no config twice; none if no trial is complete.

    Writes the best to ``best.toml``, whether it is to be confirmed or not, and others to ``best-2.toml`` and so on.

    Raises:
        UserError: one does not fit the framework that it is to be confirmed in.
    """
    config = study.config
    found: list[Candidate] = []
    for trial in _best(study):
        try:
            resolved = prepared.full_config(prepared.space.overrides(trial.parameters))
        except UserError as refusal:
            cure = f"with --confirm-with {prepared.base.framework.name} it can be confirmed"
            raise UserError(f"trial {trial.number}: {refusal}; {cure}") from None
        if any(alike(resolved, candidate.resolved) for candidate in found):
            continue
        tail = f"-{len(found) + 1}" if found else ""
        file = study.folder / f"best{tail}.toml"
        summary = f"found by the study {config.name}, trial {trial.number}"
        write_best(file, resolved, name=f"{config.name}{tail}", summary=summary)
        found.append(Candidate(trial=trial.number, found=trial.values[0], resolved=prepared.file(file)))
        if len(found) >= config.confirm:
            break
    written = {f"best-{place}.toml" for place in range(2, len(found) + 1)}
    for file in study.folder.glob("best-*.toml"):
        if file.name not in written:  # of an earlier, longer list
            file.unlink()
    return found


def confirm_best(
    study: Study,
    prepared: PreparedSweep,
    candidates: Sequence[Candidate],
    results: Path,
    options: ExecutionOptions,
    log: Callable[[str], None],
    *,
    seeds: Sequence[int] | None = None,
) -> None:
    """Train the best of a study again on fresh seeds, beside the benchmark that it started from, and keep the scores.

    Args:
        study: the study.
        prepared: its config, space and data.
        candidates: the best of it, best first.
        results: the folder where the runs are kept like those of ``bench run``.
        options: where they train.
        log: shows a line.
        seeds: that no trial has trained with, also of other studies that this one is compared with; by default those of
            ``fresh_seeds``.

    Raises:
        UserError: a folder cannot be written, or there is nobody to train.
    """
    factory = RunFactory(registry=prepared.registry, store=Store(results), device=options.device, log=log)
    reference = prepared.reference()
    confirmation = confirm(
        factory,
        candidates,
        reference,
        options,
        seeds=fresh_seeds([study]) if seeds is None else seeds,
        objective=study.objectives[0],
        tried=study.counted,
    )
    confirmation = replace(confirmation, unvaried=_unvaried(candidates[0], reference, prepared.space))
    write_atomically(study.folder / CONFIRMATION, json.dumps(asdict(confirmation), indent=1) + "\n")


def _best(study: Study) -> list[Trial]:
    """Return the trials that may be confirmed, the best in the first objective first."""
    trials = study.trials()
    if not study.single:
        return [trials[number] for number in study.best()]
    complete = [trial for trial in trials if trial.state == "complete"]
    return sorted(complete, key=lambda trial: trial.values[0], reverse=study.objectives[0].greater_is_better)


def _unvaried(candidate: Candidate, reference: ResolvedConfig, space: Space) -> dict[str, list[Any]]:
    """Return what sets a candidate apart from the reference that the search did not vary."""
    mine, others = (flatten(each.benchmark.as_dict()) for each in (candidate.resolved, reference))
    return {
        key: [mine[key], others[key]]
        for key in sorted(mine.keys() & others.keys() - {"name", "summary"})
        if mine[key] != others[key] and not space.varies(key)
    }


def fresh_seeds(studies: Iterable[StudyView]) -> list[int]:
    """Return seeds that no trial of any of the studies has trained with."""
    used = {trial_seed(study.config.seed, trial.number) for study in studies for trial in study.trials()}
    fresh = (seed for seed in range(_FIRST_SEED, _FIRST_SEED + SEEDS + len(used)) if seed not in used)
    return [next(fresh) for _ in range(SEEDS)]
