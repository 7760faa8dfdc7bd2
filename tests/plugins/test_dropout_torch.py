"""Dropout has a distribution, not digits, to agree with: its rates, and that no element knows of another."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from craterbench_frameworks import torch_dropout
from craterbench_frameworks.torch_dropout import dropout

#: How unlikely what is seen may be, if dropout is as it should be; seeds are fixed, so a test does not change its mind.
UNLIKELY = 1e-6

#: The reference's rates, two that no 16 bits can say, and one that they can.
RATES = (0.1, 0.2, 0.3, 1 / 3, 1e-4, 0.5)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def dropped(rate: float, *shape: int) -> np.ndarray:
    """Return which elements were dropped."""
    return (dropout(torch.ones(shape), rate, True) == 0).numpy()


@pytest.mark.parametrize("rate", RATES)
def test_elements_are_dropped_at_the_rate(rate):
    masks = dropped(rate, 2000, 1001)
    assert stats.binomtest(int(masks.sum()), masks.size, rate).pvalue > UNLIKELY


@pytest.mark.parametrize("rate", RATES)
def test_the_rate_is_exact_though_words_are_of_16_bits(rate):
    """A word is rounded up or down by chance; the mean of many is the rate, to far less than the half of a word."""
    thresholds = np.array([torch_dropout._least_kept(rate) + 2**15 for _ in range(20_000)])
    assert set(thresholds) <= {np.floor(rate * 2**16), np.ceil(rate * 2**16)}
    if thresholds.std() == 0:
        assert thresholds[0] == rate * 2**16
    else:
        assert stats.ttest_1samp(thresholds, rate * 2**16).pvalue > UNLIKELY


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("layout", ["channels last", "contiguous", "not dense", "odd size", "no elements"])
def test_what_is_kept_is_scaled_and_so_is_its_gradient(dtype, layout):
    x = torch.rand(5, 3, 7, 9 if layout == "odd size" else 8).to(dtype) + 1
    if layout == "channels last":
        x = x.to(memory_format=torch.channels_last)
    if layout == "not dense":
        x = x[:, :2, ::2].expand(2, 5, 2, 4, 8)
    if layout == "no elements":
        x = x[:0]
    x.requires_grad_()
    y = dropout(x, 0.3, True)
    gradient = torch.rand(y.shape).to(dtype) + 1
    (back,) = torch.autograd.grad(y, x, gradient)
    kept = y != 0
    assert y.shape == x.shape
    assert y.dtype == back.dtype == dtype
    assert y.numel() == 0 or 0.4 < kept.double().mean() < 0.9
    torch.testing.assert_close(y, torch.where(kept, x.double() / 0.7, 0).to(dtype))
    torch.testing.assert_close(back, torch.where(kept, gradient.double() / 0.7, 0).to(dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_means_stay_as_they_were(dtype):
    x = torch.full((4000, 1000), 1.0, dtype=dtype)
    mean = float(dropout(x, 0.1, True).double().mean())
    rounding = 1e-7 if dtype == torch.float32 else 2**-9  # of 1 / 0.9, which is all that is kept
    assert mean == pytest.approx(1, abs=rounding + 5 * np.sqrt(0.1 / 0.9 / x.numel()))


def test_elements_know_nothing_of_their_neighbours_in_any_direction():
    """Four lie in one integer of the generator's: next to each other in memory, or in other rows."""
    masks = dropped(0.3, 500, 16, 16, 16)
    for axis, step in itertools.product(range(4), (1, 2, 3, 4)):
        here = masks.take(range(masks.shape[axis] - step), axis).ravel()
        there = masks.take(range(step, masks.shape[axis]), axis).ravel()
        assert independent(here, there), (axis, step)


def test_each_call_draws_anew_so_that_steps_and_layers_know_nothing_of_each_other():
    """Calls of one shape, as those of one layer in two steps, and of two, as those of two layers in one step."""
    first, second = dropped(0.1, 100, 10_000), dropped(0.1, 100, 10_000)
    other = dropped(0.3, 100, 20_000)
    assert independent(first, second)
    assert independent(second, other[:, :10_000])
    assert independent(second, other[:, 10_000:])


def independent(one: np.ndarray, other: np.ndarray) -> bool:
    """Say whether two series of yes and no agree as often as chance has it."""
    one, other = one.ravel(), other.ravel()
    counts = [[int((a & b).sum()) for b in (other, ~other)] for a in (one, ~one)]
    return bool(stats.chi2_contingency(counts, correction=False).pvalue > UNLIKELY)


def test_the_number_dropped_spreads_over_seeds_as_independent_elements_do():
    """Not only the mean: had the elements of a call a part of their chance in common, the counts would spread wider."""
    size, rate = 4099, 0.2
    counts = []
    for seed in range(2000):
        torch.manual_seed(seed)
        counts.append(int(dropped(rate, size).sum()))
    uniform = stats.binom(size, rate).cdf(np.array(counts)) - np.random.default_rng(0).uniform(
        size=len(counts)
    ) * stats.binom(size, rate).pmf(np.array(counts))
    assert stats.kstest(uniform, "uniform").pvalue > UNLIKELY


def test_a_seed_repeats_it_and_its_place_among_the_draws_counts():
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append([dropped(0.3, 999), dropped(0.3, 999)])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0][0] != drawn[0][1]).any()


@pytest.mark.parametrize(("rate", "training"), [(0.3, False), (0.0, True)])
def test_where_nothing_is_dropped_nothing_is_drawn(rate, training):
    x = torch.rand(10)
    before = torch.get_rng_state()
    assert dropout(x, rate, training) is x
    assert torch.equal(torch.get_rng_state(), before)


def test_rates_that_no_word_can_say_are_pytorchs():
    assert dropped(1 - 2**-20, 1000).all()
    assert dropped(1.0, 1000).all()
