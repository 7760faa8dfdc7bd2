"""Keras' own callbacks are the oracle: the loop must stop and restore where they do."""

from __future__ import annotations

from itertools import repeat

import keras
import numpy as np
import pytest

from craterbench.config.resolve import parse_override, resolve
from craterbench.data.dataset import Subset
from craterbench.plugin.registry import Registry
from craterbench.training.augment import TrainingData
from craterbench.training.fit import fit

EPOCHS, PATIENCE = 48, 5
EMPTY = Subset(np.zeros((4, 2, 2, 1), np.float32), np.zeros((4, 2, 2, 1), np.uint8), np.arange(4))


def curve(seed: int) -> np.ndarray:
    """Return a loss that falls, then wanders, with repeated values, as losses do."""
    generator = np.random.default_rng(seed)
    falling = 0.3 + 0.5 * np.exp(-np.arange(EPOCHS) / generator.uniform(2, 12))
    return np.round(falling + generator.normal(scale=0.04, size=EPOCHS).cumsum() * 0.3, 2).clip(0.01)


class Follows:
    """A session that is none: its validation loss follows a curve. A fake, since no network can be made to."""

    device = "cpu"

    def __init__(self, losses):
        self.losses, self.epoch = losses, 0

    def train_epoch(self, images, masks, batches, rates):
        self.epoch += 1
        return 0.0

    def predict(self, images):
        return np.full(images.shape, 1 - np.exp(-self.losses[self.epoch - 1]), np.float32)

    def weights(self):
        return {"epoch": np.array(float(self.epoch))}

    def load_weights(self, weights):
        raise AssertionError("the loop restores nothing by itself")


def by_the_loop(losses):
    settings = [f"training.epochs={EPOCHS}", f"training.patience={PATIENCE}"]
    benchmark = resolve(Registry.installed(), "logistic", [parse_override(s) for s in settings]).benchmark
    data = TrainingData(
        epochs=repeat(EMPTY), training=EMPTY, originals=EMPTY, sampled=np.arange(len(EMPTY)), validation=EMPTY
    )
    course = fit(Follows(losses), data, benchmark=benchmark, order=np.random.default_rng(0), on_epoch=lambda row: None)
    return [row["val_loss"] for row in course.history], course


def by_keras(losses, folder):
    """Drive the real callbacks on a real model whose only weight is the number of the epoch."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile()
    stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=PATIENCE, restore_best_weights=True)
    path = str(folder / "best.weights.h5")
    checkpoint = keras.callbacks.ModelCheckpoint(path, monitor="val_loss", save_best_only=True, save_weights_only=True)
    callbacks = keras.callbacks.CallbackList([stopping, checkpoint], model=model)
    callbacks.on_train_begin()
    model.stop_training = False
    ran = 0
    for epoch, loss in enumerate(losses):
        model.set_weights([np.array([[float(epoch + 1)]])])
        callbacks.on_epoch_end(epoch, {"val_loss": loss})
        ran = epoch + 1
        if model.stop_training:
            break
    callbacks.on_train_end()
    restored = model.get_weights()[0].item()
    model.load_weights(path)
    return ran, restored, model.get_weights()[0].item()


@pytest.mark.parametrize("seed", range(10))
def test_the_loop_stops_and_restores_where_keras_callbacks_do(seed, tmp_path):
    # Keras is shown the losses that our evaluator made of the curve; epochs that the loop never reached follow it.
    seen, course = by_the_loop(curve(seed))
    complete = [*seen, *curve(seed)[len(seen) :]]
    ran, restored, saved = by_keras(complete, tmp_path)
    assert len(course.history) == ran
    assert course.best_epoch == course.best_weights["epoch"] == saved
    if ran < EPOCHS:
        assert restored == saved


def test_the_curves_are_a_fair_trial():
    lengths = [len(by_the_loop(curve(seed))[0]) for seed in range(10)]
    assert len(set(lengths)) >= 5  # they do not all stop at one place
    assert max(lengths) > 15
