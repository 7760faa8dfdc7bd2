"""A whole run in this process: what is scored, with which weights, on which images."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scored import scores

from craterbench.config.resolve import parse_override, resolve
from craterbench.data.dataset import Dataset, Subset
from craterbench.metrics.evaluator import Evaluator
from craterbench.plugin.registry import Registry
from craterbench.training.experiment import NUM_SAMPLES, RunResult, _samples, train_and_evaluate
from craterbench.training.session import open_session
from craterbench_baselines import Logistic
from craterbench_baselines.sklearn import logistic
from craterbench_datasets import Synthetic
from craterbench_datasets.synthetic import synthetic

SMALL = ("dataset.name=synthetic", "dataset.images=30", "dataset.test_images=7", "dataset.size=16")


def run(name: str, *settings: str, seed: int = 1) -> RunResult:
    overrides = [parse_override(setting) for setting in (*SMALL, *settings)]
    return train_and_evaluate(resolve(Registry.installed(), name, overrides).benchmark, seed=seed)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return synthetic(Synthetic(images=30, test_images=7, size=16))


@pytest.fixture(scope="module")
def overshot() -> RunResult:
    """A run whose last epoch is not its best, as a learning rate that is too high makes it."""
    return run("logistic", "training.epochs=12", "optimizer.learning_rate=0.5", "training.patience=4")


def test_the_test_part_is_scored_on_the_images_that_are_for_it(dataset, overshot):
    test = dataset.test
    assert test is not None
    assert overshot.scored["test"].fingerprint == Evaluator(test.images, test.masks, test.groups).fingerprint
    assert overshot.scored["test"].fingerprint != overshot.scored["validation"].fingerprint
    np.testing.assert_array_equal(overshot.scored["test"].statistics.groups, test.groups)


def test_what_is_scored_are_the_best_weights_not_the_last(overshot):
    losses = [row["val_loss"] for row in overshot.training.history]
    assert overshot.training.best_epoch == 1 + int(np.argmin(losses)) < len(losses)
    assert scores(overshot.scored["validation"].statistics)["loss"] == min(losses) < losses[-1]


def test_the_constant_model_predicts_the_share_of_crater_pixels_that_it_was_shown(dataset):
    outcome = run("constant", "augmentation.copies=0", "split.validation=0.5")
    (prediction,) = np.unique(outcome.samples.probabilities)
    crater = int(dataset.train_val.masks.sum())
    validation = scores(outcome.scored["validation"].statistics)
    shown = 30 * 16 * 16 - int(validation["num_pixels"])
    assert prediction == pytest.approx((crater - int(validation["num_crater_pixels"])) / shown, rel=1e-6)


@pytest.mark.parametrize("num_images", [3, NUM_SAMPLES, 31])
def test_samples_are_taken_evenly_from_the_first_image_to_the_last(num_images):
    numbered = np.ones((num_images, 2, 2, 1), np.float32) * np.arange(num_images)[:, None, None, None] / num_images
    part = Subset(numbered, (numbered > 0.5).astype(np.uint8), np.arange(num_images))
    samples = _samples(SimpleNamespace(predict=lambda images: images), part)
    rows = np.rint(samples.images[:, 0, 0, 0] * num_images).astype(int)
    assert len(rows) == min(NUM_SAMPLES, num_images)
    assert (rows[0], rows[-1]) == (0, num_images - 1)
    assert np.ptp(np.diff(rows)) <= 1
    np.testing.assert_array_equal(samples.masks, part.masks[rows])
    np.testing.assert_array_equal(samples.probabilities, samples.images)


def test_the_logistic_model_sees_a_pixel_and_smoothed_copies_of_it():
    images = np.zeros((1, 33, 33, 1), np.float32)
    images[0, 16, 16] = 1.0
    features = logistic(Logistic(scales=3), "log_loss", 0).features(images).reshape(33, 33, 4) + 0.5
    np.testing.assert_array_equal(features[..., 0], images[0, ..., 0])
    assert features[16, 16, 0] > features[16, 16, 1] > features[16, 16, 2] > features[16, 16, 3] > 0
    np.testing.assert_allclose(features.sum(axis=(0, 1))[:3], 1.0, atol=1e-3)  # smoothing keeps the brightness


def test_each_step_is_taken_at_the_rate_that_the_harness_gives_it(dataset):
    benchmark = resolve(Registry.installed(), "logistic").benchmark
    shown, batches = dataset.train_val, [np.arange(15), np.arange(15, 30)]

    def after(*rates: float) -> np.ndarray:
        session = open_session(benchmark, image_shape=(16, 16), seed=1, device="cpu")
        session.train_epoch(shown.images, shown.masks, batches, np.array(rates))
        return session.weights()["coef_"]

    still = 1e-300  # scikit-learn takes no rate of zero
    np.testing.assert_allclose(after(still, still), 0.0, atol=1e-200)
    assert (after(1e-3, still) != after(still, 1e-3)).any()


def test_another_seed_changes_the_order_in_which_images_are_shown():
    # the constant model draws nothing itself: its objective after each batch tells in which order it saw them
    settings = ("training.epochs=1", "augmentation.copies=0", "training.batch_size=4")
    first, second = (run("constant", *settings, seed=seed) for seed in (1, 2))
    assert first.training.history[0]["objective"] != second.training.history[0]["objective"]
