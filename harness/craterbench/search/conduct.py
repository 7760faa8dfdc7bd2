"""The two halves of a sweep: search, then train anew what was found."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from craterbench.definition.benchmark import HIGHER
from craterbench.definition.overrides import Resolved, leaves
from craterbench.host.asked import Asked
from craterbench.host.engine import Engine, Terms
from craterbench.host.runner import Runner
from craterbench.host.runner import Screen as RunScreen
from craterbench.host.versions import packages_of, versions_of
from craterbench.plugin import UserError
from craterbench.plugin.components import EngineSpec, load
from craterbench.records.store import Store
from craterbench.search.confirm import Winner, alike, confirm, write_best
from craterbench.search.coordinator import Coordinator, Lines, trial_seed
from craterbench.search.findings import Screen, Trial
from craterbench.search.preparation import Prepared
from craterbench.search.readout import CONFIRMATION
from craterbench.search.space import Space
from craterbench.search.study import Study
from craterbench.training.experiment import Outcome

__all__ = ["SEEDS", "Setting", "certify", "hired", "search", "winners"]

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
    """

    results: Path
    engine: EngineSpec
    address: str | None
    workers: int | None
    device: str
    timeout: float | None


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
    )
    coordinator.search(timeout=setting.timeout)
    if study.counted < study.plan.trials:
        why = "too many trials in a row failed" if coordinator.gave_up else "the time is up"
        after = f"after {study.counted} of {study.plan.trials} trials"
        screen.say(f"{why}, {after}; bench sweep --resume {study.plan.name} goes on")
    return coordinator.gave_up


def winners(study: Study, prepared: Prepared) -> list[Winner]:
    """Return the best of a study as they are to be trained anew, no setting twice; none if no trial is complete.

    Writes the best to ``best.toml``, whether it is to be trained anew or not, and others to ``best-2.toml`` and so on.

    Raises:
        UserError: one does not fit the framework that it is to be trained anew in.
    """
    plan = study.plan
    found: list[Winner] = []
    for trial in _best(study):
        try:
            resolved = prepared.anew(prepared.space.overrides(trial.parameters))
        except UserError as refusal:
            cure = f"with --confirm-with {prepared.framework.name} it can be trained anew"
            raise UserError(f"trial {trial.number}: {refusal}; {cure}") from None
        if any(alike(resolved, winner.resolved) for winner in found):
            continue
        tail = f"-{len(found) + 1}" if found else ""
        file = study.folder / f"best{tail}.toml"
        summary = f"found by the study {plan.name}, trial {trial.number}"
        write_best(file, resolved, name=f"{plan.name}{tail}", summary=summary)
        found.append(Winner(trial=trial.number, found=trial.values[0], resolved=prepared.file(file)))
        if len(found) >= plan.confirm:
            break
    written = {f"best-{place}.toml" for place in range(2, len(found) + 1)}
    for file in study.folder.glob("best-*.toml"):
        if file.name not in written:  # of an earlier, longer list
            file.unlink()
    return found


def certify(
    study: Study,
    prepared: Prepared,
    setting: Setting,
    winners: Sequence[Winner],
    screen: RunScreen,
    illustrate: Callable[[Path, Asked, Outcome], None],
) -> None:
    """Train the best of a study anew, beside the benchmark that it started from, and keep what comes of it.

    Raises:
        UserError: a run cannot be had as asked.
    """
    runner = Runner(
        registry=prepared.registry,
        store=Store(setting.results),
        device=setting.device,
        screen=screen,
        illustrate=illustrate,
    )
    reference = prepared.reference()
    confirmation = confirm(
        runner,
        winners,
        reference,
        seeds=_fresh_seeds(study),
        workers=setting.workers if setting.address is None else None,  # they train here, wherever the trials did
        objective=study.plan.objectives[0],
        tried=study.counted,
    )
    lines = [*confirmation.lines, *_unlike(winners[0], reference, prepared.space)]
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
    return sorted(complete, key=lambda trial: trial.values[0], reverse=HIGHER[study.plan.objectives[0]])


def _unlike(winner: Winner, reference: Resolved, space: Space) -> list[str]:
    """Say what sets a winner apart from the reference that the search did not vary."""
    mine, others = (leaves(each.benchmark.as_dict()) for each in (winner.resolved, reference))
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
    used = {trial_seed(study.plan.seed, trial.number) for trial in study.trials()}
    fresh = (seed for seed in range(_FIRST_SEED, _FIRST_SEED + SEEDS + len(used)) if seed not in used)
    return [next(fresh) for _ in range(SEEDS)]
