"""What follows from histograms of probabilities, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from craterbench.metrics import resampling
from craterbench.metrics.evaluator import Evaluator
from craterbench.metrics.histogram import EDGES, NUM_BINS, confusion_at, confusions
from craterbench.metrics.intervals import confidence_interval, difference
from craterbench.metrics.metric import TUNED, Metrics
from craterbench.metrics.statistics import Statistics
from craterbench.plugin import MetricSpec
from craterbench.plugin.builtin_metrics import BUILT_IN_METRICS

METRICS = Metrics()


def count(masks: np.ndarray, probabilities: np.ndarray) -> Statistics:
    images = np.zeros(masks.shape, np.float32)
    return Evaluator(images, masks, np.arange(len(masks)), METRICS).count(probabilities)


def part(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return masks and what a network of some skill predicts: sharp or soft, shifted, some images empty or full."""
    generator = np.random.default_rng(seed)
    masks = (generator.random((20, 32, 32, 1)) < generator.uniform(0.05, 0.6)).astype(np.uint8)
    masks[0], masks[1] = 0, seed % 2
    skill, sharpness, shift = generator.uniform(0, 3), generator.uniform(0.3, 3), generator.uniform(-3, 3)
    logits = sharpness * (generator.standard_normal(masks.shape) + skill * (masks - 0.5)) + shift
    return masks, (1 / (1 + np.exp(-logits))).astype(np.float32)


PARTS = range(200)


def test_areas_under_curves_are_those_of_scikit_learn_to_a_thousandth():
    apart = []
    for seed in PARTS:
        masks, probabilities = part(seed)
        statistics = count(masks, probabilities)
        truth, scores = masks.ravel(), probabilities.ravel()
        apart.append(
            [
                statistics.value(METRICS.get("auroc")) - sk.roc_auc_score(truth, scores),
                statistics.value(METRICS.get("average_precision")) - sk.average_precision_score(truth, scores),
            ]
        )
    auroc, precision = np.abs(apart).max(axis=0)
    assert auroc < 1e-3
    assert precision < 3e-3


def test_a_network_that_is_all_but_certain_keeps_its_ranks():
    """As one that the Dice loss trained: probabilities go down to what float32 cannot tell from 0, and up to 1."""
    for seed in range(20):
        generator = np.random.default_rng(seed)
        masks = (generator.random((20, 32, 32, 1)) < 0.3).astype(np.uint8)
        logits = generator.uniform(10, 30) * (generator.standard_normal(masks.shape) + 1.5 * masks - 1.2)
        probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
        assert np.median(probabilities) < 1e-3
        area = sk.roc_auc_score(masks.ravel(), probabilities.ravel())
        assert count(masks, probabilities).value(METRICS.get("auroc")) == pytest.approx(area, abs=1e-3)


def test_a_network_that_ranks_by_chance_or_perfectly_or_says_one_thing_has_the_exact_area():
    masks = np.zeros((2, 4, 4, 1), np.uint8)
    masks[:, :2] = 1
    for probabilities, area in ((0.9 * masks + 0.05, 1.0), (0.95 - 0.9 * masks, 0.0), (0.0 * masks + 0.3, 0.5)):
        assert count(masks, probabilities.astype(np.float32)).value(METRICS.get("auroc")) == area


@pytest.mark.parametrize("name", ["auroc", "average_precision"])
def test_a_part_of_one_class_has_no_curve(name):
    empty = np.zeros((2, 4, 4, 1), np.uint8)
    for masks in (empty, 1 - empty):
        assert np.isnan(count(masks, np.full(masks.shape, 0.4, np.float32)).value(METRICS.get(name)))


def test_the_brier_score_is_that_of_scikit_learn_and_so_are_the_bins_of_the_calibration_error():
    for seed in PARTS:
        masks, probabilities = part(seed)
        statistics = count(masks, probabilities)
        truth, scores = masks.ravel(), probabilities.ravel().astype(np.float64)
        assert statistics.value(METRICS.get("brier")) == pytest.approx(sk.brier_score_loss(truth, scores), rel=1e-12)
        tenth = np.minimum((scores * 10).astype(int), 9)
        error = sum(abs((truth - scores)[tenth == each].sum()) for each in range(10)) / truth.size
        assert statistics.value(METRICS.get("ece")) == pytest.approx(error, rel=1e-9, abs=1e-12)


