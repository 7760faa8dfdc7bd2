"""The comparison of several benchmarks that were searched alike: what was confirmed of each, on the same seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from craterbench.metrics.metric import Metric, Metrics
from craterbench.results.files import write_atomically
from craterbench.results.store import Store
from craterbench.search.confirm.scores import CandidateResult, conclude
from craterbench.search.several.plan import SweepPlan, defined_by, varied_alike, varied_alone
from craterbench.search.study import StudyView
from craterbench.search.summarize import listed, not_begun, parameter_text, read_confirmation, summarize
from craterbench.search.summary import Confirmation, ConfirmedScores, StudySummary
from craterbench.search.sweep_config import STUDY_FILE

__all__ = ["COMPARISON", "MemberSummary", "SweepsSummary", "compare", "list_several", "summarize_several"]

#: The file that keeps what came of the comparison.
COMPARISON = "comparison.json"


@dataclass(frozen=True, kw_only=True)
class MemberSummary:
    """One of several benchmarks that were searched alike.

    Attributes:
        benchmark: what it is called.
        defined_by: the values that set it apart from the others, and were not searched, by key.
        alone: what is tried here and not in all, as ``--vary`` takes it.
        study: what its own search has found.
        rows: what was confirmed of it, as it is compared with the tuned benchmark that was named first: the best of its
            trials, best first, and last the benchmark itself, untuned; none if it is not compared.
    """

    benchmark: str
    defined_by: Mapping[str, Any]
    alone: Sequence[str]
    study: StudySummary
    rows: Sequence[ConfirmedScores] = ()

    @property
    def gains(self) -> Sequence[ConfirmedScores]:
        """The same rows as they differ from the last of them, so what tuning gained."""
        confirmation = self.study.confirmation
        return () if confirmation is None else confirmation.rows


@dataclass(frozen=True, kw_only=True)
class SweepsSummary:
    """A sweep of several benchmarks as it is now.

    Attributes:
        settings: what holds for all of them, in words.
        alike: what is tried in all of them in the same way, as ``--vary`` takes it.
        members: in the order in which they were named; the first is what the others are compared with.
        part: the part on which they are compared: ``test`` or, where there is none, ``validation``.
        notes: what is missing.
    """

    name: str
    settings: Mapping[str, str]
    alike: Sequence[str]
    members: Sequence[MemberSummary]
    part: str = "test"
    notes: Sequence[str] = field(default_factory=list)

    @property
    def objective(self) -> Metric:
        """The first that all of them aim at."""
        return self.members[0].study.objectives[0]

    @property
    def seeds(self) -> list[int]:
        """What the rows were trained with."""
        return list(dict.fromkeys(seed for member in self.members for row in member.rows for seed in row.seeds))


def compare(plan: SweepPlan, folder: Path, store: Store, metrics: Metrics) -> None:
    """Compare all that was confirmed with the best of the first benchmark, and keep that.

    Nothing is kept unless all benchmarks have a confirmation.

    Args:
        plan: the studies.
        folder: of the sweep.
        store: of the runs that confirmed.
        metrics: all that there are.

    Raises:
        UserError: a run is not there any more.
        OSError: the folder cannot be written.
    """
    members = [_member(folder.parent / config.name, metrics) for config in plan.members]
    confirmations = [study.confirmation for study in members if study is not None and study.confirmation is not None]
    if len(confirmations) < len(plan.members):
        (folder / COMPARISON).unlink(missing_ok=True)
        return
    baseline, *others = [
        CandidateResult(
            name=row.name,
            records=[store.find(run)[0] for run in row.runs],
            trial=row.trial,
            found=row.found,
        )
        for confirmation in confirmations
        for row in confirmation.rows
    ]
    objective = metrics.get(plan.members[0].objectives[0])
    compared = conclude(store, others, baseline, objective=objective, tried=confirmations[0].tried)
    write_atomically(folder / COMPARISON, json.dumps(asdict(compared), indent=1) + "\n")


def summarize_several(folder: Path, metrics: Metrics) -> SweepsSummary:
    """Return what a sweep of several has found so far.

    Raises:
        UserError: it, or one of its studies, cannot be read.
    """
    plan = SweepPlan.read(folder)
    studies = [_member(folder.parent / config.name, metrics) or not_begun(config, metrics) for config in plan.members]
    again = f"bench sweep --resume {plan.name}"
    notes: list[str] = []
    compared: Confirmation | None = None
    if any(_done(study) < config.trials for study, config in zip(studies, plan.members, strict=True)):
        notes.append(f"the searches are not at their end, so nothing is compared; {again} goes on")
    elif any(not study.front for study in studies):
        names = ", ".join(study.name for study in studies if not study.front)
        notes.append(f"no trial of {names} is complete, so nothing is compared; --pruner none in another sweep helps")
    elif not (folder / COMPARISON).exists():
        option = "" if plan.members[0].confirm else " --confirm 1"
        notes.append(f"nothing is confirmed and compared yet; {again}{option} does that")
    else:
        compared = _kept(folder / COMPARISON, studies)
        if compared is None:
            notes.append(f"{folder / COMPARISON} is not of these confirmations; {again} writes it again")
        elif any(study.confirmation and study.confirmation.tried != _done(study) for study in studies):
            notes.append(f"there are more trials than when this was confirmed; {again} confirms the best of all")
    rows = iter([] if compared is None else [compared.rows[-1], *compared.rows[:-1]])
    settings = dict(studies[0].settings)
    for of_one in ("benchmark", "fixed", "searched", "begun"):
        settings.pop(of_one, None)
    settings = {"trials": f"{plan.members[0].trials} for each, complete or pruned", **settings}
    fixed = [f"{key}={value}" for key, value, _ in plan.members[0].fixed if key in plan.members[0].pinned]
    apart = {key for config in plan.members for key in defined_by(config)}
    if kept := [text for text in fixed if text.partition("=")[0] not in apart]:
        settings["fixed"] = ", ".join(kept)
    return SweepsSummary(
        name=plan.name,
        settings=settings,
        alike=[parameter_text(parameter) for parameter in varied_alike(plan.members)],
        members=[
            MemberSummary(
                benchmark=config.name.removeprefix(f"{plan.name}-"),
                defined_by=defined_by(config),
                alone=[parameter_text(parameter) for parameter in alone],
                study=study,
                rows=[next(rows) for _ in study.confirmation.rows] if compared and study.confirmation else [],
            )
            for config, alone, study in zip(plan.members, varied_alone(plan.members), studies, strict=True)
        ],
        part=compared.part if compared else "test",
        notes=notes,
    )


def list_several(folder: Path, metrics: Metrics) -> dict[str, Any]:
    """Return what a list of studies says of a sweep of several as a whole (see ``listed``).

    Raises:
        UserError: it, or one of its studies, cannot be read.
    """
    plan = SweepPlan.read(folder)
    studies = [folder.parent / config.name for config in plan.members]
    begun = [listed(study, metrics) for study in studies if (study / STUDY_FILE).exists()]
    states = {each["state"] for each in begun}
    done = sum(each["done"] for each in begun)
    wanted = sum(config.trials for config in plan.members)
    if done >= wanted and plan.members[0].confirm and not (folder / COMPARISON).exists():
        states.add("not confirmed")
    if done < wanted:
        states.add("unfinished")
    return {
        "name": plan.name,
        "done": done,
        "wanted": wanted,
        "objective": ", ".join(config.name.removeprefix(f"{plan.name}-") for config in plan.members),
        "best": None,
        "state": next((state for state in ("running", "unfinished", "not confirmed") if state in states), "done"),
        "when": plan.created.replace("T", " ").removesuffix(":00Z").removesuffix("Z"),
    }


def _member(folder: Path, metrics: Metrics) -> StudySummary | None:
    return summarize(StudyView(folder, metrics)) if (folder / STUDY_FILE).exists() else None


def _done(study: StudySummary) -> int:
    return sum(trial.state in ("complete", "pruned") for trial in study.trials)


def _kept(file: Path, studies: Sequence[StudySummary]) -> Confirmation | None:
    """Return the comparison in a file if it is of the runs that confirm the studies, and can be read."""
    try:
        compared = read_confirmation(file)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    runs = [list(row.runs) for study in studies if study.confirmation for row in study.confirmation.rows]
    return compared if [list(row.runs) for row in (compared.rows[-1], *compared.rows[:-1])] == runs else None
