"""A study as text on a terminal: what was tried, what came of it, and what of that held when it was confirmed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from craterbench.metrics.intervals import Estimate
from craterbench.metrics.metric import BALANCED_ACCURACY
from craterbench.report.estimate_text import estimate_text, number_text
from craterbench.report.study.narrative import verdict
from craterbench.report.study.trials import (
    baseline_name,
    counted,
    importances_text,
    nothing_complete,
    parameters_text,
    pareto_front,
    reasons,
    selection_bias_text,
    short_names,
    sort_by_objective,
    unconfirmed,
    unvaried,
    value_text,
    varied,
)
from craterbench.search.summary import Confirmation, ConfirmedScores, StudySummary, Trial

__all__ = ["Listed", "list_studies", "render_study", "text_table"]

#: How many trials and importances are shown.
_TOP = 10

#: How many characters the longest bar has.
_BAR = 24


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A study in a list of studies, or a sweep of several benchmarks.

    Attributes:
        done: how many trials are complete or pruned.
        wanted: how many are to be.
        objective: what ``best`` is of, as a person calls it; of a sweep of several their names.
        best: the best value so far; ``None`` where no trial is complete.
        state: ``running``, ``done`` and the like.
        when: when it was begun, as a person reads it.
    """

    name: str
    done: int
    wanted: int
    objective: str
    best: float | None
    state: str
    when: str


def list_studies(studies: Sequence[Listed], console: Console) -> None:
    """Print a table of studies, in their order."""
    table = text_table("name", "done", "best", "of", "state", "when", right=("done", "best"), wrapped=("name", "of"))
    for study in studies:
        done = f"{study.done}/{study.wanted}"
        best = number_text(study.best)
        table.add_row(*map(Text, (study.name, done, best, study.objective, study.state, study.when)))
    console.print(table)


def render_study(summary: StudySummary, console: Console) -> None:
    """Print a study: its settings, its best trials, importances, and the confirmed candidates if there are any."""
    console.print(Text(f"study {summary.name}", style="bold"))
    _print_settings(summary, console)
    complete = sort_by_objective(summary)
    if complete:
        done = sum(trial.state in ("complete", "pruned") for trial in summary.trials)
        _print(console, f"done {done} of {summary.wanted}: {counted(summary)}")
    else:
        _print(console, nothing_complete(summary))
    for line in reasons(summary):
        console.print(Padding(Text(line, style="dim"), (0, 0, 0, 2)))
    if complete:
        _print_trials(summary, complete, console)
        _print_importances(summary, console)
    _print_confirmation(summary, console)
    for note in summary.notes:
        _print(console, note, style="dim")


def _print(console: Console, text: str, *, style: str = "") -> None:
    console.print(Text(text, style=style))


def text_table(*headings: str, right: Iterable[str] = (), wrapped: Iterable[str] = ()) -> Table:
    """Return a table without rows.

    Args:
        headings: of the columns.
        right: those whose cells stand on the right.
        wrapped: those whose cells may be broken where the terminal is narrow.
    """
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False)
    for heading in headings:
        side: Literal["left", "right"] = "right" if heading in right else "left"
        table.add_column(Text(heading), justify=side, no_wrap=heading not in wrapped, overflow="fold")
    return table


def _print_settings(summary: StudySummary, console: Console) -> None:
    table = Table.grid(padding=(0, 2))
    settings = dict(summary.settings)
    same = unvaried(summary) if summary.trials else {}
    if same:
        settings["same in all trials"] = parameters_text(same, {name: name for name in same})
    for key, value in settings.items():
        table.add_row(Text(key, style="dim"), Text(value, style="dim"))
    console.print(table)
    console.print()


def _print_trials(summary: StudySummary, complete: Sequence[Trial], console: Console) -> None:
    names = [objective.label for objective in summary.objectives]
    shown = pareto_front(summary) if len(names) > 1 else complete[:_TOP]
    console.print()
    if len(names) > 1:
        _print(console, f"The Pareto front, trials that no other beats in both {names[0]} and {names[1]}")
    else:
        several = f"The best {len(shown)} of {len(complete)} complete trials"
        _print(console, f"{several if len(complete) > 1 else 'The one complete trial'}, by {names[0]}")
    short = _shorts(summary, shown)
    table, left_out = _trials(shown, names, short, len(short)), 0
    while left_out < len(short) and _least(table, console) > console.width:
        left_out += 1
        table = _trials(shown, names, short, len(short) - left_out)
    console.print(table)
    notes = []
    if any(name not in trial.parameters for trial in shown for name in list(short)[: len(short) - left_out]):
        notes.append("– where a trial does not have the parameter")
    if left_out:
        notes.append(f"left out, since the terminal is narrow: {', '.join(list(short.values())[-left_out:])}")
    for note in notes:
        _print(console, note, style="dim")
    if notes:
        console.print()


