"""What a study's folder tells of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from craterbench.search.findings import Certified, Confirmation, Findings, Score
from craterbench.search.study import Plan, StudyView

__all__ = ["CONFIRMATION", "findings_of", "listed"]

#: The file that keeps what came of training the winners anew.
CONFIRMATION = "confirmation.json"

_SCORES = ("validation", "val_loss", "test", "difference")


def findings_of(study: StudyView) -> Findings:
    """Return what a study has found so far."""
    notes = []
    if not study.single:
        notes.append("with two objectives no trial is pruned; the best is that of the front which is best in the first")
    cheaper = [f"{key}={value}" for key, value, _ in study.plan.fixed if key in study.plan.search_only]
    if cheaper:
        notes.append(f"trials were made cheaper: {', '.join(cheaper)}; what is trained anew has the definition's own")
    best = study.best()
    try:
        confirmation = _confirmation(study)
        if confirmation is None and best:
            anew = "" if study.plan.confirm else " --confirm 1"
            notes.append(f"the best was not trained anew; bench sweep --resume {study.plan.name}{anew} does that")
    except (OSError, ValueError, KeyError, TypeError):
        confirmation = None
        notes.append(f"{study.folder / CONFIRMATION} cannot be read; bench sweep --resume {study.plan.name} writes it")
    trials = study.trials()
    counted = sum(trial.state in ("complete", "pruned") for trial in trials)
    if confirmation is not None and confirmation.tried != counted:
        now = f"it has {counted} now; bench sweep --resume {study.plan.name} trains the best of them anew"
        notes.append(
            f"what was trained anew is the best of the {confirmation.tried} trials that there were then; {now}"
        )
    return Findings(
        name=study.plan.name,
        settings=_settings(study.plan),
        objectives=study.plan.objectives,
        wanted=study.plan.trials,
        trials=trials,
        importances=study.importances(),
        logarithmic=[parameter["name"] for parameter in study.plan.space["parameters"] if parameter.get("log")],
        front=best,
        confirmation=confirmation,
        notes=notes,
    )


def listed(folder: Path) -> dict[str, Any]:
    """Return what a list of studies says of one: name, done, wanted, objective, best, state and when."""
    study = StudyView(folder)
    plan, trials, best = study.plan, study.trials(), study.best()
    done = sum(trial.state in ("complete", "pruned") for trial in trials)
    state = "unfinished" if done < plan.trials else "done"
    if state == "done" and best and plan.confirm and not (folder / CONFIRMATION).exists():
        state = "not trained anew"
    return {
        "name": plan.name,
        "done": done,
        "wanted": plan.trials,
        "objective": plan.objectives[0],
        "best": trials[best[0]].values[0] if best else None,
        "state": "running" if study.owned else state,
        "when": plan.created.replace("T", " ").removesuffix(":00Z").removesuffix("Z"),
    }


def _settings(plan: Plan) -> dict[str, str]:
    training, pruner = plan.definition["training"], plan.pruner
    pinned = [f"{key}={value}" for key, value, _ in plan.fixed if key in plan.pinned]
    return {
        "benchmark": plan.benchmark,
        "data": f"{plan.definition['dataset']['name']}, {plan.data[:8]}",
        "framework": f"{plan.definition['framework']}, {training['precision']}",
        "epochs": f"{plan.epochs} at most, patience {training['patience']} on {training['monitor']}",
        "objective": " and ".join(plan.objectives),
        "sampler": f"{plan.sampler}, seed {plan.seed}",
        "pruner": pruner if len(plan.objectives) == 1 else "none, for there are two objectives",
        **({"fixed": ", ".join(pinned)} if pinned else {}),
        "searched": ", ".join(f"{parameter['name']}={_values(parameter)}" for parameter in plan.space["parameters"]),
        "begun": plan.created,
    }


def _values(parameter: Mapping[str, Any]) -> str:
    """Return what is tried of a parameter, as ``--vary`` takes it."""
    if "choices" in parameter:
        return "|".join(
            str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in parameter["choices"]
        )
    return f"{parameter['low']:g}..{parameter['high']:g}{':log' * parameter['log']}"


def _confirmation(study: StudyView) -> Confirmation | None:
    """Read what came of the winners; raises ValueError, KeyError or TypeError if it is damaged."""
    file = study.folder / CONFIRMATION
    if not file.exists():
        return None
    content = json.loads(file.read_text(encoding="utf-8"))
    return Confirmation(**content | {"rows": [_certified(row) for row in content["rows"]]})


def _certified(row: dict[str, Any]) -> Certified:
    return Certified(**row | {key: None if row[key] is None else Score(**row[key]) for key in _SCORES})
