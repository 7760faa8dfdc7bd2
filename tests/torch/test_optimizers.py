"""An optimizer that a plugin brings as PyTorch has it."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from installed import install

from craterbench.config.resolve import parse_override, resolve
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry
from craterbench.training.session import open_session

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
