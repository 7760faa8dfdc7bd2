from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from made_runs import counts

from craterbench.metrics.comparisons import holm, practical_verdict, rank_shares, simultaneous_intervals
from craterbench.metrics.intervals import Estimate, PairedDifference, ResampledScores, difference
from craterbench.metrics.metric import BALANCED_ACCURACY, LOSS
from craterbench.metrics.statistics import Statistics

SEEDS = (1, 2, 3)


def runs(name: str, skill: float, seeds=SEEDS, num_images=40) -> dict[int, Statistics]:
    return {seed: counts("images", (name, seed), skill, num_images) for seed in seeds}


def resampled(name: str, skill: float, seeds=SEEDS, metric=BALANCED_ACCURACY, **of) -> ResampledScores:
    return ResampledScores.of(runs(name, skill, seeds, **of), metric)


def made(correlation: np.ndarray, means=None, freedom=1e6) -> list[PairedDifference]:
    """Differences with standard errors of 1 whose deviations in the draws have exactly this correlation."""
    num = len(correlation)
    drawn = np.random.default_rng(3).standard_normal((num, 500))
    drawn -= drawn.mean(axis=1, keepdims=True)
    drawn = np.linalg.solve(np.linalg.cholesky(np.cov(drawn, bias=True)), drawn)
    values, vectors = np.linalg.eigh(correlation)
    drawn = (vectors * np.sqrt(np.maximum(values, 0))) @ drawn
    return [PairedDifference(mean, 1.0, freedom, row) for mean, row in zip(means or [0.0] * num, drawn, strict=True)]


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_the_closed_test_of_bonferroni(seed):
    """A difference is found if Bonferroni's test finds one in every set of differences that it is in."""
    generator = np.random.default_rng(seed)
    p = np.round(generator.uniform(0, 0.2, 6), 2).tolist()  # some are equal
    sets = [each for size in range(1, 7) for each in itertools.combinations(range(6), size)]
    expected = [max(min(1.0, len(s) * min(p[k] for k in s)) for s in sets if position in s) for position in range(6)]
    assert holm(p) == pytest.approx(expected, abs=1e-15)


def test_what_has_no_p_value_is_not_counted():
    first, nothing, second = holm([0.03, math.nan, 0.01])
    assert (first, second) == pytest.approx((0.03, 0.02))
    assert math.isnan(nothing)
    assert holm([]) == []


def test_p_values_and_probabilities_are_those_of_students_t():
    apart = resampled("dice", 0.83).minus(resampled("reference", 0.8))
    t = scipy.stats.t(apart.freedom, loc=0, scale=apart.error)
    assert apart.p_value == pytest.approx(2 * t.sf(abs(apart.mean)), rel=1e-9)
    assert apart.p_above == pytest.approx(t.cdf(apart.mean), rel=1e-9)
    assert apart.p_above > 0.5
    for level in (0.05, 0.01):
        low, high = scipy.stats.t.interval(1 - level, apart.freedom, loc=apart.mean, scale=apart.error)
        found = apart.interval_at(level)
        assert (found.low, found.high) == pytest.approx((low, high))
    assert apart.interval == difference(runs("dice", 0.83), runs("reference", 0.8))
    edge = PairedDifference(scipy.stats.t.ppf(0.975, 7), 1.0, 7.0, np.zeros(500))
    assert edge.p_value == pytest.approx(0.05)


def test_a_row_that_never_differs_is_as_probably_better_as_worse():
    same = resampled("reference", 0.8)
    apart = same.minus(same)
    assert (apart.p_value, apart.p_above) == (1.0, 0.5)
    assert simultaneous_intervals([apart, apart])[0] == Estimate(0.0, 0.0, 0.0)


@pytest.mark.parametrize("number", [2, 4, 9])
def test_independent_differences_are_corrected_as_sidak_does_and_equal_ones_not_at_all(number):
    reach = scipy.stats.norm.ppf(1 - (1 - 0.95 ** (1 / number)) / 2)
    for found in simultaneous_intervals(made(np.eye(number))):
        assert found.high == pytest.approx(reach, rel=0.02)
    for found in simultaneous_intervals(made(np.ones((number, number)))):
        assert found.high == pytest.approx(scipy.stats.norm.ppf(0.975), rel=0.02)


def test_differences_to_one_row_are_corrected_as_dunnett_does():
    correlation = np.full((5, 5), 0.5) + 0.5 * np.eye(5)
    (found, *_) = simultaneous_intervals(made(correlation))
    ends = np.full(5, found.high)
    all_inside = scipy.stats.multivariate_normal(cov=correlation).cdf(ends, lower_limit=-ends)
    assert all_inside == pytest.approx(0.95, abs=0.006)


def test_simultaneous_intervals_lie_between_those_of_one_and_bonferronis():
    reference = resampled("reference", 0.8)
    differences = [resampled(name, skill).minus(reference) for name, skill in (("a", 0.8), ("b", 0.82), ("c", 0.85))]
    for one, found in zip(differences, simultaneous_intervals(differences), strict=True):
        assert found.mean == one.mean
        assert one.interval.high < found.high <= one.interval_at(0.05 / 3).high


