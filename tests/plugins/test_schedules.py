"""The oracles of the other schedules are Keras' and PyTorch's own, in tests/keras and tests/torch."""

from __future__ import annotations

import numpy as np
import pytest

from craterbench.plugin.components import load
from craterbench.plugin.registry import Registry
from craterbench_schedules import Cosine, Exponential, Plateau, WarmUp
from craterbench_schedules.numpy import cosine, exponential, plateau, warm_up


def history(*bests: int) -> list[dict[str, int]]:
    return [{"epoch": epoch, "best": best} for epoch, best in enumerate(bests, start=1)]


def test_warm_up_rises_in_a_straight_line_and_stays():
    rates = warm_up(2.0, np.arange(8), 8, [], WarmUp(start=0.2, share=0.5))
    assert rates.tolist() == pytest.approx([0.4, 0.8, 1.2, 1.6, 2, 2, 2, 2])
    assert warm_up(2.0, np.arange(3), 3, [], WarmUp(share=0)).tolist() == [2, 2, 2]


def test_cosine_and_exponential_end_at_their_final_share():
    beyond = np.array([0, 1000])  # the step after the last
    assert cosine(2.0, beyond, 1000, [], Cosine()) == pytest.approx([2, 0])
    assert cosine(2.0, beyond, 1000, [], Cosine(final=0.1)) == pytest.approx([2, 0.2])
    assert exponential(2.0, beyond, 1000, [], Exponential()) == pytest.approx([2, 0.02])


def test_a_plateau_lowers_the_rate_each_time_its_patience_runs_out_and_never_below_the_lowest():
    asked = Plateau(factor=0.5, patience=2, lowest=0.2)
    bests = [1, 2, 2, 2, 2, 2, 7, 7, 7, 7, 7]
    rates = [plateau(1.0, np.arange(1), 1, history(*bests[:ended]), asked).item() for ended in range(len(bests) + 1)]
    assert rates == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2]


@pytest.mark.parametrize("total", [1, 2, 7])
@pytest.mark.parametrize("name", sorted(Registry.installed().names("schedule")))
def test_every_schedule_gives_a_rate_to_every_step_of_the_shortest_training_too(name, total):
    spec = Registry.installed().get("schedule", name)
    rates = load(spec.target)(0.5, np.arange(total), total, history(*[1] * 3), spec.parameters())
    assert rates.shape == (total,)
    assert ((rates >= 0) & (rates <= 0.5)).all()
