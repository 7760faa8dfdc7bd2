"""PyTorch's own schedulers are the oracles."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from craterbench_schedules import Cosine, Cyclical, Exponential, OneCycle, Polynomial, WarmUp, WarmUpCosine
from craterbench_schedules.numpy import (
    cosine,
    cyclical,
    exponential,
    one_cycle,
    polynomial,
    warm_up,
    warm_up_cosine,
)

TOTAL = 200


def rates_of(scheduler_class, **options):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=5e-4)
    scheduler = scheduler_class(optimizer, **options)
    rates = []
    for _ in range(TOTAL):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_warm_up_is_torchs_linear_schedule():
    theirs = rates_of(torch.optim.lr_scheduler.LinearLR, start_factor=0.2, end_factor=1.0, total_iters=30)
    ours = warm_up(5e-4, np.arange(TOTAL), TOTAL, [], WarmUp(start=0.2, share=0.15))
    assert ours.tolist() == pytest.approx(theirs, rel=1e-9)


def test_cosine_is_torchs_cosine_annealing():
    theirs = rates_of(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=TOTAL, eta_min=5e-5)
    assert cosine(5e-4, np.arange(TOTAL), TOTAL, [], Cosine(final=0.1)).tolist() == pytest.approx(theirs, rel=1e-9)


def test_exponential_is_torchs_exponential_schedule():
    theirs = rates_of(torch.optim.lr_scheduler.ExponentialLR, gamma=0.01 ** (1 / TOTAL))
    assert exponential(5e-4, np.arange(TOTAL), TOTAL, [], Exponential()).tolist() == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("power", [0.9, 2.0])
def test_polynomial_is_torchs_polynomial_schedule(power):
    theirs = rates_of(torch.optim.lr_scheduler.PolynomialLR, total_iters=TOTAL, power=power)
    ours = polynomial(5e-4, np.arange(TOTAL), TOTAL, [], Polynomial(power=power))
    assert ours.tolist() == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("share", [0.3, 0.45])
def test_one_cycle_is_torchs(share):
    options = {"max_lr": 5e-4, "total_steps": TOTAL, "pct_start": share, "cycle_momentum": False}
    theirs = rates_of(torch.optim.lr_scheduler.OneCycleLR, div_factor=25, final_div_factor=1e4, **options)
    ours = one_cycle(5e-4, np.arange(TOTAL), TOTAL, [], OneCycle(share=share))
    assert ours.tolist() == pytest.approx(theirs, rel=1e-9)


def test_cyclical_is_torchs_triangular_schedule():
    theirs = rates_of(
        torch.optim.lr_scheduler.CyclicLR, base_lr=5e-5, max_lr=5e-4, step_size_up=TOTAL // 8, cycle_momentum=False
    )
    assert cyclical(5e-4, np.arange(TOTAL), TOTAL, [], Cyclical()).tolist() == pytest.approx(theirs, rel=1e-9)


def test_warm_up_with_cosine_is_torchs_two_schedules_one_after_the_other():
    rises = warm_up(5e-4, np.arange(40), TOTAL, [], WarmUp(start=0.2, share=0.2))
    falls = rates_of(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=TOTAL - 40, eta_min=5e-5)[: TOTAL - 40]
    asked = WarmUpCosine(start=0.2, share=0.2, final=0.1)
    ours = warm_up_cosine(5e-4, np.arange(TOTAL), TOTAL, [], asked)
    assert ours.tolist() == pytest.approx([*rises, *falls], rel=1e-9)