def _trials(trials: Sequence[Trial], objectives: Sequence[str], names: Mapping[str, str], number: int) -> Table:
    """Return a table of trials with so many of the parameters, the first."""
    keys = list(names)[:number]
    scores = [name.replace(" ", "\n") for name in objectives]
    headings = [re.sub(r"([._-])", r"\1\n", names[key]) for key in keys]
    table = text_table("trial", *scores, "epochs", *headings, right=("trial", *scores, "epochs"))
    for trial in trials:
        cells = [str(trial.number), *map(number_text, trial.values), str(trial.epochs)]
        cells += [value_text(trial.parameters[key]) if key in trial.parameters else "–" for key in keys]
        table.add_row(*map(Text, cells))
    return table


def _least(table: Table, console: Console) -> int:
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


def _shorts(summary: StudySummary, shown: Sequence[Trial]) -> dict[str, str]:
    """Return the names of the columns: what fewer than half of the trials shown have stands behind all else."""
    short = short_names(name for trial in summary.trials for name in trial.parameters)
    names = sorted(varied(summary), key=lambda name: 2 * sum(name in trial.parameters for trial in shown) < len(shown))
    return {name: short[name] for name in names}


def _print_importances(summary: StudySummary, console: Console) -> None:
    if not summary.importances:
        return
    _print(console, f"Importances: {importances_text(summary)}")
    short = short_names(name for trial in summary.trials for name in trial.parameters)
    ordered = sorted(summary.importances.items(), key=lambda each: -each[1])[:_TOP]
    most = ordered[0][1] or 1.0
    table = Table.grid(padding=(0, 1))
    for name, share in ordered:
        bar = Text("█" * round(_BAR * share / most), style="blue")
        table.add_row(Text(f"  {short.get(name, name)}"), f"{share:.2f}", bar)
    console.print(table)
    console.print()


def _print_confirmation(summary: StudySummary, console: Console) -> None:
    confirmation = summary.confirmation
    if confirmation is None:
        if sort_by_objective(summary):
            _print(console, unconfirmed(summary))
        return
    if confirmation.rows:
        _print_rows(summary, confirmation, console)
    for line in verdict(summary):
        _print(console, line)


def _print_rows(summary: StudySummary, confirmation: Confirmation, console: Console) -> None:
    seeds = dict.fromkeys(seed for row in confirmation.rows for seed in row.seeds)
    _print(console, f"Confirmed on seeds that the search had not used ({', '.join(map(str, seeds))})")
    # the same score as was searched for, so that what was found can be looked at beside it
    objective = summary.objectives[0]
    other = objective != BALANCED_ACCURACY  # of which the scores on the test part are
    scores: dict[str, Callable[[ConfirmedScores], Estimate | None]] = {
        f"validation\n{objective.label}" if other else "validation": lambda row: row.on_validation(objective),
        "test\nbalanced\naccuracy" if other else "test": lambda row: row.test,
    }
    if all(row.test is None for row in confirmation.rows):
        del scores["test"]
    last = f"difference to {baseline_name(confirmation)}{', balanced accuracy' if other else ''}"
    right = ("found in\nsearch", "expected\nselection\nbias", *scores, last)
    table = text_table("", *right, right=right, wrapped=("", last))
    for row in confirmation.rows:
        cells = [row.name, number_text(row.found), selection_bias_text(confirmation, row)]
        cells += [estimate_text(of(row), between="\n") for of in scores.values()]
        cells.append(estimate_text(row.difference, between="\n", signed=True, with_sd=False))
        table.add_row(*map(Text, cells))
    console.print(table)
    for row in confirmation.rows:
        if row.problem:
            _print(console, f"{row.name} has no scores: {row.problem}", style="red")