def test_the_confusion_at_every_edge_is_that_of_the_pixels_and_at_a_half_that_of_the_evaluator():
    assert EDGES[NUM_BINS // 2 - 1] == 0.5
    for seed in range(20):
        masks, probabilities = part(seed)
        statistics = count(masks, probabilities)
        histogram, truth = statistics.pooled("histogram"), masks.ravel() == 1
        found = confusions(histogram)
        for edge, threshold in enumerate(EDGES):
            called = probabilities.ravel().astype(np.float64) > threshold
            cells = (truth & called, ~truth & called, truth & ~called, ~truth & ~called)
            assert found[edge].tolist() == confusion_at(histogram, edge).tolist() == [int(cell.sum()) for cell in cells]
        at_half = statistics.at_threshold(NUM_BINS // 2 - 1).arrays["confusion"]
        assert np.array_equal(at_half, statistics.arrays["confusion"])


def test_probabilities_on_an_edge_are_below_it_as_those_of_a_half_are_no_crater():
    masks = np.ones((1, 1, len(EDGES), 1), np.uint8)
    on_edges = EDGES.astype(np.float32).reshape(masks.shape)
    above = np.nextafter(on_edges, np.float32(1))
    for probabilities in (on_edges, above):
        histogram = count(masks, probabilities).pooled("histogram")
        for edge, threshold in enumerate(EDGES):
            assert confusion_at(histogram, edge)[0] == (probabilities.astype(np.float64) > threshold).sum()


def test_histograms_add_up():
    masks, probabilities = part(3)
    whole = count(masks, probabilities)
    halves = [count(masks[rows], probabilities[rows]) for rows in (slice(0, 7), slice(7, 20))]
    assert np.array_equal(Statistics.concatenate(halves).arrays["histogram"], whole.arrays["histogram"])
    assert np.array_equal(sum(half.pooled("histogram") for half in halves), whole.pooled("histogram"))


@pytest.mark.parametrize("name", ["balanced_accuracy", "dice", "iou"])
def test_a_tuned_metric_has_the_threshold_that_is_best_on_validation(name):
    metric = METRICS.get(f"{name}_tuned")
    of = {"balanced_accuracy": sk.balanced_accuracy_score, "dice": sk.f1_score, "iou": sk.jaccard_score}[name]
    for seed in range(6):
        (masks, probabilities), (others, predicted) = part(2 * seed + 1), part(2 * seed + 1001)
        validation, test = count(masks, probabilities).sums(), count(others, predicted).sums()
        values = [of(masks.ravel(), probabilities.ravel().astype(np.float64) > edge) for edge in EDGES]
        edge = metric.best_edge(validation)
        assert values[edge] == max(values)
        called = predicted.ravel().astype(np.float64) > EDGES[edge]
        assert metric.score_part(test, "test", edge=edge) == of(others.ravel(), called)
        assert metric.score_part(validation, "validation", edge=edge) is None  # there it would flatter
        assert metric.score(validation) == max(values)  # what a search on it goes by


def test_of_thresholds_that_are_alike_the_one_next_to_a_half_is_taken():
    masks = np.zeros((1, 4, 4, 1), np.uint8)
    masks[:, :2] = 1
    sums = count(masks, (0.98 * masks + 0.01).astype(np.float32)).sums()
    assert EDGES[TUNED.best_edge(sums)] == 0.5


def test_what_has_no_histogram_or_one_of_other_bins_has_no_tuned_score():
    masks, probabilities = part(1)
    sums = count(masks, probabilities).sums()
    lacking = {name: each for name, each in sums.items() if name != "histogram"}
    other = {**sums, "histogram": [each[:200] for each in sums["histogram"]]}
    for without in (lacking, other):
        assert TUNED.best_edge(without) is None
        assert TUNED.score_part(without, "test", edge=TUNED.best_edge(sums)) is None
        assert TUNED.score_part(sums, "test", edge=TUNED.best_edge(without)) is None
    assert METRICS.get("auroc").score(other) is None


def test_crater_pixels_are_what_an_image_weighs_in_a_curve():
    (auroc,) = (spec for spec in BUILT_IN_METRICS if spec.name == "auroc")
    assert auroc.weight == tuple(range(NUM_BINS, 2 * NUM_BINS))


def test_a_tuned_metric_of_a_plugin_needs_the_histogram():
    with pytest.raises(ValueError, match="metric 'f2_tuned': a tuned metric needs statistic='histogram'"):
        MetricSpec(
            name="f2_tuned", summary="s", statistic="confusion", formula="a:b", greater_is_better=True, tuned=True
        )


@pytest.mark.parametrize("name", ["auroc", "average_precision", "balanced_accuracy_tuned", "ece", "brier"])
def test_intervals_follow_from_drawing_groups(name):
    """Two networks of two seeds on one part; the oracle draws groups and adds up what was drawn."""
    metric = METRICS.get(name)
    generator = np.random.default_rng(11)
    masks = (generator.random((30, 16, 16, 1)) < 0.3).astype(np.uint8)
    groups = np.repeat(np.arange(10), 3)
    hard = generator.standard_normal(10)[groups][:, None, None, None]

    def network(skill: float) -> Statistics:
        logits = (skill + 0.7 * hard) * (masks - 0.5) + generator.standard_normal(masks.shape)
        probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
        counted = Evaluator(np.zeros(masks.shape, np.float32), masks, groups, METRICS).count(probabilities)
        return counted.at_threshold(60) if metric.tuned else counted

    at = metric.at_threshold if metric.tuned else metric
    runs, others = ({seed: network(skill) for seed in range(2)} for skill in (2.0, 1.5))
    found = difference(runs, others, at)
    apart = [runs[seed].value(at) - others[seed].value(at) for seed in range(2)]
    assert found.mean == pytest.approx(np.mean(apart), rel=1e-9)
    assert found.low < found.mean < found.high
    drawn = []
    for _ in range(400):
        rows = np.concatenate([np.flatnonzero(groups == group) for group in generator.integers(10, size=10)])
        sides = [[take(run, rows).value(at) for run in side.values()] for side in (runs, others)]
        drawn.append(np.mean(sides[0]) - np.mean(sides[1]))
    sample = resampling.Sample.of([*runs.values(), *others.values()], at)
    values = resampling.draw_scores(sample)
    ours = (values[:, :2] - values[:, 2:])[1 + len(masks) :].mean(axis=1)
    assert ours.std() == pytest.approx(np.std(drawn), rel=0.15)
    one = confidence_interval(list(runs.values()), at)
    assert 0 < one.low < one.mean < one.high < 1


def take(counts: Statistics, rows: np.ndarray) -> Statistics:
    return Statistics({name: array[rows] for name, array in counts.arrays.items()}, counts.groups[rows])
