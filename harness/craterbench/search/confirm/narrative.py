"""What may be said of a confirmation, in plain sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from craterbench.metrics.metric import Metric
from craterbench.search.summary import ConfirmedScores, Score

__all__ = ["CandidateComparison", "SelectionBias", "sentences"]


@dataclass(frozen=True, kw_only=True)
class CandidateComparison:
    """A candidate and the reference.

    Attributes:
        reference: what the search began from.
        part: the part on which they are compared, ``test`` or, where there is none, ``validation``.
        smallest: the smallest true difference that the comparison would mostly find.
        same: whether the candidate is the reference's own setting.
        problem: why they cannot be compared, if they cannot: there is no difference then.
    """

    candidate: ConfirmedScores
    reference: ConfirmedScores
    part: str
    smallest: float = math.nan
    same: bool = False
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class SelectionBias:
    """How far the best of equal settings lies above their mean by chance alone, in units of the first objective.

    Attributes:
        sd: the standard deviation over seeds, pooled over settings, from which it follows.
        runs: how many runs this was taken from.
    """

    best: float
    sd: float
    runs: int


def sentences(
    compared: Sequence[CandidateComparison], *, objective: Metric, tried: int, selection_bias: SelectionBias | None
) -> list[str]:
    """Return what may be said, first whether the candidate beats the reference.

    Args:
        compared: what the search found, best first.
        objective: the first that the search aimed at.
        tried: how many settings the search had to choose from.
    """
    first, *others = compared
    said = [
        _verdict(first, f"the candidate, trial {first.candidate.trial},"),
        " ".join(
            [
                _found(first.candidate, objective),
                *_selection_bias(objective, tried, selection_bias),
                *_anew(first.candidate, objective),
            ]
        ),
    ]
    for other in others:
        of_it = [_found(other.candidate, objective), *_anew(other.candidate, objective)]
        said.append(" ".join([_verdict(other, f"trial {other.candidate.trial}"), *of_it]))
    if others:
        said.append(
            f"The search named its candidate before any of these {len(compared)} was trained anew. Whichever comes"
            " out best now is chosen once more, in part by chance, and its scores here flatter it again."
        )
    return said


def _verdict(compared: CandidateComparison, who: str) -> str:
    """Say whether a candidate beats the reference."""
    mine, other, difference = compared.candidate, compared.reference, compared.candidate.difference
    name = other.name.split()[0]
    reference = "the reference" if name == "reference" else name
    if compared.same:
        return f"{_capital(who)} is {reference}'s own setting: there is nothing that it could beat."
    if compared.problem is not None or difference is None:
        return f"It cannot be said whether {who} beats {reference}: {compared.problem}."
    on_test = compared.part == "test"
    scores = (mine.test, other.test) if on_test else (mine.validation, other.validation)
    number = len(mine.seeds)
    numbers = (
        f"balanced accuracy {' against '.join(_mean(score) for score in scores)} over {number} "
        f"{'seed' if number == 1 else 'seeds'}, a paired difference of {_with_interval(difference)}"
    )
    where = (
        "On the test part, which the search never saw,"
        if on_test
        else "The data have no test part. On the validation part, which chose the epochs and by which the search chose,"
    )
    unsure = f"{where} it cannot be told whether {who} beats {reference}: {numbers}"
    if number == 1:
        return f"{unsure}. An interval over one seed leaves out what another seed would change."
    if math.isnan(difference.low):
        return f"{unsure}. There are too few groups of images for an interval."
    if difference.high < 0:
        return f"{where} {who} is worse than {reference}: {numbers}."
    if difference.low > 0:
        if on_test:
            return f"{where} {who} beats {reference}: {numbers}."
        return f"{where} {who} is ahead of {reference}: {numbers}. Other images would probably show less of it."
    if compared.smallest > 0:
        unseen = f"a true difference below about {compared.smallest:.2g} would mostly go unseen"
        return f"{unsure}, and the interval holds 0. With these images and seeds {unseen}."
    return f"{unsure}: they score alike."


def _found(candidate: ConfirmedScores, objective: Metric) -> str:
    """Say what the search thought of a candidate."""
    assert candidate.found is not None
    had = f"a {objective.label} of {candidate.found:.4f}"
    return f"In the search trial {candidate.trial} had {had} on the validation part."


def _selection_bias(objective: Metric, tried: int, selection_bias: SelectionBias | None) -> list[str]:
    """Say how much of that a choice would give if all settings were equal."""
    if tried < 2:
        return []  # nothing was chosen from
    if selection_bias is None:
        return [f"How far chance alone carries the best of {tried} cannot be told: no setting has scores of two seeds."]
    return [
        f"Of {tried} equal settings the luckiest would come out {selection_bias.best:.4f} {_better(objective)} their "
        f"mean by chance alone; this goes by a standard deviation over seeds of {selection_bias.sd:.4f}, which "
        f"{selection_bias.runs} runs tell only "
        "roughly, and trials that were shorter than these runs may spread more."
    ]


def _anew(candidate: ConfirmedScores, objective: Metric) -> list[str]:
    """Say what became of it when it was trained anew."""
    score = candidate.on_validation(objective)
    return [] if score is None else [f"Trained anew it has {_mean(score)} on that part."]


def _better(objective: Metric) -> str:
    return "above" if objective.greater_is_better else "below"


def _mean(score: Score | None) -> str:
    assert score is not None
    return f"{score.mean:.4f}" if score.sd is None else f"{score.mean:.4f} ± {score.sd:.4f}"


def _with_interval(score: Score) -> str:
    if math.isnan(score.low):
        return f"{score.mean:+.4f}"
    return f"{score.mean:+.4f} [{score.low:+.4f}, {score.high:+.4f}]"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
