"""The two halves of a sweep: search, then train anew what was found."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from craterbench.definition.benchmark import HIGHER
from craterbench.definition.overrides import Resolved
from craterbench.host.asked import Asked
from craterbench.host.devices import available_cores, fitting_workers
from craterbench.host.engine import Engine, Terms
from craterbench.host.runner import Runner
from craterbench.host.runner import Screen as RunScreen
from craterbench.host.versions import packages_of, versions_of
from craterbench.plugin.components import EngineSpec, load
from craterbench.records.store import Store
from craterbench.search.confirm import Winner, confirm, write_best
from craterbench.search.coordinator import Coordinator, Lines, trial_seed
from craterbench.search.findings import Screen, Trial
from craterbench.search.preparation import Prepared
from craterbench.search.readout import CONFIRMATION
from craterbench.search.study import Study
from craterbench.training.experiment import Outcome

__all__ = ["SEEDS", "Setting", "certify", "hired", "search"]

#: How many seeds a winner is trained anew on, and the first of them: where ``bench run`` begins.
SEEDS, _FIRST_SEED = 3, 42


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a sweep is done; none of it changes what a study is.

    Attributes:
        results: the folder of results.
        address: of other machines, if the engine asks for one.
        workers: trials at once, or ``None`` for what the engine finds right.
        timeout: seconds after which no trial is started.
        trial_timeout: seconds after which a trial has failed.
        confirm: how many settings are trained anew.
        confirm_with: the framework that they are trained in.
    """

    results: Path
    engine: EngineSpec
    address: str | None
    workers: int | None
    device: str
    timeout: float | None
    trial_timeout: float | None
    confirm: int
    confirm_with: str


def hired(prepared: Prepared, setting: Setting) -> Engine:
    """Return the engine that runs the trials, a context manager.

    Raises:
        UserError: there are no workers, or other versions there.
    """
    terms = Terms(
        framework=prepared.framework,
        packages=packages_of(prepared.base) | versions_of(prepared.distributions()),
        device=setting.device,
        workers=setting.workers,
        address=setting.address,
    )
    engine: Engine = load(setting.engine.target)(terms)
    return engine


def search(study: Study, prepared: Prepared, setting: Setting, engine: Engine, screen: Screen) -> bool:
    """Bring a study to the number of trials that are wanted, and say whether it gave up before.

    Raises:
        UserError: there have been no workers for a while, or a folder cannot be written.
    """
    for note in study.notes:
        screen.say(note)
    if not study.single:
        screen.say("there are two objectives, so no trial is pruned")
    store = Store(study.folder)
    for line in store.recover()[1]:
        screen.say(line)
    runner = Runner(
        registry=prepared.registry,
        store=store,
        device=setting.device,
        threads=engine.threads,
        screen=Lines(screen),
        illustrate=None,
    )
    coordinator = Coordinator(
        study,
        prepared.space,
        prepared.trial,
        runner=runner,
        engine=engine,
        development=prepared.development,
        screen=screen,
        trial_timeout=setting.trial_timeout,
    )
    coordinator.search(timeout=setting.timeout)
    if not coordinator.gave_up and study.counted < study.plan.trials:
        screen.say(f"the time is up after {study.counted} of {study.plan.trials} trials; --resume goes on")
    return coordinator.gave_up


def certify(
    study: Study,
    prepared: Prepared,
    setting: Setting,
    screen: RunScreen,
    illustrate: Callable[[Path, Asked, Outcome], None],
) -> None:
    """Train the best of a study anew, beside the benchmark that it started from, and keep what comes of it.

    Writes ``best.toml``, with more than one also ``best-2.toml`` and so on, before anything is trained.

    Raises:
        UserError: a run cannot be had as asked.
    """
    winners = []
    for place, trial in enumerate(_best(study)[: setting.confirm], start=1):
        tail = "" if place == 1 else f"-{place}"
        found = prepared.anew(prepared.space.overrides(trial.parameters), setting.confirm_with)
        file = study.folder / f"best{tail}.toml"
        name = f"{study.plan.name}{tail}"
        write_best(file, found, name=name, summary=f"found by the study {study.plan.name}, trial {trial.number}")
        winners.append(Winner(trial=trial.number, found=trial.values[0], resolved=prepared.file(file)))
    store = Store(setting.results)
    for record in store.recover()[0]:
        screen.say(f"{record.benchmark} {record.id}: its process died; it is {record.status}")
    # they are trained here, wherever the trials were
    asked = setting.workers if setting.address is None else None
    workers = asked or min(fitting_workers(setting.device), SEEDS * (len(winners) + 1))
    runner = Runner(
        registry=prepared.registry,
        store=store,
        device=setting.device,
        threads=max(1, available_cores() // workers),
        screen=screen,
        illustrate=illustrate,
    )
    reference = prepared.reference(setting.confirm_with)
    confirmation = confirm(
        runner,
        winners,
        reference,
        seeds=_fresh_seeds(study),
        workers=workers,
        objective=study.plan.objectives[0],
        tried=study.counted,
    )
    lines = [*confirmation.lines, *_unlike(winners, reference)]
    confirmation = replace(confirmation, lines=lines)
    file = study.folder / CONFIRMATION
    part = file.with_name(f"{file.name}.part")
    part.write_text(json.dumps(asdict(confirmation), indent=1) + "\n", encoding="utf-8")
    part.replace(file)


def _best(study: Study) -> list[Trial]:
    """Return the trials that may be trained anew, the best in the first objective first."""
    trials = study.trials()
    complete = [trial for trial in trials if trial.state == "complete"]
    if not study.single:
        complete = [trials[number] for number in study.best()]
    return sorted(complete, key=lambda trial: trial.values[0], reverse=HIGHER[study.plan.objectives[0]])


def _unlike(winners: Sequence[Winner], reference: Resolved) -> list[str]:
    """Say what sets winners apart from the reference that was not searched: how long they train, and by what."""
    mine, others = (asdict(each.benchmark.training) for each in (winners[0].resolved, reference))
    unlike = [
        f"training.{key} {mine[key]} instead of {others[key]}"
        for key in mine
        if key != "batch_size" and mine[key] != others[key]
    ]
    if not unlike:
        return []
    return [f"The search did not vary it, but a part of the difference may be due to it: {', '.join(unlike)}."]


def _fresh_seeds(study: Study) -> list[int]:
    """Return seeds that no trial has trained with."""
    used = {trial_seed(study.plan.seed, trial.number) for trial in study.trials()}
    fresh = (seed for seed in range(_FIRST_SEED, _FIRST_SEED + SEEDS + len(used)) if seed not in used)
    return [next(fresh) for _ in range(SEEDS)]
