"""PyTorch's optimizers with Keras' updates, and one that a plugin brings as PyTorch has it."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from installed import install

from craterbench.config.resolve import parse_override, resolve
from craterbench.plugin import NoParameters, UserError
from craterbench.plugin.registry import Registry
from craterbench.training.session import open_session
from craterbench_optimizers import AdamW, RMSprop, Sgd
from craterbench_optimizers.torch import adam, adamw, nadam, rmsprop, sgd


def moved(optimizer, weight, gradients, rate):
    """Make a step with each gradient at each rate, and return where the weight was after each."""
    places = []
    for number, (gradient, now) in enumerate(zip(gradients, rate, strict=True), start=1):
        weight.grad = torch.tensor(gradient)
        for group in optimizer.param_groups:
            group["lr"], group["number"] = now, number
        optimizer.step()
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
    optimizer = adamw(AdamW(weight_decay=decay), [weight]) if decay else adam(NoParameters(), [weight])
    for number, place in enumerate(moved(optimizer, weight, gradients, rate), start=1):
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
    for place, g, now in zip(
        moved(sgd(Sgd(momentum=0.9), [weight]), weight, gradients, rate), gradients, rate, strict=True
    ):
        velocity = momentum * velocity - now * g
        w = w + velocity
        np.testing.assert_allclose(place, w, rtol=1e-12)


def test_nesterov_momentum_is_the_formula_of_keras():
    """Keras: velocity = momentum * velocity - rate * gradient; weight += momentum * velocity - rate * gradient."""
    generator = np.random.default_rng(0)
    gradients, rate = generator.normal(size=(30, 5)), generator.uniform(0, 1e-2, 30)
    weight = torch.nn.Parameter(torch.ones(5, dtype=torch.float64))
    w, velocity, momentum = np.ones(5), np.zeros(5), float(np.float32(0.9))
    asked = Sgd(momentum=0.9, nesterov=True)
    for place, g, now in zip(moved(sgd(asked, [weight]), weight, gradients, rate), gradients, rate, strict=True):
        velocity = momentum * velocity - now * g
        w = w + momentum * velocity - now * g
        np.testing.assert_allclose(place, w, rtol=1e-12)


def test_without_momentum_nesterov_is_plain_descent():
    weight = torch.nn.Parameter(torch.ones(5, dtype=torch.float64))
    (place,) = moved(sgd(Sgd(momentum=0, nesterov=True), [weight]), weight, [np.full(5, 2.0)], [0.1])
    np.testing.assert_allclose(place, 0.8)


def test_rmsprop_is_the_formula_of_keras_with_epsilon_below_the_root():
    generator = np.random.default_rng(0)
    gradients, rate = generator.normal(size=(30, 5)) * 1e-4, generator.uniform(1e-4, 1e-2, 30)  # squares near epsilon
    weight = torch.nn.Parameter(torch.ones(5, dtype=torch.float64))
    w, v = np.ones(5), np.zeros(5)
    places = moved(rmsprop(RMSprop(rho=0.8), [weight]), weight, gradients, rate)
    for place, g, now in zip(places, gradients, rate, strict=True):
        v = 0.8 * v + 0.2 * g * g
        w = w - now * g / np.sqrt(v + 1e-7)
        np.testing.assert_allclose(place, w, rtol=1e-12)


def test_nadam_is_the_formula_of_keras():
    """Dozat 2016, with the momentum beta * (1 - 0.5 * 0.96^step)."""
    generator = np.random.default_rng(0)
    gradients, rate = generator.normal(size=(30, 5)) * 1e-6, generator.uniform(1e-4, 1e-2, 30)
    weight = torch.nn.Parameter(torch.ones(5, dtype=torch.float64))
    w, m, v, product = np.ones(5), np.zeros(5), np.zeros(5), 1.0
    for step, place in enumerate(moved(nadam(NoParameters(), [weight]), weight, gradients, rate), start=1):
        g, now = gradients[step - 1], rate[step - 1]
        u, following = (0.9 * (1 - 0.5 * 0.96**number) for number in (step, step + 1))
        product *= u
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        hat = following * m / (1 - product * following) + (1 - u) * g / (1 - product)
        w = w - now * hat / (np.sqrt(v / (1 - 0.999**step)) + 1e-7)
        np.testing.assert_allclose(place, w, rtol=1e-9)  # PyTorch keeps the product in single precision


PLUGIN = """
from dataclasses import dataclass
from typing import Annotated

from craterbench.plugin import OptimizerSpec, Range, hookimpl


@dataclass(frozen=True, kw_only=True)
class RAdam:
    decay: Annotated[float, Range(0, 1)] = 0.0


@hookimpl
def bench_optimizers():
    return [OptimizerSpec(name="radam", summary="", target={"torch": "radam_code:radam"}, parameters=RAdam)]
"""

CODE = """
import torch


def radam(parameters, weights):
    return torch.optim.RAdam(weights, weight_decay=parameters.decay)
"""

RATES = np.array([1e-3, 2e-3, 5e-4, 1e-3])


@pytest.fixture
def opened(tmp_path, monkeypatch):
    install(tmp_path, "radam", PLUGIN)
    (tmp_path / "radam_code.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    small = ("framework=torch", "model.filters=4", "model.depth=2", "model.dropout=0", "optimizer.name=radam")

    def session(*settings: str, seed: int = 1):
        overrides = [parse_override(each) for each in (*small, "optimizer.learning_rate=1e-3", *settings)]
        benchmark = resolve(Registry.installed(), "reference", overrides).benchmark
        return open_session(benchmark, image_shape=(16, 16), seed=seed, device="cpu")

    return session


def data():
    images = np.random.default_rng(0).uniform(size=(40, 16, 16, 1)).astype(np.float32)
    return images, (images > 0.7).astype(np.uint8), [np.arange(start, start + 10) for start in range(0, 40, 10)]


def test_its_steps_are_those_of_a_plain_loop_at_the_rates_of_the_harness(opened):
    session = opened("optimizer.decay=0.1")
    plain = copy.deepcopy(session._model)
    images, masks, batches = data()
    session.train_epoch(images, masks, batches, RATES)
    optimizer = torch.optim.RAdam(plain.parameters(), weight_decay=0.1)
    plain.train()
    for rows, rate in zip(batches, RATES, strict=True):
        shown, truth = (torch.tensor(array[rows], dtype=torch.float32).permute(0, 3, 1, 2) for array in (images, masks))
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy(plain(shown), truth).backward()
        optimizer.step()
    for name, value in plain.state_dict().items():
        np.testing.assert_allclose(session._model.state_dict()[name], value, rtol=1e-4, atol=1e-6)


def test_it_goes_on_from_a_state_to_the_same_digits(opened):
    images, masks, batches = data()
    unbroken = opened()
    unbroken.train_epoch(images, masks, batches, RATES)
    state = unbroken.state()
    unbroken.train_epoch(images, masks, batches, RATES)
    resumed = opened(seed=2)
    resumed.load_state(state)
    resumed.train_epoch(images, masks, batches, RATES)
    for name, array in unbroken.weights().items():
        np.testing.assert_array_equal(resumed.weights()[name], array)


def test_its_parameters_are_checked_and_it_is_for_its_framework_alone(opened):
    with pytest.raises(UserError, match=r"optimizer\.decay: 2.0 is outside 0 to 1"):
        opened("optimizer.decay=2")
    with pytest.raises(UserError, match="optimizer 'radam' is not written for framework 'keras'; it is for torch"):
        opened("framework=keras")
