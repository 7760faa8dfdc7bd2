from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.special import logit, stdtrit
from scored import made

from craterbench.metrics import resampling
from craterbench.metrics.intervals import Estimate, confidence_interval, difference, minimum_detectable_difference
from craterbench.metrics.metric import BALANCED_ACCURACY, LOSS, Metrics
from craterbench.metrics.statistics import Statistics

METRICS = [metric for metric in Metrics() if metric.statistic in ("confusion", "cross_entropy")]
SENSITIVITY = Metrics().get("sensitivity")
SIZES = (9, 6, 5, 3, 3, 3, 2, 2, 2, 2, 1, 1)


def draw(
    generator: np.random.Generator, sizes=SIZES, seeds=3, seed_effect=0.3, own=0.2
) -> tuple[dict[int, Statistics], dict[int, Statistics]]:
    """Two benchmarks on the same images: what is hard for one is hard for the other."""
    groups = np.repeat(np.arange(len(sizes)) * 7, sizes)
    craters = generator.integers(100, 500, len(groups))
    background = 2304 - craters
    hard = np.repeat(generator.standard_normal((len(sizes), 2)), sizes, axis=0)
    sides = []
    for _ in range(2):
        harder = hard + own * np.repeat(generator.standard_normal((len(sizes), 2)), sizes, axis=0)
        runs = {}
        for seed in range(seeds):
            logits = [1.5, 3.0] + harder + seed_effect * generator.standard_normal(2)
            logits = logits + 0.5 * generator.standard_normal(logits.shape)
            found, left = np.rint(np.stack([craters, background], axis=1) / (1 + np.exp(-logits))).astype(int).T
            cells = np.stack([found, background - left, craters - found, left], axis=-1)
            confusion = np.stack([cells // 3, cells - cells // 3], axis=1)
            entropy = confusion[..., 1] + confusion[..., 2] * 0.7
            runs[seed] = made(confusion, entropy.astype(float), groups)
        sides.append(runs)
    return sides[0], sides[1]


def some(*rows: tuple[int, int, int, int], groups=None) -> Statistics:
    """Counts of one image a row."""
    confusion = np.zeros((len(rows), 2, 4), np.int64)
    confusion[:, 1] = rows
    numbers = np.arange(len(rows)) if groups is None else np.array(groups)
    return made(confusion, np.ones((len(rows), 2)), numbers)


def take(counts: Statistics, rows: np.ndarray) -> Statistics:
    return Statistics({name: array[rows] for name, array in counts.arrays.items()}, counts.groups[rows])


def resampled(generator, runs, others, metric, draws, groups_drawn=True, seeds_drawn=True) -> float:
    """The variance of the mean difference, by drawing groups and seeds and adding up what was drawn."""
    groups = runs[0].groups
    rows_of = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    seeds, means = sorted(runs), []
    for _ in range(draws):
        drawn = generator.integers(len(rows_of), size=len(rows_of)) if groups_drawn else range(len(rows_of))
        rows = np.concatenate([rows_of[group] for group in drawn])
        chosen = generator.choice(seeds, len(seeds)) if seeds_drawn else seeds
        apart = {s: take(runs[s], rows).value(metric) - take(others[s], rows).value(metric) for s in set(chosen)}
        means.append(np.mean([apart[s] for s in chosen]))
    return float(np.var(means))


@pytest.mark.parametrize("metric", [BALANCED_ACCURACY, LOSS], ids=lambda metric: metric.name)
def test_the_spread_of_the_draws_is_that_of_a_slow_bootstrap_of_two_levels(metric):
    generator = np.random.default_rng(5)
    runs, others = draw(generator, seeds=4)
    sample = resampling.Sample.of([*runs.values(), *others.values()], metric)
    values = resampling.draw_scores(sample)
    apart = values[:, :4] - values[:, 4:]
    seen, drawn = apart[0], apart[1 + sample.images.shape[1] :]
    assert seen == pytest.approx([runs[s].value(metric) - others[s].value(metric) for s in range(4)], rel=1e-12)
    # of the mean of 4 seeds drawn from 4: the variance of the mean over seeds, and a fourth of that between them
    two_levels = drawn.mean(axis=1).var() + drawn.var(axis=1).mean() / 4
    assert two_levels == pytest.approx(resampled(generator, runs, others, metric, 500), rel=0.25)
    assert drawn.mean(axis=1).var() == pytest.approx(
        resampled(generator, runs, others, metric, 500, seeds_drawn=False), rel=0.25
    )


@pytest.mark.parametrize("seed", range(4))
def test_for_equal_groups_it_is_the_variance_of_a_two_way_table_and_the_t_of_its_levels(seed):
    """Each group one image with 100 crater pixels: sensitivity is a mean over a table of seeds and groups."""
    normal = np.random.default_rng(seed).standard_normal
    num_seeds, num_groups = 4, 6
    table = np.clip(60 + 4 * normal((1, 6)) + 5 * normal((4, 1)) + 9 * normal((4, 6)), 0, 100).astype(int)
    runs = {s: some(*((tp, 0, 100 - tp, 2204) for tp in row)) for s, row in enumerate(table)}
    never = {s: some(*((0, 0, 100, 2204) for _ in row)) for s, row in enumerate(table)}
    rates = table / 100
    by_group, by_seed = rates.mean(axis=0).var(ddof=1) / num_groups, rates.mean(axis=1).var(ddof=1) / num_seeds
    rest = rates - rates.mean(axis=0) - rates.mean(axis=1, keepdims=True) + rates.mean()
    in_both = (rest**2).sum() / (num_seeds - 1) / (num_groups - 1) / rates.size
    variance = by_group + max(by_seed - in_both, 0)
    freedom = variance**2 / (by_group**2 / (num_groups - 1) + by_seed**2 / (num_seeds - 1))
    freedom = max(freedom, min(num_groups, num_seeds) - 1)
    found = difference(runs, never, SENSITIVITY)
    assert found.mean == pytest.approx(rates.mean())
    assert found.high - found.mean == pytest.approx(stdtrit(freedom, 0.975) * math.sqrt(variance), rel=0.05)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)
    ratio = minimum_detectable_difference(runs, never, SENSITIVITY) / (found.high - found.mean)
    assert ratio == pytest.approx(1 + stdtrit(freedom, 0.8) / stdtrit(freedom, 0.975), rel=0.01)


def test_images_that_repeat_each_other_say_no_more_than_one():
    """A group of equal images is as one image with the pixels of all."""
    generator = np.random.default_rng(16)
    pieces = [(int(tp), 5, 50 - int(tp), 200) for tp in generator.integers(20, 45, 9)]
    sizes = [12, 7, 4, 3, 2, 2, 2, 1, 1]
    many = some(*(row for row, size in zip(pieces, sizes, strict=True) for _ in range(size)),
                groups=np.repeat(np.arange(9), sizes))  # fmt: skip
    few = some(*(tuple(size * cell for cell in row) for row, size in zip(pieces, sizes, strict=True)))
    assert dataclasses.astuple(confidence_interval([many])) == pytest.approx(
        dataclasses.astuple(confidence_interval([few]))
    )


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_means_are_those_of_the_pooled_scores_and_lie_inside(metric):
    runs, others = draw(np.random.default_rng(7))
    found, other = confidence_interval(list(runs.values()), metric), confidence_interval(list(others.values()), metric)
    assert found.mean == pytest.approx(np.mean([run.value(metric) for run in runs.values()]), rel=1e-12)
    assert 0 < found.low < found.mean < found.high
    assert found.high < 1
    above, below = found.high - found.mean, found.mean - found.low
    more, less = (above, below) if metric == LOSS or found.mean < 0.5 else (below, above)
    assert more > 1.001 * less  # further from the nearer bound
    apart = difference(runs, others, metric)
    assert apart.mean == pytest.approx(found.mean - other.mean, abs=1e-12)
    assert apart.low < apart.mean < apart.high
    assert found == confidence_interval(list(runs.values()), metric)


def test_neither_the_order_of_images_nor_the_names_of_groups_moves_an_interval():
    runs, others = draw(np.random.default_rng(8))
    rows = np.random.default_rng(1).permutation(len(runs[0].groups))
    mixed = [{s: take(c, rows) for s, c in side.items()} for side in (runs, others)]
    assert difference(*mixed) == difference(runs, others)
    named = [{s: dataclasses.replace(c, groups=c.groups + 100) for s, c in side.items()} for side in (runs, others)]
    assert difference(*named) == difference(runs, others)


def test_a_run_does_not_differ_from_itself():
    runs, _ = draw(np.random.default_rng(9))
    for metric in METRICS:
        assert difference(runs, runs, metric) == Estimate(0.0, 0.0, 0.0)
    assert minimum_detectable_difference(runs, runs) == 0.0


def test_pairing_narrows_the_interval_where_the_same_images_are_hard():
    runs, others = draw(np.random.default_rng(10), sizes=(3,) * 30, seeds=6, seed_effect=0.1, own=0.1)
    apart = difference(runs, others)
    alone = [confidence_interval(list(side.values())) for side in (runs, others)]
    unpaired = math.hypot(*(one.high - one.low for one in alone))
    assert apart.high - apart.low < unpaired / 2


def test_only_shared_seeds_are_compared():
    runs, others = draw(np.random.default_rng(11), seeds=4)
    ours, theirs = {s: runs[s] for s in (0, 1, 2)}, {s: others[s] for s in (1, 2, 3)}
    assert difference(ours, theirs) == difference({s: runs[s] for s in (1, 2)}, {s: others[s] for s in (2, 1)})
    assert difference({0: runs[0]}, {1: others[1]}) is None
    assert math.isnan(minimum_detectable_difference({0: runs[0]}, {1: others[1]}))


def test_other_images_are_refused():
    runs, others = draw(np.random.default_rng(12))
    shorter = {s: take(c, np.arange(5)) for s, c in others.items()}
    with pytest.raises(ValueError, match="same images"):
        difference(runs, shorter)
    with pytest.raises(ValueError, match="same images"):
        minimum_detectable_difference(runs, shorter)
    with pytest.raises(ValueError, match="same images"):
        confidence_interval([runs[0], shorter[0]])
    with pytest.raises(ValueError, match="crater pixels"):
        confidence_interval([some((5, 1, 5, 9), (4, 1, 4, 9)), some((5, 1, 5, 9), (4, 1, 5, 9))])
    with pytest.raises(ValueError, match="no run"):
        confidence_interval([])


def test_folds_are_added_up():
    runs, _ = draw(np.random.default_rng(13))
    first = runs[0].groups < 20
    parts = [take(runs[0], np.flatnonzero(first)), take(runs[0], np.flatnonzero(~first))]
    whole = Statistics.concatenate(parts)
    assert whole.sums() == runs[0].sums()
    assert confidence_interval([whole]) == confidence_interval([runs[0]])


def test_one_seed_has_the_spread_of_groups_alone():
    runs, _ = draw(np.random.default_rng(14), seeds=3, seed_effect=0.8)
    one, all_of_them = confidence_interval([runs[0]]), confidence_interval(list(runs.values()))
    assert 0 < one.high - one.low < all_of_them.high - all_of_them.low


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_of_one_group_nothing_is_known_but_the_mean(metric):
    one = some((40, 5, 10, 200), (30, 9, 20, 190), groups=[3, 3])
    two = some((45, 5, 5, 200), (35, 9, 15, 190), groups=[3, 3])
    found = confidence_interval([one, two], metric)
    assert found.mean == pytest.approx((one.value(metric) + two.value(metric)) / 2)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    apart = difference({1: one}, {1: two}, metric)
    assert math.isnan(apart.low)
    assert math.isnan(minimum_detectable_difference({1: one}, {1: two}, metric))


def test_craters_in_one_group_alone_say_nothing_about_other_craters():
    counts = some((40, 5, 10, 200), (0, 9, 0, 190), (0, 20, 0, 180))
    assert math.isnan(confidence_interval([counts], SENSITIVITY).low)
    assert math.isnan(confidence_interval([counts]).low)
    assert (
        confidence_interval([counts], Metrics().get("specificity")).low
        < confidence_interval([counts], Metrics().get("specificity")).mean
    )


def test_draws_without_craters_are_left_out():
    """One draw in twelve has none; its balanced accuracy would be the specificity alone, 1 and not 0.75."""
    counts = some(*[(50, 0, 50, 200)] * 2, *[(0, 0, 0, 300)] * 6)
    assert confidence_interval([counts]) == Estimate(0.75, 0.75, 0.75)
    assert confidence_interval([counts], Metrics().get("iou")) == Estimate(0.5, 0.5, 0.5)


def test_scores_without_a_value_have_no_interval():
    """No crater anywhere: sensitivity is NaN; the others take the values that metrics.py says."""
    counts = [some(*[(0, wrong, 0, 300)] * 2, (0, 9, 0, 290)) for wrong in (5, 7)]
    assert math.isnan(confidence_interval(counts, SENSITIVITY).mean)
    assert math.isnan(confidence_interval(counts, SENSITIVITY).low)
    apart = difference({1: counts[0]}, {1: counts[1]}, SENSITIVITY)
    assert math.isnan(apart.mean)
    assert math.isnan(apart.high)
    assert confidence_interval(counts).mean == pytest.approx(
        np.mean([one.value(Metrics().get("specificity")) for one in counts])
    )


def test_a_score_that_never_varies_is_sure():
    """A constant answer, whatever the seed and the images."""
    constant = [some(*[(0, 0, 100, 200)] * 5)] * 3
    assert confidence_interval(constant) == Estimate(0.5, 0.5, 0.5)
    assert confidence_interval(constant, SENSITIVITY) == Estimate(0.0, 0.0, 0.0)
    assert confidence_interval(constant, Metrics().get("specificity")) == Estimate(1.0, 1.0, 1.0)


def test_the_intervals_hold_the_truth():
    """Of 300 data sets, with 4 seeds and 12 groups of unequal sizes; benchmarks/harness/coverage has the rest."""
    generator = np.random.default_rng(15)
    points, weights = np.polynomial.hermite_e.hermegauss(61)
    spread = math.sqrt(1.0 + 0.2**2 + 0.3**2 + 0.5**2)
    truth = sum(
        float((weights / (1 + np.exp(-middle - spread * points))).sum() / weights.sum()) / 2 for middle in (1.5, 3.0)
    )
    held = np.zeros(2)
    for _ in range(300):
        runs, others = draw(generator, seeds=4)
        mean, apart = confidence_interval(list(runs.values())), difference(runs, others)
        held += (mean.low <= truth <= mean.high, apart.low <= 0 <= apart.high)
    assert (held / 300 > 0.92).all(), held
    assert (held / 300 < 0.99).all(), held


def test_a_mean_is_less_sure_than_its_difference_to_a_constant_where_groups_are_of_unequal_sizes():
    """The interval of a mean takes images of a group to be more alike than they seem, half way to being the same."""
    sizes = np.array([40, 3, 3, 3, 2, 2, 1])
    generator = np.random.default_rng(3)
    tp = generator.binomial(100, np.clip(0.6 + 0.1 * generator.standard_normal(sizes.sum()), 0, 1))
    groups = np.repeat(np.arange(len(sizes)), sizes)
    runs = {0: some(*((hit, 0, 100 - hit, 2204) for hit in tp), groups=groups)}
    never = {0: some(*((0, 0, 100, 2204) for _ in tp), groups=groups)}
    mean, apart = confidence_interval([runs[0]], SENSITIVITY), difference(runs, never, SENSITIVITY)
    reach = (logit(mean.high) - logit(mean.mean)) * mean.mean * (1 - mean.mean)

    weights = sizes / sizes.sum()

    def quadratic(alike):
        """Return what share of the variance a bootstrap finds, and its degrees of freedom, by drawing group scores."""
        variances = alike + (1 - alike) / sizes
        scores = generator.standard_normal((200_000, len(sizes))) * np.sqrt(variances)
        found = (weights**2 * (scores - scores @ weights[:, None]) ** 2).sum(axis=1)
        return found.mean() / (weights**2 * variances).sum(), 2 * found.mean() ** 2 / found.var()

    alike = resampling.intraclass_correlation(leave_one_out(tp), resampling.Sample.of([runs[0]], SENSITIVITY))
    (share, freedom), (less, fewer) = quadratic(alike), quadratic((1 + alike) / 2)
    ratio = stdtrit(fewer, 0.975) / stdtrit(freedom, 0.975) * math.sqrt(share / less)
    assert ratio > 1.1
    assert reach / (apart.high - apart.mean) == pytest.approx(ratio, rel=0.03)


def leave_one_out(values):
    return (values.sum() - values) / (len(values) - 1) / 100
