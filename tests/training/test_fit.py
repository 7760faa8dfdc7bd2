from __future__ import annotations

from itertools import repeat

import numpy as np
import pytest

from craterbench.config.resolve import parse_override, resolve
from craterbench.data.dataset import Subset
from craterbench.plugin.registry import Registry
from craterbench.training.augment import TrainingData
from craterbench.training.fit import EarlyStopping, batches_of, fit


class Scripted:
    """A session that is none: it predicts so that each epoch gets the validation loss that the test wants.

    A fake, since no network can be made to follow a given curve.
    """

    device = "cpu"

    def __init__(self, losses):
        self.losses = losses
        self.epoch = 0
        self.seen = []

    def train_epoch(self, images, masks, batches, rates):
        self.epoch += 1
        self.seen.append((batches, rates))
        return 0.0

    def predict(self, images):
        return np.full(images.shape, 1 - np.exp(-self.losses[self.epoch - 1]), np.float32)

    def weights(self):
        return {"epoch": np.array(self.epoch)}

    def load_weights(self, weights):
        self.epoch = int(weights["epoch"])


EMPTY = Subset(np.zeros((70, 2, 2, 1), np.float32), np.zeros((70, 2, 2, 1), np.uint8), np.arange(70))


def run(losses, *settings):
    overrides = [parse_override(s) for s in (f"training.epochs={len(losses)}", *settings)]
    benchmark = resolve(Registry.installed(), "logistic", overrides).benchmark
    session = Scripted(losses)
    heard = []
    data = TrainingData(
        epochs=repeat(EMPTY), training=EMPTY, originals=EMPTY, sampled=np.arange(len(EMPTY)), validation=EMPTY
    )
    course = fit(session, data, benchmark=benchmark, order=np.random.default_rng(0), on_epoch=heard.append)
    assert heard == course.history
    return session, course


def test_the_best_epoch_is_kept_and_patience_ends_the_run():
    _, course = run([0.9, 0.5, 0.7, 0.6, 0.8, 0.1], "training.patience=3")
    assert len(course.history) == 5
    assert course.best_epoch == 2
    assert course.best_weights["epoch"] == 2
    assert [row["best"] for row in course.history] == [1, 2, 2, 2, 2]


def test_an_equal_epoch_is_not_better():
    _, course = run([0.5, 0.5, 0.5], "training.patience=2")
    assert (len(course.history), course.best_epoch) == (3, 1)


def test_the_history_has_the_losses_that_were_predicted():
    _, course = run([0.9, 0.5])
    assert [row["val_loss"] for row in course.history] == pytest.approx([0.9, 0.5], rel=1e-6)


def test_every_image_is_shown_once_an_epoch_in_another_order_each_time():
    session, _ = run([0.9, 0.5])
    orders = [np.concatenate(batches) for batches, _ in session.seen]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(70))
    assert orders[0].tolist() != orders[1].tolist()
    assert [len(batch) for batch in session.seen[0][0]] == [32, 32, 6]
    assert session.seen[0][1].tolist() == [1e-3] * 3


def test_step_numbers_go_on_from_epoch_to_epoch():
    session, course = run([0.9, 0.8, 0.7], "schedule.name=cosine")
    rates = np.concatenate([rates for _, rates in session.seen])
    np.testing.assert_allclose(rates, 1e-3 * (1 + np.cos(np.pi * np.arange(9) / 9)) / 2)
    assert [row["learning_rate"] for row in course.history] == rates[2::3].tolist()


def test_a_schedule_sees_how_the_monitor_went():
    settings = ("schedule.name=plateau", "schedule.patience=2", "training.patience=9")
    session, _ = run([0.5, 0.6, 0.6, 0.4, 0.4, 0.5, 0.6], *settings)
    assert [rates[0] / 1e-3 for _, rates in session.seen] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]


def test_a_higher_balanced_accuracy_is_better():
    early_stopping = EarlyStopping(higher=True, patience=2)
    assert [early_stopping.better(value) for value in (0.5, 0.7, 0.6)] == [True, True, False]
    assert not early_stopping.stop
    assert not early_stopping.better(0.7)
    assert early_stopping.stop


def test_batches_of_fewer_rows_than_a_batch():
    assert [batch.tolist() for batch in batches_of(np.arange(3), 32)] == [[0, 1, 2]]


def test_a_network_that_predicts_nan_is_an_error_that_names_the_epoch():
    with pytest.raises(FloatingPointError, match=r"epoch 2.*learning_rate"):
        run([0.5, np.nan, 0.5])
