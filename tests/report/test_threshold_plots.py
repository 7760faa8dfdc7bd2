"""Curves over all thresholds: the points that are drawn are scikit-learn's."""

from __future__ import annotations

import numpy as np
from made_runs import run
from matplotlib.figure import Figure
from matplotlib.image import imread
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from craterbench.metrics.evaluator import Evaluator
from craterbench.metrics.histogram import EDGES
from craterbench.metrics.metric import Metrics
from craterbench.report.run_plots import draw_curves
from craterbench.report.table.table import tabulate
from craterbench.report.table.table_html import page
from craterbench.report.threshold_plots import draw_thresholds, has_curves


def scored() -> tuple[np.ndarray, np.ndarray, dict]:
    generator = np.random.default_rng(2)
    masks = (generator.random((8, 24, 24, 1)) < 0.3).astype(np.uint8)
    probabilities = (1 / (1 + np.exp(-generator.normal(3 * masks - 2.0, 1.2)))).astype(np.float32)
    evaluator = Evaluator(np.zeros(masks.shape, np.float32), masks, np.arange(8), Metrics())
    return masks.ravel(), probabilities.ravel().astype(np.float64), evaluator.count(probabilities).sums()


def test_the_points_of_the_curves_are_those_of_scikit_learn():
    truth, probabilities, sums = scored()
    panels = Figure().subplots(1, 3)
    draw_thresholds(panels, sums, "C0-")
    false_alarms, recall = (values[1:-1] for values in panels[0].lines[0].get_data())
    reached, precision = panels[1].lines[0].get_data()
    for edge, threshold in enumerate(EDGES):
        called = probabilities > threshold
        assert recall[edge] == reached[edge] == sk.recall_score(truth, called)
        assert np.isclose(false_alarms[edge], 1 - sk.recall_score(truth, called, pos_label=0), rtol=0, atol=1e-15)
        if called.any():
            assert precision[edge] == sk.precision_score(truth, called)
    at_half = probabilities > 0.5
    assert panels[1].lines[1].get_data()[0] == sk.recall_score(truth, at_half)
    shares, means = calibration_curve(truth, probabilities, n_bins=10)
    drawn = np.array(panels[2].lines[0].get_data())
    np.testing.assert_allclose(drawn[:, ~np.isnan(drawn[0])], [means, shares], rtol=1e-6)


def test_a_part_without_histograms_or_of_one_class_has_no_curves():
    _, _, sums = scored()
    assert has_curves(sums)
    assert not has_curves({name: each for name, each in sums.items() if name != "histogram"})
    empty = np.zeros((2, 8, 8, 1), np.uint8)
    counted = Evaluator(empty.astype(np.float32), empty, np.arange(2), Metrics()).count(empty + np.float32(0.2))
    assert not has_curves(counted.sums())


def test_the_picture_of_a_run_has_them_below_where_there_are_any(tmp_path):
    row = {"epoch": 1, "best": 1, "objective": 0.7, "training_loss": 0.6, "val_loss": 0.6}
    history = [row | {"training_balanced_accuracy": 0.5, "balanced_accuracy": 0.5}]
    heights = []
    for parts in ({}, {"validation": scored()[2]}):
        draw_curves(tmp_path / "curves.png", history, "title", parts=parts)
        heights.append(imread(tmp_path / "curves.png").shape[0])
    assert heights == [480, 960]


def test_the_page_draws_them_of_the_part_that_the_table_shows(store):
    run(store, "new", 1, skill=2.5, shift=0.0)
    run(store, "old", 1)
    for test, part in ((True, "test"), (False, "validation")):
        shown = page(tabulate(store, store.records()[0], test=test), store)
        section = shown[shown.index("<h2>Thresholds</h2>") :]
        assert f"On the {part} part" in section
        assert section.count("thresholds of new") == 1
        assert "thresholds of old" not in shown
