"""PyTorch's own schedulers are the oracles."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from craterbench_schedules import Cosine, Exponential, WarmUp
from craterbench_schedules.numpy import cosine, exponential, warm_up

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
