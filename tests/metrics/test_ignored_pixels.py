"""Pixels whose mask is IGNORED are in no statistic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scored import scores as scores_of
from sklearn import metrics as sk

from craterbench.data.dataset import IGNORED
from craterbench.metrics.evaluator import CLIP, Evaluator, rim
from craterbench.metrics.metric import Metrics
from craterbench.metrics.statistics import Statistics

SHAPE = (3, 8, 8, 1)

masks_drawn = hnp.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, IGNORED]))
probabilities_drawn = hnp.arrays(
    np.float32, SHAPE, elements=st.sampled_from([0.0, 1e-9, 0.2, 0.5, np.nextafter(np.float32(0.5), np.float32(1)), 1])
)


def count(masks: np.ndarray, probabilities: np.ndarray) -> Statistics:
    return Evaluator(np.zeros(masks.shape, np.float32), masks, np.arange(len(masks)), Metrics()).count(probabilities)


@settings(max_examples=40, deadline=None)
@given(masks_drawn.filter(lambda m: {0, 1} <= set(m.ravel().tolist())), probabilities_drawn)
def test_scores_are_scikit_learns_where_ignored_pixels_have_no_weight(masks, probabilities):
    scores = scores_of(count(masks, probabilities))
    truth, called = (masks == 1).ravel(), (probabilities > 0.5).ravel()
    weights = (masks != IGNORED).ravel().astype(float)
    assert scores["balanced_accuracy"] == pytest.approx(
        sk.balanced_accuracy_score(truth, called, sample_weight=weights), rel=1e-13
    )
    assert scores["iou"] == pytest.approx(sk.jaccard_score(truth, called, sample_weight=weights), rel=1e-13)
    assert scores["dice"] == pytest.approx(sk.f1_score(truth, called, sample_weight=weights), rel=1e-13)
    clipped = np.clip(probabilities.astype(np.float64), CLIP, 1 - CLIP).ravel()
    assert scores["loss"] == pytest.approx(sk.log_loss(truth, clipped, sample_weight=weights), rel=1e-12)
    brier = sk.brier_score_loss(truth, probabilities.astype(np.float64).ravel(), sample_weight=weights)
    assert scores["brier"] == pytest.approx(brier, rel=1e-12, abs=1e-15)
    assert scores["num_pixels"] == weights.sum()


@settings(max_examples=20, deadline=None)
@given(masks_drawn, probabilities_drawn, probabilities_drawn)
def test_what_is_predicted_for_ignored_pixels_moves_no_statistic(masks, probabilities, others):
    ones = count(masks, probabilities)
    moved = count(masks, np.where(masks == IGNORED, others, probabilities))
    assert ones.arrays.keys() >= {"histogram", "calibration", "boundary", "objects", "image_overlap"}
    for name, array in ones.arrays.items():
        np.testing.assert_array_equal(moved.arrays[name], array, err_msg=name)


def test_whole_rows_that_are_ignored_leave_the_statistics_of_the_others():
    generator = np.random.default_rng(0)
    masks = (generator.random((4, 10, 12, 1)) > 0.7).astype(np.uint8)
    probabilities = generator.random(masks.shape, dtype=np.float32)
    whole = masks.copy()
    whole[:, 6:] = IGNORED
    cut, left = count(masks[:, :6], probabilities[:, :6]), count(whole, probabilities)
    for name in ("confusion", "histogram", "image_overlap", "objects"):
        np.testing.assert_array_equal(left.arrays[name], cut.arrays[name], err_msg=name)
    for name in ("cross_entropy", "squared_error", "calibration"):
        np.testing.assert_allclose(left.arrays[name], cut.arrays[name], rtol=1e-12, err_msg=name)
    # all but the length of the diagonal, for which there is none here
    np.testing.assert_allclose(left.arrays["boundary"], cut.arrays["boundary"], rtol=1e-12)


def test_ignored_pixels_make_no_rim():
    masks = np.zeros((1, 9, 9, 1), np.uint8)
    masks[0, :, 4:] = IGNORED
    assert not rim(masks).any()
    masks[0, :, :4] = 1
    assert not rim(masks).any()
    masks[0, :, :4] = 0
    masks[0, 4, 0] = 1
    near = rim(masks)[0, ..., 0]
    assert near[4, :3].all()
    assert not near[:, 4:].any()


def test_of_a_circle_only_what_is_known_counts():
    masks = np.zeros((1, 20, 20, 1), np.uint8)
    masks[0, :, 10:] = IGNORED
    circles = [np.array([[5.0, 5.0, 8.0], [15.0, 15.0, 8.0], [10.0, 15.0, 8.0]])]  # known, unknown, half of it
    called = np.zeros(masks.shape, np.float32)
    called[0, 11:19, 6:10] = 1
    images, groups = np.zeros(masks.shape, np.float32), np.arange(1)
    found = Evaluator(images, masks, groups, Metrics(), circles).count(called).arrays["objects"][0]
    matched, objects, predicted = found[:3].sum(), found[3:6].sum(), found[6]
    assert (matched, objects, predicted) == (1, 2, 1)


def test_an_image_of_nothing_but_ignored_pixels_counts_for_nothing():
    masks = np.zeros((2, 8, 8, 1), np.uint8)
    masks[0, 2:5, 2:5], masks[1] = 1, IGNORED
    statistics = count(masks, np.full(masks.shape, 0.7, np.float32))
    for name in ("confusion", "cross_entropy", "squared_error", "histogram", "calibration"):
        assert not statistics.arrays[name][1].any(), name
