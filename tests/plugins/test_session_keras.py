from __future__ import annotations

import keras
import numpy as np
import pytest
from session_contract import SessionContract, arrays, rates

from craterbench.metrics.evaluator import Evaluator
from craterbench.metrics.metric import LOSS
from craterbench.plugin import NoParameters
from craterbench.results.store import Store
from craterbench.training.fit import batches_of
from craterbench_losses.keras import bce


class TestKeras(SessionContract):
    framework = "keras"

    def test_the_batches_are_trained_in_their_order(self):
        """Against Keras' own train_on_batch, fed one batch after the other."""
        images, masks = arrays()
        batches = batches_of(np.random.default_rng(1).permutation(40), 12)  # the last is shorter
        ours, theirs = (self.opened("model.dropout=0") for _ in range(2))
        start = ours.weights()
        ours.train_epoch(images, masks, batches, rates(batches))
        after = ours.weights()
        model = theirs._model
        model.optimizer.learning_rate = 1e-3
        for batch in batches:
            model.train_on_batch(images[batch], masks[batch])
        for name, array in theirs.weights().items():
            np.testing.assert_allclose(after[name] - start[name], array - start[name], atol=2e-6)

    def test_a_gpu_that_is_not_there_is_named_with_its_cure(self, bench):
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            pytest.skip("there is a GPU")
        result = bench("run", "reference", "--device", "gpu", "--dataset", "synthetic")
        assert result.exit_code == 2
        assert "--device cpu" in result.stderr


def test_bce_is_the_evaluators_cross_entropy_where_nothing_is_clipped():
    images, masks = arrays()
    probabilities = images * np.float32(0.98) + np.float32(0.01)
    expected = Evaluator(images, masks, np.arange(40)).count(probabilities).value(LOSS)
    loss = bce(masks.astype(np.float32), probabilities, NoParameters())
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    assert float(loss) == pytest.approx(float(keras.losses.BinaryCrossentropy()(masks, probabilities)), rel=1e-6)


def test_a_depth_that_does_not_divide_the_image_fails_with_its_cure(bench):
    result = bench("run", "reference", "--dataset", "synthetic", "--set", "dataset.size=20")
    assert result.exit_code == 2
    assert "multiples of 8, and the images are 20x20" in result.stderr
    ((record,), _) = Store(bench.results).records()
    assert record.status == "failed"
    assert "multiples of 8" in record.error
