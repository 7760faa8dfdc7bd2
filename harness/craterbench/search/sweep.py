"""The two halves of a sweep: search, then train anew what was found."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from craterbench.config.resolve import ResolvedConfig, flatten
from craterbench.execution.executor import Executor, ExecutorConfig
from craterbench.execution.run import Progress as RunProgress
from craterbench.execution.run import RunFactory
from craterbench.execution.run_spec import RunSpec
from craterbench.execution.versions import packages_of, versions_of
from craterbench.plugin import UserError
from craterbench.plugin.components import ExecutorSpec, load
from craterbench.results.store import Store
from craterbench.search.confirm.confirm import Candidate, alike, confirm, write_best
from craterbench.search.optimize import Lines, TrialLoop, trial_seed
from craterbench.search.setup import PreparedSweep
from craterbench.search.space.space import Space
from craterbench.search.study import Study
from craterbench.search.summarize import CONFIRMATION
from craterbench.search.summary import Progress, Trial
from craterbench.training.experiment import RunResult

__all__ = ["SEEDS", "ExecutionOptions", "confirm_best", "open_executor", "search", "select_best"]

#: How many seeds a candidate is trained anew on, and the first of them: where ``bench run`` begins.
SEEDS, _FIRST_SEED = 3, 42


@dataclass(frozen=True, kw_only=True)
class ExecutionOptions:
    """How a sweep is done; none of it changes what a study is.

    Attributes:
        results: the folder of results.
        address: of other machines, if the executor asks for one.
        workers: trials at once, or ``None`` for what the executor finds right.
        timeout: seconds after which no trial is started.
    """

    results: Path
    executor: ExecutorSpec
    address: str | None
    workers: int | None
    device: str
    timeout: float | None


def open_executor(prepared: PreparedSweep, setting: ExecutionOptions) -> Executor:
    """Return the executor that runs the trials, a context manager.

    Raises:
        UserError: there are no workers, or other versions there.
    """
    executor_config = ExecutorConfig(
        framework=prepared.framework,
        packages=packages_of(prepared.base) | versions_of(prepared.distributions()),
        device=setting.device,
        workers=setting.workers,
        address=setting.address,
    )
    executor: Executor = load(setting.executor.target)(executor_config)
    return executor


def search(
    study: Study, prepared: PreparedSweep, setting: ExecutionOptions, executor: Executor, progress: Progress
) -> bool:
    """Bring a study to the number of trials that are wanted, and say whether it gave up before.

    Raises:
        UserError: there have been no workers for a while, or a folder cannot be written.
    """
    for note in study.notes:
        progress.say(note)
    if not study.single:
        progress.say("there are two objectives, so no trial is pruned")
    store = Store(study.folder)
    for line in store.recover()[1]:
        progress.say(line)
    factory = RunFactory(
        registry=prepared.registry,
        store=store,
        device=setting.device,
        progress=Lines(progress),
        save_plots=None,
    )
    loop = TrialLoop(
        study,
        prepared.space,
        prepared.trial,
        factory=factory,
        executor=executor,
        train_val=prepared.train_val,
        progress=progress,
    )
    loop.search(timeout=setting.timeout)
    if study.counted < study.config.trials:
        why = "too many trials in a row failed" if loop.gave_up else "the time is up"
        after = f"after {study.counted} of {study.config.trials} trials"
        progress.say(f"{why}, {after}; bench sweep --resume {study.config.name} goes on")
    return loop.gave_up


def select_best(study: Study, prepared: PreparedSweep) -> list[Candidate]:
    """Return the best of a study as they are to be trained anew, no setting twice; none if no trial is complete.

    Writes the best to ``best.toml``, whether it is to be trained anew or not, and others to ``best-2.toml`` and so on.

    Raises:
        UserError: one does not fit the framework that it is to be trained anew in.
    """
    config = study.config
    found: list[Candidate] = []
    for trial in _best(study):
        try:
            resolved = prepared.anew(prepared.space.overrides(trial.parameters))
        except UserError as refusal:
            cure = f"with --confirm-with {prepared.framework.name} it can be trained anew"
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
    setting: ExecutionOptions,
    candidates: Sequence[Candidate],
    progress: RunProgress,
    save_plots: Callable[[Path, RunSpec, RunResult], None],
) -> None:
    """Train the best of a study anew, beside the benchmark that it started from, and keep what comes of it.

    Raises:
        UserError: a run cannot be had as asked.
    """
    factory = RunFactory(
        registry=prepared.registry,
        store=Store(setting.results),
        device=setting.device,
        progress=progress,
        save_plots=save_plots,
    )
    reference = prepared.reference()
    confirmation = confirm(
        factory,
        candidates,
        reference,
        seeds=_fresh_seeds(study),
        workers=setting.workers if setting.address is None else None,  # they train here, wherever the trials did
        objective=study.objectives[0],
        tried=study.counted,
    )
    lines = [*confirmation.lines, *_unlike(candidates[0], reference, prepared.space)]
    confirmation = replace(confirmation, lines=lines)
    file = study.folder / CONFIRMATION
    part = file.with_name(f"{file.name}.part")
    part.write_text(json.dumps(asdict(confirmation), indent=1) + "\n", encoding="utf-8")
    part.replace(file)


def _best(study: Study) -> list[Trial]:
    """Return the trials that may be trained anew, the best in the first objective first."""
    trials = study.trials()
    if not study.single:
        return [trials[number] for number in study.best()]
    complete = [trial for trial in trials if trial.state == "complete"]
    return sorted(complete, key=lambda trial: trial.values[0], reverse=study.objectives[0].greater_is_better)


def _unlike(candidate: Candidate, reference: ResolvedConfig, space: Space) -> list[str]:
    """Say what sets a candidate apart from the reference that the search did not vary."""
    mine, others = (flatten(each.benchmark.as_dict()) for each in (candidate.resolved, reference))
    unlike = [
        f"{key} {mine[key]} instead of {others[key]}"
        for key in mine.keys() & others.keys() - {"name", "summary"}
        if mine[key] != others[key] and not space.varies(key)
    ]
    if not unlike:
        return []
    return [f"The search did not vary it, but a part of the difference may be due to it: {', '.join(sorted(unlike))}."]


def _fresh_seeds(study: Study) -> list[int]:
    """Return seeds that no trial has trained with."""
    used = {trial_seed(study.config.seed, trial.number) for trial in study.trials()}
    fresh = (seed for seed in range(_FIRST_SEED, _FIRST_SEED + SEEDS + len(used)) if seed not in used)
    return [next(fresh) for _ in range(SEEDS)]
