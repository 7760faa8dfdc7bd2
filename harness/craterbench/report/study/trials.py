"""Trials of a study in words and in order: what all that shows a study has in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from craterbench.report.estimate_text import number_text
from craterbench.search.summary import Confirmation, ConfirmedScores, StudySummary, Trial

__all__ = [
    "baseline_name",
    "counted",
    "highlighted",
    "importances_text",
    "nothing_complete",
    "objective_value",
    "parameters_text",
    "pareto_front",
    "reasons",
    "selection_bias_text",
    "short_names",
    "sort_by_objective",
    "unconfirmed",
    "unvaried",
    "value_text",
    "varied",
]

#: How many trials with one reason are named, of more their number is.
_NAMED = 5


def value_text(value: Any, *, digits: int = 3) -> str:
    """Return the value of a parameter in a few characters, a number with so many significant digits."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        form = f"{value:.{digits - 1}e}" if 0 < abs(value) < 1e-2 else f"{value:.{digits}g}"
        mantissa, _, exponent = form.partition("e")
        return f"{float(mantissa):g}e{int(exponent)}" if exponent else mantissa
    return str(value)


def selection_bias_text(confirmation: Confirmation, row: ConfirmedScores) -> str:
    """Return how much of what the best had reached in the search may be selection bias.

    Of the second best this selection bias would be too much, and the reference was not picked.
    """
    return number_text(confirmation.selection_bias if row is confirmation.rows[0] and row.trial is not None else None)


def baseline_name(confirmation: Confirmation) -> str:
    """Return the name of the benchmark that the search began from, to which the differences are; it has the last row.

    What its row has after its name, such as the framework, the candidates have as well.
    """
    return confirmation.rows[-1].name.partition(" ")[0]


def short_names(names: Iterable[str]) -> Mapping[str, str]:
    """Return for each dotted name its end, as long as it must be to mean no other; ``loss.name`` is ``loss``."""
    plain = {name: name.removesuffix(".name") for name in names}

    def short(name: str) -> str:
        pieces = plain[name].split(".")
        ends = [".".join(pieces[position:]) for position in reversed(range(len(pieces)))]
        others = [f".{other}" for each, other in plain.items() if each != name]
        return next((end for end in ends if not any(other.endswith(f".{end}") for other in others)), name)

    return {name: short(name) for name in plain}


def parameters_text(parameters: Mapping[str, Any], names: Mapping[str, str], *, between: str = " ") -> str:
    """Return ``name=value`` of those parameters that have a name, in the order of the names."""
    return between.join(
        f"{name}={value_text(parameters[key])}" for key, name in names.items() if parameters.get(key) is not None
    )


def varied(summary: StudySummary) -> list[str]:
    """Return the parameters that differ between trials, the most important first, else in the order they came."""
    every = _names(summary.trials)
    names = [name for name in every if len({_value(trial, name) for trial in summary.trials}) > 1]
    if len(summary.trials) == 1:
        names = every
    return sorted(names, key=lambda name: -summary.importances.get(name, 0.0))


def unvaried(summary: StudySummary) -> Mapping[str, Any]:
    """Return the parameters that have the same value in all trials."""
    chosen = set(varied(summary))
    return {name: summary.trials[0].parameters[name] for name in _names(summary.trials) if name not in chosen}


def _names(trials: Sequence[Trial]) -> list[str]:
    return list(dict.fromkeys(name for trial in trials for name in trial.parameters))


def _value(trial: Trial, name: str) -> str:
    return repr(trial.parameters.get(name))  # which differs for True and 1


def objective_value(trial: Trial) -> float | None:
    """Return the first objective of a trial, or ``None`` where it is not known."""
    return trial.values[0] if trial.values and math.isfinite(trial.values[0]) else None


def sort_by_objective(summary: StudySummary) -> list[Trial]:
    """Return the complete trials, best first by the first objective."""
    sign = -1 if summary.objectives[0].greater_is_better else 1
    having = [(value, trial) for trial in summary.trials if (value := objective_value(trial)) is not None]
    found = [(sign * value, trial.number, trial) for value, trial in having if trial.state == "complete"]
    return [trial for _, _, trial in sorted(found, key=lambda each: each[:2])]


def pareto_front(summary: StudySummary) -> list[Trial]:
    """Return the complete trials of which none is better in every objective, best first by the first."""
    return [trial for trial in sort_by_objective(summary) if trial.number in set(summary.front)]


def highlighted(summary: StudySummary) -> list[Trial]:
    """Return the trials that a drawing marks: the front, or else the best."""
    return pareto_front(summary) or sort_by_objective(summary)[:1]


def counted(summary: StudySummary) -> str:
    """Return how many trials are in which state: ``38 complete, 12 pruned, 2 failed``."""
    states = [trial.state for trial in summary.trials]
    parts = [f"{states.count(state)} {state}" for state in ("complete", "pruned", "failed", "running", "waiting")]
    return ", ".join(text for text in parts if not text.startswith("0 "))


def reasons(summary: StudySummary) -> list[str]:
    """Return why trials failed, each reason once, the most frequent first, with the trials it is of."""
    found: dict[str, list[int]] = {}
    for trial in summary.trials:
        if trial.state == "failed":
            found.setdefault(trial.reason or "no reason is known", []).append(trial.number)
    return [
        f"{_numbered(numbers)} failed: {reason}" for reason, numbers in sorted(found.items(), key=lambda e: -len(e[1]))
    ]


def _numbered(numbers: Sequence[int]) -> str:
    named = ", ".join(map(str, numbers[:_NAMED]))
    if len(numbers) > _NAMED:
        return f"{len(numbers)} trials ({named}, …)"
    return f"{'trial' if len(numbers) == 1 else 'trials'} {named}"


def importances_text(summary: StudySummary) -> str:
    """Return what is to be said of importances wherever they are shown."""
    return (
        "how much each parameter matters for being among the best, told from the search's own "
        f"{len(sort_by_objective(summary))} complete trials, so roughly"
    )


def unconfirmed(summary: StudySummary) -> str:
    """Return which trial is the best, of one at least that is complete, and what that is worth by itself."""
    best = sort_by_objective(summary)[0]
    score = f"{summary.objectives[0].label} of {number_text(objective_value(best))}"
    return (
        f"The best trial so far is {best.number}, with a {score}. It is not confirmed, and the best of many "
        "is always in part the luckiest."
    )


def nothing_complete(summary: StudySummary) -> str:
    """Return in words that no trial is complete."""
    line = f"No trial is complete: {counted(summary) or 'none was started'}."
    if any(trial.state == "pruned" for trial in summary.trials):
        line += " The pruner lets none come to its end; --pruner none in another study does."
    return line
