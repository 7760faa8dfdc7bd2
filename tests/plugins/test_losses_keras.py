"""NumPy's losses, in the committed file, are the oracle. This file has a twin in tests/torch."""

from __future__ import annotations

import keras
import loss_cases
import numpy as np
import pytest
import tensorflow as tf


def value_and_gradient(label, masks, probabilities, dtype, known=None):
    p = tf.Variable(probabilities, dtype=dtype)
    with tf.GradientTape() as tape:
        known = None if known is None else tf.constant(known, dtype)
        loss = loss_cases.loss_in("keras", label)(tf.constant(masks, dtype), tf.convert_to_tensor(p), known)
    assert (loss.shape, loss.dtype) == ((), dtype)
    return float(loss), tape.gradient(loss, p).numpy()


@pytest.mark.parametrize("label", loss_cases.LOSSES)
def test_values_and_gradients_in_double_precision(label):
    for case, masks, probabilities, value, gradient in loss_cases.golden(label):
        got, slopes = value_and_gradient(label, masks, probabilities, tf.float64)
        assert got == pytest.approx(value, rel=1e-11, abs=1e-15), case
        np.testing.assert_allclose(slopes, gradient, rtol=1e-11, atol=1e-15, err_msg=case)


@pytest.mark.parametrize("label", loss_cases.LOSSES)
def test_values_and_gradients_in_single_precision(label):
    for case, masks, probabilities, value, gradient in loss_cases.golden(label):
        got, slopes = value_and_gradient(label, masks, probabilities, tf.float32)
        assert np.isfinite(slopes).all(), case
        if loss_cases.unclipped(probabilities):
            assert got == pytest.approx(value, rel=2e-6), case
            np.testing.assert_allclose(slopes, gradient, rtol=2e-5, atol=1e-7, err_msg=case)
        else:  # 1 - 1e-7 is 1.2e-7 from 1 in single precision
            assert got == pytest.approx(value, rel=2e-2, abs=1e-6), case


@pytest.mark.parametrize("label", loss_cases.LOSSES)
def test_ignored_pixels_are_in_neither_value_nor_gradient(label):
    value, gradient = loss_cases.of_known(label)
    masks, probabilities, known = loss_cases.ignored()
    got, slopes = value_and_gradient(label, masks, probabilities, tf.float64, known)
    assert got == pytest.approx(value, rel=1e-11)
    np.testing.assert_allclose(slopes, gradient, rtol=1e-11, atol=1e-15)


def test_bce_is_that_of_keras():
    for case, masks, probabilities, _, _ in loss_cases.golden("bce"):
        got, _ = value_and_gradient("bce", masks, probabilities, tf.float64)
        expected = float(tf.reduce_mean(keras.losses.binary_crossentropy(masks, probabilities)))
        assert got == pytest.approx(expected, rel=1e-8), case


def test_dice_by_batch_is_that_of_keras():
    masks, probabilities = loss_cases.cases()["mixed"]
    got, _ = value_and_gradient("dice-batch-unsmoothed", masks, probabilities, tf.float64)
    assert got == pytest.approx(float(keras.losses.dice(masks, probabilities)), rel=1e-6)  # adds 1e-7 below the line


def test_focal_is_that_of_keras():
    masks, probabilities = loss_cases.cases()["mixed"]
    expected = keras.losses.binary_focal_crossentropy(
        masks, probabilities, apply_class_balancing=True, alpha=0.75, gamma=2.0
    )
    got, _ = value_and_gradient("focal", masks, probabilities, tf.float64)
    assert got == pytest.approx(float(tf.reduce_mean(expected)), rel=1e-6)


@pytest.mark.parametrize("label", loss_cases.LOSSES)
def test_a_loss_is_the_same_while_training_behind_a_sigmoid(label):
    """Keras' own cross-entropy is not: in a graph it takes the sigmoid's logits and clips nothing."""
    logits = np.linspace(-40, 40, 2 * 3 * 4).reshape(2, 3, 4, 1)
    masks = (np.arange(24).reshape(logits.shape) % 2).astype(np.float64)
    loss = loss_cases.loss_in("keras", label)
    trained = tf.function(lambda m, z: loss(m, keras.activations.sigmoid(z)))(tf.constant(masks), tf.constant(logits))
    expected, _ = loss_cases.oracle(label)(masks, 1 / (1 + np.exp(-logits)))
    assert float(trained) == pytest.approx(expected, rel=1e-8)
