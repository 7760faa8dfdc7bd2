from __future__ import annotations

import loss_cases
import numpy as np
import pytest
from sklearn.metrics import jaccard_score, log_loss

from craterbench.config.resolve import parse_override, resolve
from craterbench.plugin import NoParameters, UserError
from craterbench.plugin.registry import Registry
from craterbench_losses import BceDice, Dice, Focal, Lovasz, Tversky, WeightedBce
from craterbench_losses.numpy import CLIP, bce, bce_dice, dice, focal, lovasz, tversky, weighted_bce

MIXED = loss_cases.cases()["mixed"]
HALF = np.array([1.0, 0, 0, 0]).reshape(1, 2, 2, 1), np.full((1, 2, 2, 1), 0.5)


@pytest.mark.parametrize("label", loss_cases.LOSSES)
def test_gradients_are_those_of_central_differences(label):
    loss = loss_cases.oracle(label)
    for case, (masks, probabilities) in loss_cases.cases().items():
        if loss_cases.unclipped(probabilities):
            expected = np.empty_like(probabilities)
            for pixel in np.ndindex(probabilities.shape):
                step = np.zeros_like(probabilities)
                step[pixel] = 1e-6
                above, below = loss(masks, probabilities + step)[0], loss(masks, probabilities - step)[0]
                expected[pixel] = (above - below) / 2e-6
            np.testing.assert_allclose(loss(masks, probabilities)[1], expected, rtol=1e-4, atol=1e-8, err_msg=case)


@pytest.mark.parametrize("label", loss_cases.LOSSES)
def test_values_and_gradients_are_finite_on_every_case(label):
    for case, (masks, probabilities) in loss_cases.cases().items():
        value, gradient = loss_cases.oracle(label)(masks, probabilities)
        assert np.isfinite(value), case
        assert np.isfinite(gradient).all(), case


def test_bce_is_scikit_learns_log_loss():
    for case, (masks, probabilities) in loss_cases.cases().items():
        clipped = np.clip(probabilities, CLIP, 1 - CLIP).ravel()
        expected = log_loss(masks.ravel(), clipped, labels=[0, 1])
        assert bce(masks, probabilities, NoParameters())[0] == pytest.approx(expected, rel=1e-8), case


def test_a_clipped_probability_has_no_gradient_and_one_at_the_bound_has():
    probabilities = np.array([0, 0.9 * CLIP, CLIP, 1 - CLIP, 1 - 0.9 * CLIP, 1]).reshape(1, 1, 6, 1)
    for masks in (np.zeros_like(probabilities), np.ones_like(probabilities)):
        _, gradient = bce(masks, probabilities, NoParameters())
        assert (gradient.ravel() != 0).tolist() == [False, False, True, True, False, False]


def test_focal_without_focus_is_the_cross_entropy_weighed_by_alpha():
    masks, probabilities = MIXED
    weights = np.where(masks, 0.75, 0.25).ravel()
    expected = log_loss(masks.ravel(), probabilities.ravel(), sample_weight=weights, normalize=False) / masks.size
    assert focal(masks, probabilities, Focal(gamma=0, alpha=0.75))[0] == pytest.approx(expected, rel=1e-12)


def test_focal_weighs_crater_and_background_alike_where_a_quarter_is_crater():
    _, gradient = focal(*HALF, Focal())
    assert gradient.ravel()[0] == pytest.approx(-gradient.ravel()[1:].sum())


def test_losses_by_hand():
    # one crater pixel of four, p = 1/2 everywhere: sum(m p) = 1/2, sum(m) = 1, sum(p) = 2
    log2 = np.log(2)
    assert bce(*HALF, NoParameters())[0] == pytest.approx(log2)
    assert dice(*HALF, Dice(smooth=0))[0] == pytest.approx(1 - 1 / 3)
    assert dice(*HALF, Dice(smooth=1))[0] == pytest.approx(1 - 2 / 4)
    assert focal(*HALF, Focal(gamma=2, alpha=0.75))[0] == pytest.approx((0.75 + 3 * 0.25) / 4 * 0.25 * log2)
    assert bce_dice(*HALF, BceDice(weight=0.2, smooth=0))[0] == pytest.approx(0.2 * log2 + 0.8 * 2 / 3)


