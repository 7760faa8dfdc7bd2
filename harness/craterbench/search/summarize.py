"""Reads a study's folder and makes its summary."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from craterbench.metrics.intervals import Estimate
from craterbench.metrics.metric import Metrics
from craterbench.search.study import StudyView, SweepConfig
from craterbench.search.summary import Confirmation, ConfirmedScores, StudySummary

__all__ = ["CONFIRMATION", "listed", "summarize"]

#: The file that keeps what came of the confirmation.
CONFIRMATION = "confirmation.json"

_SCORES = ("validation", "val_loss", "objective", "test", "tuned", "difference", "difference_tuned")


def summarize(study: StudyView) -> StudySummary:
    """Return what a study has found so far."""
    notes = []
    if not study.single:
        notes.append("with two objectives no trial is pruned; the best is that of the front which is best in the first")
    cheaper = [f"{key}={value}" for key, value, _ in study.config.fixed if key in study.config.search_only]
    if cheaper:
        notes.append(f"trials were made cheaper: {', '.join(cheaper)}; they are confirmed with the benchmark's own")
    best = study.best()
    try:
        confirmation = _confirmation(study)
        if confirmation is None and best:
            option = "" if study.config.confirm else " --confirm 1"
            notes.append(f"the best is not confirmed; bench sweep --resume {study.config.name}{option} does that")
    except (OSError, ValueError, KeyError, TypeError):
        confirmation = None
        notes.append(
            f"{study.folder / CONFIRMATION} cannot be read; bench sweep --resume {study.config.name} writes it"
        )
    trials = study.trials()
    counted = sum(trial.state in ("complete", "pruned") for trial in trials)
    if confirmation is not None and confirmation.tried != counted:
        now = f"it has {counted} now; bench sweep --resume {study.config.name} confirms the best of them"
        notes.append(f"what was confirmed is the best of the {confirmation.tried} trials that there were then; {now}")
    return StudySummary(
        name=study.config.name,
        settings=_settings(study.config),
        objectives=study.objectives,
        wanted=study.config.trials,
        trials=trials,
        importances=study.importances(),
        logarithmic=[parameter["name"] for parameter in study.config.space["parameters"] if parameter.get("log")],
        front=best,
        confirmation=confirmation,
        notes=notes,
    )


def listed(folder: Path, metrics: Metrics | None = None) -> dict[str, Any]:
    """Return what a list of studies says of one: name, done, wanted, objective, best, state and when."""
    study = StudyView(folder, metrics)
    config, trials, best = study.config, study.trials(), study.best()
    done = sum(trial.state in ("complete", "pruned") for trial in trials)
    state = "unfinished" if done < config.trials else "done"
    if state == "done" and best and config.confirm and not (folder / CONFIRMATION).exists():
        state = "not confirmed"
    return {
        "name": config.name,
        "done": done,
        "wanted": config.trials,
        "objective": study.objectives[0].label,
        "best": trials[best[0]].values[0] if best else None,
        "state": "running" if study.owned else state,
        "when": config.created.replace("T", " ").removesuffix(":00Z").removesuffix("Z"),
    }


def _settings(config: SweepConfig) -> dict[str, str]:
    training, pruner = config.definition["training"], config.pruner
    pinned = [f"{key}={value}" for key, value, _ in config.fixed if key in config.pinned]
    return {
        "benchmark": config.benchmark,
        "data": f"{config.definition['dataset']['name']}, {config.data[:8]}",
        "framework": f"{config.definition['framework']}, {training['precision']}",
        "epochs": f"{config.epochs} at most, patience {training['patience']} on {training['monitor']}",
        "objective": " and ".join(config.objectives),
        "sampler": f"{config.sampler}, seed {config.seed}",
        "pruner": pruner if len(config.objectives) == 1 else "none, for there are two objectives",
        **({"fixed": ", ".join(pinned)} if pinned else {}),
        "searched": ", ".join(f"{parameter['name']}={_values(parameter)}" for parameter in config.space["parameters"]),
        "begun": config.created,
    }


def _values(parameter: Mapping[str, Any]) -> str:
    """Return what is tried of a parameter, as ``--vary`` takes it."""
    if "choices" in parameter:
        return "|".join(
            str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in parameter["choices"]
        )
    return f"{parameter['low']:g}..{parameter['high']:g}{':log' * parameter['log']}"


def _confirmation(study: StudyView) -> Confirmation | None:
    """Read what came of the candidates; raises ValueError, KeyError or TypeError if it is damaged."""
    file = study.folder / CONFIRMATION
    if not file.exists():
        return None
    content = json.loads(file.read_text(encoding="utf-8"))
    if "luck" in content:  # its older name
        content["selection_bias"] = content.pop("luck")
    return Confirmation(**content | {"rows": [_confirmed(row) for row in content["rows"]]})


def _confirmed(row: dict[str, Any]) -> ConfirmedScores:
    return ConfirmedScores(**row | {key: None if row.get(key) is None else Estimate(**row[key]) for key in _SCORES})
