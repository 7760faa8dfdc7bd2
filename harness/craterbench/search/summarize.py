"""Reads a study's folder and makes its summary."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from craterbench.metrics.intervals import Estimate
from craterbench.metrics.metric import Metrics
from craterbench.search.study import StudyView
from craterbench.search.summary import Confirmation, ConfirmedScores, StudySummary
from craterbench.search.sweep_config import SweepConfig

__all__ = ["CONFIRMATION", "listed", "not_begun", "parameter_text", "read_confirmation", "summarize"]

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
            notes.append(f"the best is not confirmed; bench sweep --resume {study.config.resumed_as}{option} does that")
    except (OSError, ValueError, KeyError, TypeError):
        confirmation = None
        notes.append(
            f"{study.folder / CONFIRMATION} cannot be read; bench sweep --resume {study.config.resumed_as} writes it"
        )
    trials = study.trials()
    counted = sum(trial.state in ("complete", "pruned") for trial in trials)
    if confirmation is not None and confirmation.tried != counted:
        now = f"it has {counted} now; bench sweep --resume {study.config.resumed_as} confirms the best of them"
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
        equal_budgets=_equal_budgets(study.config),
        notes=notes,
    )


def not_begun(config: SweepConfig, metrics: Metrics | None = None) -> StudySummary:
    """Return what is to be said of a study of which there is the config and no more."""
    known = metrics or Metrics()
    objectives = [known.get(name) for name in config.objectives]
    return StudySummary(
        name=config.name, settings=_settings(config), objectives=objectives, wanted=config.trials, trials=[]
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


def _equal_budgets(config: SweepConfig) -> str | None:
    """Return the command that tunes the reference with as many trials, beside what this search began from."""
    if config.sweep is not None:
        return None
    other = "OTHER" if config.benchmark == "reference" else shlex.quote(config.benchmark)
    command = f"bench sweep reference {other} --trials {config.trials} --confirm {max(config.confirm, 1)}"
    narrowed = config.vary or any(source.startswith("--") and source != "--framework" for _, _, source in config.fixed)
    return command + (" and the other options of this search" if narrowed else "")


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
        "searched": ", ".join(map(parameter_text, config.space["parameters"])),
        "begun": config.created,
    }


def parameter_text(parameter: Mapping[str, Any]) -> str:
    """Return what is tried of a parameter of ``Space.as_json``, as ``--vary`` takes it."""
    return f"{parameter['name']}={_values(parameter)}"


def _values(parameter: Mapping[str, Any]) -> str:
    if "choices" in parameter:
        return "|".join(
            str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in parameter["choices"]
        )
    return f"{parameter['low']:g}..{parameter['high']:g}{':log' * parameter['log']}"


def _confirmation(study: StudyView) -> Confirmation | None:
    """Return what came of the candidates, if they were confirmed; raises what ``read_confirmation`` does."""
    file = study.folder / CONFIRMATION
    return read_confirmation(file) if file.exists() else None


def read_confirmation(file: Path) -> Confirmation:
    """Return a confirmation that was kept; raises OSError, ValueError, KeyError or TypeError if it is damaged."""
    content = json.loads(file.read_text(encoding="utf-8"))
    if "luck" in content:  # its older name
        content["selection_bias"] = content.pop("luck")
    return Confirmation(**content | {"rows": [_confirmed(row) for row in content["rows"]]})


def _confirmed(row: dict[str, Any]) -> ConfirmedScores:
    return ConfirmedScores(**row | {key: None if row.get(key) is None else Estimate(**row[key]) for key in _SCORES})