def test_dice_by_image_is_a_mean_over_images_and_by_batch_is_not():
    masks, probabilities = MIXED
    one_by_one = [dice(masks[i : i + 1], probabilities[i : i + 1], Dice())[0] for i in range(2)]
    assert dice(masks, probabilities, Dice())[0] == pytest.approx(np.mean(one_by_one))
    as_one_image = dice(masks.reshape(1, 6, 4, 1), probabilities.reshape(1, 6, 4, 1), Dice())[0]
    assert dice(masks, probabilities, Dice(per="batch"))[0] == pytest.approx(as_one_image)
    assert as_one_image != pytest.approx(np.mean(one_by_one))


@pytest.mark.parametrize("per", ["image", "batch"])
@pytest.mark.parametrize("smooth", [0, 1])
def test_a_perfect_prediction_has_no_dice_loss(per, smooth):
    masks, _ = MIXED
    assert dice(masks, masks, Dice(per=per, smooth=smooth))[0] == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("per", ["image", "batch"])
def test_dice_without_smoothing_where_there_is_no_crater(per):
    nothing = np.zeros((2, 2, 2, 1))
    value, gradient = dice(nothing, nothing, Dice(smooth=0, per=per))
    assert value == 0
    assert not gradient.any()
    assert dice(nothing, nothing + 0.1, Dice(smooth=0, per=per))[0] == 1


def test_weighted_bce_is_scikit_learns_log_loss_with_weights():
    masks, probabilities = MIXED
    weights = np.where(masks, 3.0, 1.0).ravel()
    expected = log_loss(masks.ravel(), probabilities.ravel(), sample_weight=weights, normalize=False) / masks.size
    assert weighted_bce(masks, probabilities, WeightedBce(weight=3))[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("per", ["image", "batch"])
@pytest.mark.parametrize("smooth", [0, 1, 2.5])
def test_tversky_with_both_weights_at_a_half_is_dice(per, smooth):
    for case, (masks, probabilities) in loss_cases.cases().items():
        asked = {"smooth": smooth, "per": per}
        got = tversky(masks, probabilities, Tversky(missed=0.5, false=0.5, **asked))
        expected = dice(masks, probabilities, Dice(**asked))
        assert got[0] == pytest.approx(expected[0], rel=1e-12, abs=1e-15), case
        np.testing.assert_allclose(got[1], expected[1], rtol=1e-12, atol=1e-15, err_msg=case)


def test_tversky_weighs_what_is_missed_against_what_is_falsely_found():
    masks = np.zeros((1, 2, 2, 1))
    masks[0, 0] = 1
    missed, false = masks.copy(), masks.copy()
    missed[0, 0, 0], false[0, 1, 0] = 0, 1
    asked = Tversky(missed=0.7, false=0.3, smooth=0)
    assert tversky(masks, missed, asked)[0] == pytest.approx(1 - 1 / (1 + 0.7))
    assert tversky(masks, false, asked)[0] == pytest.approx(1 - 2 / (2 + 0.3))


def test_lovasz_of_a_hard_prediction_is_one_minus_the_intersection_over_union():
    """Which makes it an extension: Berman et al. 2018, equation 9."""
    generator = np.random.default_rng(5)
    for _ in range(20):
        masks, called = generator.integers(0, 2, (2, 1, 4, 5, 1)).astype(np.float64)
        masks[0, 0, 0], called[0, 0, 1] = 1, 1
        expected = 1 - jaccard_score(masks.ravel(), called.ravel())
        assert lovasz(masks, called, Lovasz())[0] == pytest.approx(expected)


def test_the_committed_answers_are_what_the_oracle_says_now():
    now = loss_cases.answers()
    with np.load(loss_cases.GOLDEN) as file:
        assert set(file.files) == set(now)
        for name, array in now.items():
            np.testing.assert_allclose(file[name], array, rtol=1e-12, atol=1e-15, err_msg=name)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (["loss.name=focal", "loss.gamma=6"], r"loss\.gamma: 6(\.0)? is outside 0 to 5"),
        (["loss.name=dice", "loss.per=pixel"], r"loss\.per"),
        (["loss.name=bce", "loss.smooth=1"], r"loss\.smooth"),
        (["framework=sklearn", "loss.name=dice"], "it is for keras, torch"),
    ],
)
def test_what_a_loss_cannot_take_is_refused(settings, complaint):
    with pytest.raises(UserError, match=complaint):
        resolve(Registry.installed(), "reference", [parse_override(setting) for setting in settings])
