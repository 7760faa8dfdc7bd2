"""A sweep of several benchmarks in plain sentences, and the scores that they are compared by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from craterbench.metrics.intervals import Estimate
from craterbench.report.estimate_text import estimate_text
from craterbench.report.study.narrative import NO_TEST_PART, at_tuned_thresholds, capital, compared
from craterbench.search.several.compare import MemberSummary, SweepsSummary
from craterbench.search.summary import ConfirmedScores

__all__ = ["ComparedScore", "compared_scores", "row_name", "several_sentences", "several_settings"]


@dataclass(frozen=True)
class ComparedScore:
    """A score by which several benchmarks are compared, each once untuned and once tuned.

    Attributes:
        heading: what it is, above its table.
        short: the same in a sentence on differences; empty for the first.
        of: the score of a row.
        difference: the difference of a row to what it is compared with.
    """

    heading: str
    short: str
    of: Callable[[ConfirmedScores], Estimate | None]
    difference: Callable[[ConfirmedScores], Estimate | None]


def compared_scores(summary: SweepsSummary) -> list[ComparedScore]:
    """Return the scores that there are; what is added here is in the tables and in the sentences."""
    every = [
        ComparedScore(
            f"Balanced accuracy of the {summary.part} part, at a threshold of 0.5",
            "",
            lambda row: row.test if summary.part == "test" else row.validation,
            lambda row: row.difference,
        ),
        ComparedScore(
            "Balanced accuracy of the test part, at the threshold that each run's validation part chose",
            "at the thresholds that the validation parts chose",
            lambda row: row.tuned,
            lambda row: row.difference_tuned,
        ),
    ]
    return [score for score in every if any(score.of(row) for member in summary.members for row in member.rows)]


def several_settings(summary: SweepsSummary) -> Mapping[str, str]:
    """Return what holds for all, what is searched in all or in one alone, and what each keeps, in words."""
    settings = {**summary.settings, "searched in all": ", ".join(summary.alike)}
    for member in summary.members:
        if member.alone:
            settings[f"in {member.benchmark} alone"] = ", ".join(member.alone)
    for member in summary.members:
        kept = [
            f"{key}={str(value).lower() if isinstance(value, bool) else value}"
            for key, value in member.defined_by.items()
        ]
        settings[f"{member.benchmark} keeps"] = ", ".join(kept)
    return settings


def row_name(member: MemberSummary, row: ConfirmedScores) -> str:
    """Return what a row is called."""
    return f"{member.benchmark}, untuned" if row.trial is None else f"{member.benchmark}, trial {row.trial}"


def several_sentences(summary: SweepsSummary) -> Sequence[str]:
    """Return what may be said of a sweep of several: who beats whom when tuned alike, and what tuning gained each.

    Nothing is said where nothing is compared.
    """
    first, *others = summary.members
    if not first.rows:
        return []
    said = []
    for member in others:
        mine, baseline = member.rows[0], first.rows[0]
        who, against = f"{member.benchmark}, tuned (trial {mine.trial}),", f"{first.benchmark}, tuned alike"
        verdict = compared(mine, baseline, summary.part, who, against, search="the searches")
        said.append(" ".join([verdict, *at_tuned_thresholds(mine, baseline)]))
    if len(others) > 1:
        shown = "bench table --test" if summary.part == "test" else "bench table"
        said.append(
            f"These {len(others)} differences to {first.benchmark} are not corrected for their number; {shown} "
            f"--baseline {first.study.name} does that, for all runs there are."
        )
    if summary.part != "test":
        said.append(NO_TEST_PART)
    said += [_gain(summary, member) for member in summary.members]
    tuned = sum(row.trial is not None for member in summary.members for row in member.rows)
    said.append(
        f"These are {tuned} tuned rows. Each search had named its own, the best of its trials first, before any was "
        "confirmed; whichever row is taken for its scores here is chosen once more, in part by chance, and they "
        "flatter it."
    )
    return [*said, *_unvaried(summary.members)]


def _gain(summary: SweepsSummary, member: MemberSummary) -> str:
    """Say what tuning gained a benchmark, by each score."""
    tuned, untuned = member.gains[0], member.gains[-1]
    name = member.benchmark
    if tuned.same:
        return f"Tuning gained {name} nothing: the best trial is {name} as it is."
    if tuned.difference is None:
        return f"What tuning gained {name} cannot be said: {tuned.incomparable or tuned.problem or untuned.problem}."
    gained = []
    for score in compared_scores(summary):
        difference = score.difference(tuned)
        if difference is not None:
            text = f"{_changed(tuned, difference)}{estimate_text(difference, signed=True, with_sd=False)}"
            gained.append(f"{score.short} {text}".strip())
    return f"What tuning gained {name}: {'; '.join(gained)}."


def _changed(tuned: ConfirmedScores, difference: Estimate) -> str:
    """Say how sure a gain is."""
    if len(tuned.seeds) == 1 or not difference.has_interval or difference.low <= 0 <= difference.high:
        return "not certainly anything, "
    return "" if difference.low > 0 else "a loss, "


def _unvaried(members: Sequence[MemberSummary]) -> list[str]:
    """Say what sets tuned rows apart from untuned ones that no search varied."""
    found: dict[str, list[str]] = {}
    for member in members:
        unvaried = member.study.confirmation.unvaried if member.study.confirmation else {}
        for key, (mine, other) in sorted(unvaried.items()):
            found.setdefault(f"{key} {mine} instead of {other}", []).append(member.benchmark)
    text = "; ".join(f"{change} ({', '.join(names)})" for change, names in found.items())
    return [capital(f"the searches did not vary it, but a part of a gain may be due to it: {text}.")] if text else []
