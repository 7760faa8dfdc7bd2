from __future__ import annotations

import numpy as np
import pytest
import torch
from session_contract import SessionContract, arrays, rates

from craterbench.training.fit import batches_of
from craterbench_frameworks.torch import Adam, Momentum


class TestTorch(SessionContract):
    framework = "torch"

    def test_bfloat16_trains_in_half_the_digits_and_keeps_weights_and_scores_whole(self):
        images, masks = arrays()
        batches = batches_of(np.arange(40), 10)
        half, single = (self.opened(f"training.precision={p}", "model.dropout=0") for p in ("bfloat16", "float32"))
        objectives = [s.train_epoch(images, masks, batches, rates(batches)) for s in (half, single)]
        assert objectives[0] != objectives[1]
        assert objectives[0] == pytest.approx(objectives[1], rel=1e-2)
        assert {array.dtype for array in half.weights().values()} == {np.dtype(np.float32)}
        probabilities = half.predict(images)
        assert probabilities.dtype == np.float32
        assert len(np.unique(probabilities)) > 1000  # bfloat16 has 128 values between 1/2 and 1

    def test_a_gpu_that_is_not_there_is_named_with_its_cure(self, bench):
        if torch.cuda.is_available():
            pytest.skip("there is a GPU")
        result = bench("run", "torch-twin", "--device", "gpu", "--dataset", "synthetic")
        assert result.exit_code == 2
        assert "--device cpu" in result.stderr


def moved(updates, weight, gradients, rate):
    """Make a step with each gradient at each rate, and return where the weight was after each."""
    places = []
    for number, (gradient, now) in enumerate(zip(gradients, rate, strict=True), start=1):
        weight.grad = torch.tensor(gradient)
        updates.step(now, number)
        places.append(weight.detach().numpy().copy())
    return places


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_adam_is_the_formula_of_keras(decay):
    """Kingma and Ba 2015, with epsilon added before the correction, and the betas that Keras rounds to float32."""
    generator = np.random.default_rng(0)
    gradients, rate = generator.normal(size=(30, 5)) * 1e-6, generator.uniform(1e-4, 1e-2, 30)  # near epsilon
    weight = torch.nn.Parameter(torch.ones(5, dtype=torch.float64))
    w, m, v = np.ones(5), np.zeros(5), np.zeros(5)
    b1, b2 = (float(np.float32(b)) for b in (0.9, 0.999))
    c1, c2 = (float(np.float32(1 - b)) for b in (0.9, 0.999))
    for number, place in enumerate(moved(Adam([weight], decay), weight, gradients, rate), start=1):
        g, now = gradients[number - 1], rate[number - 1]
        w = w - w * decay * now
        m, v = m + c1 * (g - m), v + c2 * (g * g - v)
        w = w - now * np.sqrt(1 - b2**number) / (1 - b1**number) * m / (np.sqrt(v) + 1e-7)
        np.testing.assert_allclose(place, w, rtol=1e-6 if decay else 1e-12)


def test_momentum_remembers_steps_and_not_gradients():
    """Keras: velocity = momentum * velocity - rate * gradient; weight += velocity."""
    generator = np.random.default_rng(0)
    gradients, rate = generator.normal(size=(30, 5)), np.concatenate([generator.uniform(0, 1e-2, 29), [0.0]])
    weight = torch.nn.Parameter(torch.ones(5, dtype=torch.float64))
    w, velocity = np.ones(5), np.zeros(5)
    momentum = float(np.float32(0.9))
    for place, g, now in zip(moved(Momentum([weight], 0.9), weight, gradients, rate), gradients, rate, strict=True):
        velocity = momentum * velocity - now * g
        w = w + velocity
        np.testing.assert_allclose(place, w, rtol=1e-12)
