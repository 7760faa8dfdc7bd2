"""A sweep of several benchmarks as text on a terminal: what each was given, and what of it was confirmed."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from craterbench.report.estimate_text import estimate_text, number_text
from craterbench.report.study.several_narrative import (
    ComparedScore,
    compared_scores,
    row_name,
    several_sentences,
    several_settings,
)
from craterbench.report.study.study_text import text_table
from craterbench.report.study.trials import objective_value, reasons, sort_by_objective
from craterbench.search.several.compare import SweepsSummary

__all__ = ["render_several"]


def render_several(summary: SweepsSummary, console: Console) -> None:
    """Print a sweep of several: what holds for all, the budget of each, and a table of what was confirmed."""
    names = ", ".join(member.benchmark for member in summary.members)
    console.print(Text(f"sweep {summary.name}: {names}", style="bold"))
    _print_settings(summary, console)
    _print_searches(summary, console)
    for score in compared_scores(summary):
        _print_rows(summary, score, console)
    for member in summary.members:
        for row in member.rows:
            if row.problem:
                console.print(Text(f"{row_name(member, row)} has no scores: {row.problem}", style="red"))
    for line in several_sentences(summary):
        console.print(Text(line))
    for note in summary.notes:
        console.print(Text(note, style="dim"))
    studies = ", ".join(member.study.name for member in summary.members)
    console.print(Text(f"each search by itself: bench sweep --show NAME, with {studies}", style="dim"))


def _print_settings(summary: SweepsSummary, console: Console) -> None:
    table = Table.grid(padding=(0, 2))
    for key, value in several_settings(summary).items():
        table.add_row(Text(key, style="dim"), Text(value, style="dim"))
    console.print(table)


def _print_searches(summary: SweepsSummary, console: Console) -> None:
    heading = f"best {summary.objective.label} in the search"
    table = text_table("", "complete", "pruned", "failed", heading, right=("complete", "pruned", "failed", heading))
    for member in summary.members:
        states = [trial.state for trial in member.study.trials]
        best = sort_by_objective(member.study)
        found = f"{number_text(objective_value(best[0]))} (trial {best[0].number})" if best else "–"
        counts = [str(states.count(state)) for state in ("complete", "pruned", "failed")]
        table.add_row(*map(Text, (member.benchmark, *counts, found)))
    console.print(table)
    for member in summary.members:
        for line in reasons(member.study):
            console.print(Padding(Text(f"{member.benchmark}, {line}", style="dim"), (0, 0, 0, 2)))


def _print_rows(summary: SweepsSummary, score: ComparedScore, console: Console) -> None:
    seeds = ", ".join(map(str, summary.seeds))
    console.print(Text(f"{score.heading}, on seeds that no search had used ({seeds})"))
    apart = f"difference to {row_name(summary.members[0], summary.members[0].rows[0])}"
    headings = (summary.part, apart, "gained by tuning")
    table = text_table("", *headings, right=headings, wrapped=("", *headings[1:]))
    for member in summary.members:
        for row, gain in zip(member.rows, member.gains, strict=True):
            cells = [row_name(member, row), estimate_text(score.of(row), between="\n")]
            cells += [
                estimate_text(score.difference(each), between="\n", signed=True, with_sd=False) for each in (row, gain)
            ]
            table.add_row(*map(Text, cells))
    console.print(table)
