from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from craterbench.metrics.selection_bias import expected_maximum, pooled_sd


@pytest.mark.parametrize(
    ("number", "known"),
    [
        # exact, and from tables of normal order statistics (Harter, 1961, Biometrika 48)
        (1, 0.0),
        (2, 1 / math.sqrt(math.pi)),
        (3, 1.5 / math.sqrt(math.pi)),
        (10, 1.53875),
        (50, 2.24907),
        (100, 2.50759),
    ],
)
def test_the_best_of_equal_settings_is_as_lucky_as_the_tables_say(number, known):
    assert expected_maximum(number, 1.0) == pytest.approx(known, abs=5e-6)
    assert expected_maximum(number, 0.008) == pytest.approx(0.008 * known, abs=5e-8)


@pytest.mark.parametrize("number", [7, 50, 2000])
def test_the_best_of_equal_settings_is_as_lucky_as_draws_are(number):
    best = np.random.default_rng(number).normal(0.85, 0.01, size=(5000, number)).max(axis=1) - 0.85
    assert expected_maximum(number, 0.01) == pytest.approx(best.mean(), abs=4 * best.std() / math.sqrt(best.size))


def test_luck_grows_as_the_logarithm_does_however_many_are_tried():
    # bounds for every n (Kamath, 2015): sd * sqrt(2 ln n) above, sd / sqrt(pi ln 2) * sqrt(ln n) below
    for exponent in range(1, 13):
        log = math.log(10.0**exponent)
        assert math.sqrt(log / (math.pi * math.log(2))) <= expected_maximum(10**exponent, 1.0) <= math.sqrt(2 * log)


def test_there_is_no_best_of_none():
    with pytest.raises(ValueError, match="no best of 0"):
        expected_maximum(0, 1.0)


def test_a_pooled_deviation_leaves_out_what_lies_between_groups():
    assert pooled_sd([[1.0, 3.0], [101.0, 103.0]]) == pytest.approx(math.sqrt(2))
    one = [0.81, 0.83, 0.86]
    assert pooled_sd([one]) == pytest.approx(statistics.stdev(one))
    other = [0.5, 0.7]
    weighed = (2 * statistics.variance(one) + statistics.variance(other)) / 3
    assert pooled_sd([one, other, [0.9], []]) == pytest.approx(math.sqrt(weighed))


def test_a_pooled_deviation_of_single_values_is_unknown():
    assert pooled_sd([]) is None
    assert pooled_sd([[], [0.8], [0.9]]) is None
