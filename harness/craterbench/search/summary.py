"""What a study has found, in plain values: for the progress, the page and the files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from craterbench.metrics.intervals import Estimate
from craterbench.metrics.metric import BALANCED_ACCURACY, LOSS, Metric

__all__ = ["Confirmation", "ConfirmedScores", "Progress", "StudySummary", "Trial"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run of the search.

    Attributes:
        state: ``waiting``, ``running``, ``complete``, ``pruned`` or ``failed``.
        parameters: what was tried, by the name that the space has for it; some depend on others and are left out.
        values: one for each objective, of the best epoch; empty as long as none is known. A pruned trial has what it
            had reached.
        curve: what it had reached (the first objective) after each epoch.
        record: the id of its record, in the study's folder.
        reason: why it failed.
        retry_of: the number of the trial whose worker died and whose parameters are tried once more.
    """

    number: int
    state: str
    parameters: Mapping[str, Any]
    values: Sequence[float] = ()
    curve: Sequence[float] = ()
    epochs: int = 0
    seconds: float | None = None
    record: str | None = None
    reason: str | None = None
    retry_of: int | None = None


@dataclass(frozen=True, kw_only=True)
class ConfirmedScores:
    """A config that was confirmed on seeds that the search had not used: a candidate, or the reference.

    Attributes:
        name: its row in the table.
        trial: the number of the trial that found it; ``None`` for the reference.
        runs: the ids of its runs, one a seed; empty in what older versions kept.
        found: what that trial had reached in the search: the first objective, on the validation part.
        validation: balanced accuracy.
        val_loss: the loss of the same images.
        objective: the first objective on the same images, where it is neither of the two.
        test: balanced accuracy on the test part; ``None`` where the data have none.
        tuned: balanced accuracy on the test part at the thresholds that the validation part chose, one a seed.
        difference: on the test part (on the validation part where there is none), to the reference, paired;
            ``None`` for the reference itself.
        difference_tuned: on the test part, at those thresholds, if there is one at 0.5.
        problem: why it has no scores, if it has none: the scores are ``None`` then.
        smallest: of a candidate, the smallest true difference that its comparison would mostly find.
        same: whether a candidate is the reference's own config.
        incomparable: why a candidate has no difference, if it has none.
    """

    name: str
    trial: int | None
    seeds: Sequence[int]
    runs: Sequence[str] = ()
    found: float | None = None
    validation: Estimate | None = None
    val_loss: Estimate | None = None
    objective: Estimate | None = None
    test: Estimate | None = None
    tuned: Estimate | None = None
    difference: Estimate | None = None
    difference_tuned: Estimate | None = None
    problem: str | None = None
    smallest: float | None = None
    same: bool = False
    incomparable: str | None = None

    def on_validation(self, objective: Metric) -> Estimate | None:
        """Return the first objective of the search on the validation part."""
        return {BALANCED_ACCURACY: self.validation, LOSS: self.val_loss}.get(objective, self.objective)


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The candidates and the reference, trained again on fresh seeds.

    Attributes:
        rows: the candidates, best first, then the reference.
        selection_bias: how far the best of so many equal configs lies above their mean by chance alone, in units
            of the first objective; ``None`` where no spread over seeds is known.
        tried: how many trials the search had to choose from then.
        part: the part on which candidates and reference are compared: ``test`` or, where there is none, ``validation``.
        seed_sd: the standard deviation over seeds, pooled over configs, from which the selection bias follows.
        runs: how many runs this was taken from.
        unvaried: what sets the best candidate apart from the reference although the search did not vary it: its value
            and the reference's, by key.
        lines: what older versions said of it, and kept; now that is said where it is shown.
    """

    rows: Sequence[ConfirmedScores]
    selection_bias: float | None
    tried: int
    part: str = "test"
    seed_sd: float | None = None
    runs: int = 0
    unvaried: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    lines: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class StudySummary:
    """A study as it is now.

    Attributes:
        settings: its config in words: benchmark, framework, epochs, sampler, pruner and so on.
        objectives: what the search aims at, the first first.
        wanted: how many trials there are to be, complete or pruned.
        importances: how much each parameter matters for being among the best in the first objective, as shares of 1;
            empty where it is not known.
        logarithmic: the parameters that are tried on a logarithmic scale.
        front: the numbers of the trials of which none is better in every objective; with one objective, of the best.
        equal_budgets: the command that gives what the candidates are compared with as many trials; ``None`` in a sweep
            of several, where each has them.
    """

    name: str
    settings: Mapping[str, str]
    objectives: Sequence[Metric]
    wanted: int
    trials: Sequence[Trial]
    importances: Mapping[str, float] = field(default_factory=dict)
    logarithmic: Collection[str] = ()
    front: Sequence[int] = ()
    confirmation: Confirmation | None = None
    equal_budgets: str | None = None
    notes: Sequence[str] = ()


class Progress(Protocol):
    """Shows a search as it goes."""

    def trial(self, trial: Trial, *, most: int) -> None:
        """Show a trial as it is now, of at most so many epochs; called at its start, after each epoch, at its end."""

    def progress(self, *, done: int, wanted: int, best: Trial | None, workers: int, left: float | None) -> None:
        """Show how many trials are complete or pruned, the best so far, and about how many seconds are left."""

    def log(self, line: str) -> None:
        """Show a line."""
