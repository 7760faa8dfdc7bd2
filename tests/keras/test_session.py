from __future__ import annotations

import keras
import numpy as np
import pytest

from craterbench.definition.overrides import parse_override, resolve
from craterbench.host.child import Child
from craterbench.host.devices import environment
from craterbench.plugin import NoParameters, UserError
from craterbench.plugin.registry import Registry
from craterbench.scoring.counts import Evaluator
from craterbench.scoring.metrics import pooled
from craterbench.training.experiment import perform
from craterbench.training.loop import batches_of
from craterbench.training.session import open_session
from craterbench_losses.in_keras import bce

SMALL = ("dataset.name=synthetic", "dataset.images=40", "dataset.test_images=8", "dataset.size=16", "model.filters=4")


def small(*settings: str):
    return resolve(Registry.installed(), "reference", [parse_override(s) for s in (*SMALL, *settings)]).benchmark


@pytest.fixture
def opened():
    return open_session(small(), image_shape=(16, 16), seed=1, device="cpu")


def arrays(number: int = 40):
    generator = np.random.default_rng(0)
    images = generator.uniform(size=(number, 16, 16, 1)).astype(np.float32)
    return images, (images > 0.7).astype(np.uint8)


def rates(batches, rate=1e-3):
    return np.full(len(batches), rate)


def rows(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def test_weights_go_out_and_in(opened):
    images, masks = arrays()
    batches = batches_of(np.arange(40), 32)
    before, predicted = opened.weights(), opened.predict(images)
    opened.train_epoch(images, masks, batches, rates(batches))
    assert (opened.predict(images) != predicted).any()
    opened.load_weights(before)
    np.testing.assert_array_equal(opened.predict(images), predicted)


def test_weights_of_another_model_are_refused(opened):
    with pytest.raises(UserError, match=r"output\.bias is missing"):
        opened.load_weights({name: array for name, array in opened.weights().items() if name != "output.bias"})


def test_a_rate_of_nothing_moves_nothing_and_each_step_has_its_own(opened):
    images, masks = arrays()
    batches = batches_of(np.arange(40), 10)
    before = opened.weights()
    opened.train_epoch(images, masks, batches, rates(batches, 0.0))
    assert all((before[name] == array).all() for name, array in opened.weights().items())
    opened.train_epoch(images, masks, batches, np.array([0.0, 0.0, 0.0, 1e-3]))
    assert any((before[name] != array).any() for name, array in opened.weights().items())


def test_the_batches_are_trained_in_their_order():
    """Against Keras' own train_on_batch, fed one batch after the other."""
    images, masks = arrays()
    batches = batches_of(np.random.default_rng(1).permutation(40), 12)  # the last is shorter
    benchmark = small("model.dropout=0")
    ours = open_session(benchmark, image_shape=(16, 16), seed=1, device="cpu")
    start = ours.weights()
    ours.train_epoch(images, masks, batches, rates(batches))
    after = ours.weights()
    theirs = open_session(benchmark, image_shape=(16, 16), seed=1, device="cpu")
    model = theirs._model
    model.optimizer.learning_rate = 1e-3
    for batch in batches:
        model.train_on_batch(images[batch], masks[batch])
    for name, array in theirs.weights().items():
        np.testing.assert_allclose(after[name] - start[name], array - start[name], atol=2e-6)


def test_the_objective_is_the_mean_over_images_of_the_loss():
    images, masks = arrays()
    session = open_session(small("model.dropout=0"), image_shape=(16, 16), seed=1, device="cpu")
    batches = batches_of(np.arange(40), 32)  # 32 and 8: a mean over batches would be another number
    expected = pooled(Evaluator(images, masks, np.arange(40)).count(session.predict(images)))["loss"]
    assert session.train_epoch(images, masks, batches, rates(batches, 0.0)) == pytest.approx(expected, rel=1e-5)


def test_bce_is_the_evaluators_cross_entropy_where_nothing_is_clipped():
    images, masks = arrays()
    probabilities = images * np.float32(0.98) + np.float32(0.01)
    expected = pooled(Evaluator(images, masks, np.arange(40)).count(probabilities))["loss"]
    loss = bce(masks.astype(np.float32), probabilities, NoParameters())
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    assert float(loss) == pytest.approx(float(keras.losses.BinaryCrossentropy()(masks, probabilities)), rel=1e-6)


def test_a_gpu_that_is_not_there_is_named_with_its_cure():
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match="--device cpu"):
        open_session(small(), image_shape=(16, 16), seed=1, device="gpu")


@pytest.fixture(scope="module")
def variables():
    framework = Registry.installed().get("framework", "keras")
    return environment(threads=2, device="cpu", framework=framework.environment)


def in_child(child, tmp_path, *, seed):
    benchmark = small("training.epochs=3")
    return child.perform(benchmark, seed=seed, device="cpu", on_epoch=lambda row: None, log=tmp_path / "log.txt")


def test_same_seed_and_threads_give_the_same_digits_fresh_or_warm_and_another_seed_others(variables, tmp_path):
    with Child(variables) as child:
        first = in_child(child, tmp_path, seed=5)
        other = in_child(child, tmp_path, seed=6)
        warm = in_child(child, tmp_path, seed=5)
    with Child(variables) as child:
        fresh = in_child(child, tmp_path, seed=5)
    assert rows(first.course.history) == rows(warm.course.history) == rows(fresh.course.history)
    assert rows(first.course.history) != rows(other.course.history)
    for name, array in fresh.course.best_weights.items():
        np.testing.assert_array_equal(array, warm.course.best_weights[name])
    assert first.device == "cpu"


def test_a_network_learns_synthetic_craters_and_is_scored_with_its_best_weights():
    outcome = perform(small("dataset.images=120", "dataset.size=32", "training.epochs=12", "model.filters=8"), seed=1)
    losses = [row["val_loss"] for row in outcome.course.history]
    assert outcome.course.best_epoch == 1 + int(np.argmin(losses))
    scored = pooled(outcome.scored["validation"].counts)
    assert scored["loss"] == min(losses)
    assert scored["loss"] < losses[0]


def test_a_depth_that_does_not_divide_the_image_writes_nothing(bench, tmp_path):
    result = bench("run", "reference", "--dataset", "synthetic", "--set", "dataset.size=20")
    assert result.exit_code == 2
    assert "multiples of 8, and the images are 20x20" in result.stderr
    assert list(tmp_path.iterdir()) == []