def test_a_difference_without_an_interval_does_not_count_among_the_others():
    unknown = PairedDifference(0.1, math.nan, math.nan, np.full(500, np.nan))
    known = made(np.eye(2))
    found = simultaneous_intervals([*known, unknown])
    assert found[:2] == simultaneous_intervals(known)
    assert not found[2].has_interval


def test_deviations_in_the_draws_have_the_standard_error_and_the_sign_of_the_difference():
    ours, theirs = resampled("dice", 0.83), resampled("reference", 0.8)
    there, back = ours.minus(theirs), theirs.minus(ours)
    assert there.deviations.std() == pytest.approx(there.error, rel=0.2)
    assert np.corrcoef(there.deviations, back.deviations)[0, 1] == pytest.approx(-1)
    longer = resampled("dice", 0.83, seeds=(1, 2, 3, 4)).minus(theirs)  # a seed that the other lacks is left out
    assert longer.interval == there.interval


@pytest.mark.parametrize("num_images", range(5, 45))
def test_seeds_that_all_score_alike_leave_the_spread_of_the_groups(num_images):
    mine, others = (
        dict.fromkeys(SEEDS, counts("images", (name, 1), skill, num_images))
        for name, skill in (("dice", 0.83), ("reference", 0.8))
    )
    apart = difference(mine, others)
    assert apart.mean == pytest.approx(mine[1].value(BALANCED_ACCURACY) - others[1].value(BALANCED_ACCURACY))
    assert apart.low < apart.mean < apart.high


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.006, 0.02, "better"),
        (0.004, 0.02, "undecided"),
        (-0.004, 0.004, "practically equal"),
        (0.001, 0.004, "practically equal"),
        (-0.006, 0.004, "undecided"),
        (-0.02, -0.006, "worse"),
        (math.nan, math.nan, None),
    ],
)
def test_a_verdict_is_where_the_interval_lies_beside_the_margin(low, high, said):
    assert practical_verdict(Estimate((low + high) / 2, low, high), 0.005) == said
    of_a_loss = {"better": "worse", "worse": "better"}.get(said, said)
    assert practical_verdict(Estimate((low + high) / 2, low, high), 0.005, greater_is_better=False) == of_a_loss


def brute_force(rows: list[dict[int, Statistics]], draws: int) -> np.ndarray:
    """Draw groups and seeds with replacement, add up what was drawn, and count ranks."""
    generator = np.random.default_rng(1)
    groups = rows[0][1].groups
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    found = np.zeros((len(rows), len(rows)))
    for _ in range(draws):
        images = np.concatenate([members[k] for k in generator.integers(len(members), size=len(members))])
        seeds = generator.choice(SEEDS, len(SEEDS))
        means = [
            np.mean(
                [BALANCED_ACCURACY(runs[seed].of_images("confusion")[images].sum(axis=0)[None])[0] for seed in seeds]
            )
            for runs in rows
        ]
        for rank, row in enumerate(sorted(range(len(rows)), key=lambda row: -means[row])):
            found[row, rank] += 1 / draws
    return found


def test_rank_shares_are_those_of_a_slow_bootstrap_of_groups_and_seeds():
    of = {"reference": 0.8, "twin": 0.805, "dice": 0.82, "poor": 0.7}
    shares = rank_shares([resampled(name, skill) for name, skill in of.items()])
    assert shares.sum(axis=0) == pytest.approx(np.ones(4))
    assert shares.sum(axis=1) == pytest.approx(np.ones(4))
    assert ((shares > 0.1) & (shares < 0.9)).sum() >= 4  # or there would be little to compare
    assert shares == pytest.approx(brute_force([runs(name, skill) for name, skill in of.items()], 1000), abs=0.09)


def test_equal_rows_share_their_ranks_and_a_small_loss_is_first():
    first, second = resampled("a", 0.8), resampled("b", 0.6)
    shares = rank_shares([first, first, second])
    assert shares == pytest.approx(np.array([[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]]))
    losses = [resampled("a", 0.8, metric=LOSS), resampled("b", 0.8, metric=LOSS)]
    up, down = (rank_shares(losses, greater_is_better=better) for better in (True, False))
    assert up[0] == pytest.approx(down[0][::-1])


def test_what_the_seeds_of_the_reference_do_moves_all_differences_to_it_together():
    skills = {1: 0.74, 2: 0.8, 3: 0.86}
    moved = {seed: counts("images", ("moved", seed), skill, 40) for seed, skill in skills.items()}
    reference = ResampledScores.of(moved, BALANCED_ACCURACY)
    differences = [resampled(name, 0.8).minus(reference) for name in ("a", "b")]
    for each in differences:
        assert each.deviations.std() == pytest.approx(each.error, rel=0.15)
    assert np.corrcoef(*(each.deviations for each in differences))[0, 1] > 0.9
    both = simultaneous_intervals(differences)[0].high - differences[0].mean
    assert both < 1.1 * (differences[0].interval.high - differences[0].mean)
