"""Keras' own schedules and its ReduceLROnPlateau are the oracles."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from craterbench_schedules import Cosine, Exponential, Plateau, Polynomial, WarmUpCosine
from craterbench_schedules.numpy import cosine, exponential, plateau, polynomial, warm_up_cosine

TOTAL = 200


@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
def test_cosine_is_that_of_keras(final):
    theirs = keras.optimizers.schedules.CosineDecay(5e-4, decay_steps=TOTAL, alpha=final)
    ours = cosine(5e-4, np.arange(TOTAL), TOTAL, [], Cosine(final=final))
    np.testing.assert_allclose(ours, [float(theirs(step)) for step in range(TOTAL)], rtol=1e-5, atol=1e-10)


@pytest.mark.parametrize("final", [1e-6, 0.01, 1.0])
def test_exponential_is_that_of_keras(final):
    theirs = keras.optimizers.schedules.ExponentialDecay(5e-4, decay_steps=TOTAL, decay_rate=final)
    ours = exponential(5e-4, np.arange(TOTAL), TOTAL, [], Exponential(final=final))
    np.testing.assert_allclose(ours, [float(theirs(step)) for step in range(TOTAL)], rtol=1e-5)


def test_warm_up_with_cosine_is_that_of_keras():
    theirs = keras.optimizers.schedules.CosineDecay(
        1e-4, decay_steps=TOTAL - 40, alpha=0.1, warmup_target=5e-4, warmup_steps=40
    )
    ours = warm_up_cosine(5e-4, np.arange(TOTAL), TOTAL, [], WarmUpCosine(start=0.2, share=0.2, final=0.1))
    np.testing.assert_allclose(ours, [float(theirs(step)) for step in range(TOTAL)], rtol=1e-5)


@pytest.mark.parametrize("power", [0.9, 2.0])
def test_polynomial_is_that_of_keras(power):
    theirs = keras.optimizers.schedules.PolynomialDecay(5e-4, TOTAL, end_learning_rate=5e-5, power=power)
    ours = polynomial(5e-4, np.arange(TOTAL), TOTAL, [], Polynomial(power=power, final=0.1))
    np.testing.assert_allclose(ours, [float(theirs(step)) for step in range(TOTAL)], rtol=1e-5)


@pytest.mark.parametrize("seed", range(10))
def test_plateau_lowers_the_rate_where_keras_does(seed):
    generator = np.random.default_rng(seed)
    losses = np.round(0.5 / np.arange(1, 60) ** 0.3 + generator.normal(scale=0.05, size=59), 2)  # with repeated values
    asked = Plateau(factor=generator.uniform(0.1, 0.9), patience=int(generator.integers(1, 6)), lowest=0.01)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(1.0))
    callback = keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss", factor=asked.factor, patience=asked.patience, min_delta=0, cooldown=0, min_lr=0.01
    )
    callback.set_model(model)
    callback.on_train_begin()
    history: list[dict[str, int]] = []
    theirs, ours = [], []
    for epoch, loss in enumerate(losses, start=1):
        callback.on_epoch_end(epoch - 1, {"val_loss": float(loss)})
        history.append({"epoch": epoch, "best": 1 + int(np.argmin(losses[:epoch]))})
        theirs.append(float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))
        ours.append(plateau(1.0, np.arange(1), 1, history, asked).item())
    assert len(set(ours)) > 2  # or nothing was tried
    assert ours == pytest.approx(theirs, rel=1e-5)
