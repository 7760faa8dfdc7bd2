from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scored import scores as scores_of
from sklearn import metrics as sk

from craterbench.metrics.evaluator import CLIP, RIM_WIDTH, Evaluator, rim
from craterbench.metrics.metric import Metrics
from craterbench.metrics.statistics import Statistics

SHAPE = (3, 8, 8, 1)


def count(masks: np.ndarray, probabilities: np.ndarray) -> Statistics:
    images = np.zeros(masks.shape, np.float32)
    return Evaluator(images, masks, np.arange(len(masks))).count(probabilities)


masks_drawn = hnp.arrays(np.uint8, SHAPE, elements=st.integers(0, 1))
probabilities_drawn = hnp.arrays(
    np.float32,
    SHAPE,
    elements=st.sampled_from([0.0, 1e-9, 0.2, 0.5, np.nextafter(np.float32(0.5), np.float32(1)), 1.0]),
)


@settings(max_examples=60, deadline=None)
@given(masks_drawn.filter(lambda m: 0 < m.sum() < m.size), probabilities_drawn)
def test_scores_agree_with_scikit_learn_to_the_last_digit(masks, probabilities):
    scores = scores_of(count(masks, probabilities))
    truth, called = masks.ravel(), (probabilities > 0.5).ravel().astype(int)
    assert scores["balanced_accuracy"] == sk.balanced_accuracy_score(truth, called)
    assert scores["sensitivity"] == sk.recall_score(truth, called)
    assert scores["specificity"] == sk.recall_score(truth, called, pos_label=0)
    assert scores["iou"] == sk.jaccard_score(truth, called)
    assert scores["dice"] == sk.f1_score(truth, called)
    # a sum over pixels depends on its order in the last digits
    clipped = np.clip(probabilities.astype(np.float64), CLIP, 1 - CLIP).ravel()
    assert scores["loss"] == pytest.approx(sk.log_loss(truth, clipped), rel=1e-13)


def test_scores_are_pooled_over_pixels_not_averaged_over_images():
    masks = np.zeros((2, 4, 4, 1), np.uint8)
    masks[0, 0, 0], masks[1, :2] = 1, 1
    probabilities = np.zeros(masks.shape, np.float32)
    probabilities[0, 0, 0] = 1.0  # all of the one crater pixel, none of the eight
    scores = scores_of(count(masks, probabilities))
    assert scores["sensitivity"] == 1 / 9
    each = Metrics().get("sensitivity")(count(masks, probabilities).of_images("confusion"))
    assert each.mean() == 0.5


def test_the_threshold_is_above_a_half():
    masks = np.ones((1, 2, 2, 1), np.uint8)
    assert scores_of(count(masks, np.full(masks.shape, 0.5, np.float32)))["sensitivity"] == 0.0


def test_no_crater_anywhere():
    masks = np.zeros((1, 4, 4, 1), np.uint8)
    nothing = scores_of(count(masks, np.zeros(masks.shape, np.float32)))
    assert np.isnan(nothing["sensitivity"])
    assert nothing["balanced_accuracy"] == nothing["specificity"] == nothing["iou"] == nothing["dice"] == 1.0
    something = np.zeros(masks.shape, np.float32)
    something[0, 0] = 1.0
    invented = scores_of(count(masks, something))
    assert invented["balanced_accuracy"] == invented["specificity"] == 12 / 16
    assert invented["iou"] == invented["dice"] == 0.0
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        oracle = sk.balanced_accuracy_score(masks.ravel(), something.ravel() > 0.5)
    assert invented["balanced_accuracy"] == oracle


def test_no_background_anywhere():
    masks = np.ones((1, 4, 4, 1), np.uint8)
    half = np.zeros(masks.shape, np.float32)
    half[0, :2] = 1.0
    scores = scores_of(count(masks, half))
    assert np.isnan(scores["specificity"])
    assert scores["balanced_accuracy"] == scores["sensitivity"] == 0.5
    assert scores["num_crater_pixels"] == 16


def test_no_pixel_at_all_has_no_score():
    masks = np.zeros((1, 4, 4, 1), np.uint8)
    scores = scores_of(count(masks, np.zeros(masks.shape, np.float32)), "rim")
    assert scores["num_pixels"] == 0
    assert all(np.isnan(scores[name]) for name in ("balanced_accuracy", "loss", "iou", "dice", "specificity"))


def test_a_certain_mistake_costs_what_the_clip_allows():
    masks = np.ones((1, 1, 2, 1), np.uint8)
    wrong = np.array([0.0, 1.0], np.float32).reshape(masks.shape)
    assert scores_of(count(masks, wrong))["loss"] == pytest.approx((-np.log(1e-7) - np.log(1 - 1e-7)) / 2, rel=1e-15)


@settings(max_examples=30, deadline=None)
@given(masks_drawn)
def test_the_rim_is_what_a_search_over_all_pairs_of_pixels_finds(masks):
    found = rim(masks)
    for mask, near in zip(masks[..., 0], found[..., 0], strict=True):
        places = np.argwhere(np.ones_like(mask))
        values = mask[tuple(places.T)]
        distance = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
        other = values[:, None] != values[None]
        expected = (np.where(other, distance, np.inf).min(axis=1) <= RIM_WIDTH).reshape(mask.shape)
        np.testing.assert_array_equal(near, expected)


@settings(max_examples=30, deadline=None)
@given(masks_drawn, probabilities_drawn)
def test_rim_and_interior_are_all_pixels(masks, probabilities):
    counts = count(masks, probabilities)
    whole, edge, inside = (scores_of(counts, region) for region in (None, "rim", "interior"))
    assert edge["num_pixels"] + inside["num_pixels"] == whole["num_pixels"] == masks.size
    np.testing.assert_array_equal(counts.of_images("confusion").sum(axis=1), [64, 64, 64])


def test_predictions_that_are_none_are_refused():
    masks = np.ones((1, 2, 2, 1), np.uint8)
    for bad in (np.nan, 1.5, -0.1):
        with pytest.raises(ValueError, match="no probabilities"):
            count(masks, np.full(masks.shape, bad, np.float32))
    with pytest.raises(ValueError, match="shape"):
        count(masks, np.zeros((1, 2, 3, 1), np.float32))


def test_the_yardstick_follows_images_and_masks_and_nothing_else(monkeypatch):
    generator = np.random.default_rng(0)
    images = generator.uniform(size=SHAPE).astype(np.float32)
    masks = generator.integers(0, 2, SHAPE).astype(np.uint8)
    groups = np.arange(3)
    fingerprint = Evaluator(images, masks, groups).fingerprint
    assert Evaluator(images.copy(), masks.copy(), groups[::-1]).fingerprint == fingerprint
    other = masks.copy()
    other[0, 0, 0] ^= 1
    assert Evaluator(images, other, groups).fingerprint != fingerprint
    assert Evaluator(images * np.float32(0.5), masks, groups).fingerprint != fingerprint
    monkeypatch.setattr("craterbench.metrics.evaluator.EVALUATOR_VERSION", 2)
    assert Evaluator(images, masks, groups).fingerprint != fingerprint


def test_what_is_no_probability_is_told_with_digits_enough_to_see_it():
    masks = np.ones((1, 1, 2, 1), np.uint8)
    above = np.array([0.5, np.nextafter(np.float32(1), np.float32(2))], np.float32).reshape(masks.shape)
    with pytest.raises(ValueError, match=r"no probabilities: they range from 0\.5 to 1\.00000012"):
        count(masks, above)
