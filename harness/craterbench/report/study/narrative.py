"""A confirmation in plain sentences, for the terminal and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from craterbench.metrics.metric import Metric
from craterbench.report.estimate_text import estimate_text
from craterbench.report.threshold_text import explained_by_threshold
from craterbench.search.summary import Confirmation, ConfirmedScores, StudySummary

__all__ = ["NO_TEST_PART", "at_tuned_thresholds", "capital", "compared", "sentences", "verdict"]

#: How a comparison comes to images that chose nothing.
NO_TEST_PART = "Another sweep with --fix split.test=0.2 cuts a test part from the images, which would choose nothing."


def verdict(summary: StudySummary) -> Sequence[str]:
    """Return what may be said of a study that was confirmed, and what was not tuned in it; nothing of any other."""
    if summary.confirmation is None:
        return []
    return [*sentences(summary.confirmation, summary.objectives[0]), *_untuned(summary)]


def sentences(confirmation: Confirmation, objective: Metric) -> Sequence[str]:
    """Return what may be said, first whether the candidate beats the reference.

    Args:
        confirmation: the candidates and the reference.
        objective: the first that the search aimed at.
    """
    if confirmation.lines:
        return confirmation.lines
    first, *others, reference = confirmation.rows
    part = confirmation.part
    found = [_found(first, objective), *_selection_bias(objective, confirmation), *_confirmed(first, objective)]
    against = _against(confirmation)
    said = [compared(first, reference, part, f"the candidate, trial {first.trial},", against)]
    said += at_tuned_thresholds(first, reference)
    said.append(" ".join(found))
    for other in others:
        its_own = [compared(other, reference, part, f"trial {other.trial}", against)]
        its_own += at_tuned_thresholds(other, reference)
        said.append(" ".join([*its_own, _found(other, objective), *_confirmed(other, objective)]))
    if others:
        said.append(
            f"The search named its candidate before any of these {len(others) + 1} was confirmed. Whichever comes"
            " out best now is chosen once more, in part by chance, and its scores here flatter it again."
        )
    if part != "test":
        said.append(NO_TEST_PART)
    return [*said, *_unvaried(confirmation.unvaried)]


def compared(
    mine: ConfirmedScores, other: ConfirmedScores, part: str, who: str, reference: str, search: str = "the search"
) -> str:
    """Say whether what was confirmed beats another.

    Args:
        mine: with its difference to the other.
        other: what it is compared with.
        part: on which it is.
        who: what ``mine`` is called.
        reference: what ``other`` is called.
        search: what chose both.
    """
    difference = mine.difference
    if mine.same:
        return f"{capital(who)} is {reference}'s own config: there is nothing that it could beat."
    if mine.incomparable is not None or difference is None:
        return f"It cannot be said whether {who} beats {reference}: {mine.incomparable}."
    on_test = part == "test"
    scores = (mine.test, other.test) if on_test else (mine.validation, other.validation)
    number = len(mine.seeds)
    against = " against ".join(estimate_text(score, with_interval=False) for score in scores)
    apart = estimate_text(difference, signed=True, with_sd=False)
    seeds = "seed" if number == 1 else "seeds"
    numbers = f"balanced accuracy {against} over {number} {seeds}, a paired difference of {apart}"
    where = (
        f"On the test part, which {search} never saw,"
        if on_test
        else f"The data have no test part. On the validation part, which chose the epochs and by which {search} chose,"
    )
    unsure = f"{where} it is not certain whether {who} beats {reference}: {numbers}"
    if number == 1:
        return f"{unsure}. An interval over one seed leaves out what another seed would change."
    if not difference.has_interval:
        return f"{unsure}. There are too few groups of images for an interval."
    if difference.high < 0:
        return f"{where} {who} is worse than {reference}: {numbers}."
    if difference.low > 0:
        if on_test:
            return f"{where} {who} beats {reference}: {numbers}."
        return f"{where} {who} is ahead of {reference}: {numbers}. Other images would probably show less of it."
    if mine.smallest is not None and mine.smallest > 0:
        unseen = f"a true difference below about {mine.smallest:.2g} would mostly go unseen"
        return f"{unsure}, and the interval holds 0. With these images and seeds {unseen}."
    return f"{unsure}: they score alike."


def at_tuned_thresholds(mine: ConfirmedScores, other: ConfirmedScores) -> list[str]:
    """Say what is left of a difference where each network has the threshold that its validation part chose."""
    difference = mine.difference_tuned
    if mine.same or mine.incomparable is not None or mine.difference is None or difference is None:
        return []
    against = " against ".join(estimate_text(score, with_interval=False) for score in (mine.tuned, other.tuned))
    apart = estimate_text(difference, signed=True, with_sd=False)
    explained = explained_by_threshold(mine.difference, difference)
    if explained is None and difference.has_interval and difference.low > 0:
        explained = "it is ahead there, too" if mine.difference.low > 0 else "it is ahead there"
    tail = f": {explained}" if explained else ""
    return [f"At the thresholds that their validation parts chose, it is {against}, a difference of {apart}{tail}."]


def _found(candidate: ConfirmedScores, objective: Metric) -> str:
    """Say what the search thought of a candidate."""
    assert candidate.found is not None
    article = "an" if objective.label[0].lower() in "aeiou" else "a"
    had = f"{article} {objective.label} of {candidate.found:.4f}"
    return f"In the search trial {candidate.trial} had {had} on the validation part."


def _selection_bias(objective: Metric, confirmation: Confirmation) -> list[str]:
    """Say how much of that a choice would give if all configs were equal."""
    tried, best, sd = confirmation.tried, confirmation.selection_bias, confirmation.seed_sd
    if tried < 2:
        return []  # nothing was chosen from
    if best is None or sd is None:
        return [f"How far chance alone carries the best of {tried} is not known: no config has scores of two seeds."]
    side = "above" if objective.greater_is_better else "below"
    return [
        f"Of {tried} equal configs the luckiest would come out {best:.4f} {side} their mean by chance alone; "
        f"this goes by a standard deviation over seeds of {sd:.4f}, which {confirmation.runs} runs tell only roughly, "
        "and trials that were shorter than these runs may spread more."
    ]


def _unvaried(unvaried: Mapping[str, Sequence[Any]]) -> list[str]:
    """Say what sets the candidate apart from the reference that the search did not vary."""
    text = ", ".join(f"{key} {mine} instead of {other}" for key, (mine, other) in sorted(unvaried.items()))
    return [f"The search did not vary it, but a part of the difference may be due to it: {text}."] if text else []


def _confirmed(candidate: ConfirmedScores, objective: Metric) -> list[str]:
    """Say how it scored when it was confirmed."""
    score = candidate.on_validation(objective)
    return [] if score is None else [f"Confirmed, it has {estimate_text(score, with_interval=False)} on that part."]


def _against(confirmation: Confirmation) -> str:
    """Return what is said of the benchmark that the search began from."""
    name = confirmation.rows[-1].name.split()[0]
    return "the reference" if name == "reference" else name


def _untuned(summary: StudySummary) -> list[str]:
    """Say that what the candidates are compared with was not tuned, and how it would be."""
    confirmation = summary.confirmation
    if summary.equal_budgets is None or confirmation is None or not confirmation.rows or confirmation.rows[0].same:
        return []
    return [
        f"{capital(_against(confirmation))} was not tuned: it had none of the {confirmation.tried} trials, so a part "
        "of the difference may be what tuning gives any benchmark. With as many trials for the reference: "
        f"{summary.equal_budgets}"
    ]


def capital(text: str) -> str:
    """Return a text that begins a sentence."""
    return text[0].upper() + text[1:]
