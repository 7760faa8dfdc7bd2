"""How often comparisons of many rows err: ``comparisons.py [DATA_SETS]``.

The world is that of ``intervals.py``, with a reference and five more benchmarks on the same images and seeds. Printed
are

- the family-wise error: in how many data sets any difference is found where there is none, by the 95 % intervals as
  they are, by Holm's p-values, and by simultaneous intervals. All five benchmarks are the reference's like, or two of
  them are better, and then only the other three can be false findings; how many of the two are found stands beside it.
- ``p_better``: true differences are drawn, as many above 0 as below and with a spread of several standard errors, and
  of all that are given about the same probability so many should truly be better.
- the verdicts at a margin: what is called better where the true difference is the margin itself, and what is called
  practically equal there, should be at most 2.5 % each; and what is said where there is no difference.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections import Counter
from collections.abc import Sequence

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import numpy as np
from intervals import ALIKE, SHIFTS, STEADY, WORLDS, Chips, Design, Floats, Pair, World, draw, shown, true_score

from craterbench.metrics.comparisons import VERDICTS, holm, practical_verdict, simultaneous_intervals
from craterbench.metrics.intervals import Estimate, PairedDifference, ResampledScores
from craterbench.metrics.metric import BALANCED_ACCURACY

ROWS = 5
BETTER: Pair = (0.3, 0.3)
MARGIN = 0.02
STEPS = (0.0, 0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975, 1.0)


def differences(
    generator: np.random.Generator, world: World, chips: Chips, design: Design, seeds: int, betters: Sequence[Pair]
) -> list[PairedDifference]:
    """Draw a data set and return the differences of all benchmarks to a reference."""
    sides = draw(generator, world, chips, design.draw(generator), seeds, (ALIKE, *betters))
    reference, *others = (ResampledScores.of(side, BALANCED_ACCURACY) for side in sides)
    found = [other.minus(reference) for other in others]
    return [each for each in found if each is not None]


def leaves_out_zero(interval: Estimate) -> bool:
    """Say whether an interval is a finding."""
    return interval.has_interval and not interval.low <= 0 <= interval.high


def family_wise(
    world: World, chips: Chips, design: Design, seeds: int, better: int, data_sets: int
) -> tuple[Floats, Floats]:
    """Return how often there is any false finding, and what share of the true ones is found, by each of three ways."""
    generator = np.random.default_rng([seeds, better])
    false, true = np.zeros(3), np.zeros(3)
    betters = [BETTER] * better + [ALIKE] * (ROWS - better)
    for _ in range(data_sets):
        found = differences(generator, world, chips, design, seeds, betters)
        ways = (
            [leaves_out_zero(each.interval) for each in found],
            [p < 0.05 for p in holm([each.p_value for each in found])],
            [leaves_out_zero(each) for each in simultaneous_intervals(found)],
        )
        false += [any(way[better:]) for way in ways]
        true += [sum(way[:better]) for way in ways]
    return false / data_sets, true / data_sets / max(better, 1)


def calibration(
    world: World, chips: Chips, design: Design, seeds: int, data_sets: int
) -> list[tuple[float, float, int]]:
    """Return for each step of ``p_better`` its mean, how many are truly better, and how many there are."""
    generator = np.random.default_rng(seeds)
    given, truly = [], []
    for _ in range(data_sets):
        shifts = generator.normal(0, 0.5, ROWS)
        found = differences(generator, world, chips, design, seeds, [(shift, shift) for shift in shifts])
        given += [each.p_above for each in found]
        truly += (shifts > 0).tolist()
    p, better = np.array(given), np.array(truly)
    bins = np.digitize(p, STEPS[1:-1])
    return [
        (float(p[bins == number].mean()), float(better[bins == number].mean()), int((bins == number).sum()))
        for number in range(len(STEPS) - 1)
        if (bins == number).any()
    ]


def verdicts(world: World, chips: Chips, design: Design, seeds: int, apart: float, data_sets: int) -> dict[str, float]:
    """Return how often each verdict is given where the true difference is ``apart``."""
    truth = [true_score(world, chips, design.sizes, (shift, shift)) for shift in SHIFTS]
    shift = float(np.interp(apart, np.array(truth) - truth[0], SHIFTS))
    generator = np.random.default_rng(seeds)
    counted: Counter[str | None] = Counter()
    for _ in range(data_sets):
        (found,) = differences(generator, world, chips, design, seeds, [(shift, shift)])
        counted[practical_verdict(found.interval, MARGIN)] += 1
    return {verdict: counted[verdict] / data_sets for verdict in VERDICTS}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_sets", type=int, nargs="?", default=1000)
    data_sets: int = parser.parse_args().data_sets
    started = time.process_time()
    chips = Chips()
    held_out = np.concatenate([chips.validation, chips.test])
    validation, test, ten, forty = (
        Design(f"validation ({len(chips.validation)})", chips.validation),
        Design(f"test ({len(chips.test)})", chips.test),
        Design("10 drawn", held_out, 10),
        Design("40 drawn", held_out, 40),
    )
    print(
        f"Data sets of {data_sets} with a false finding among {ROWS} differences, in %; * is above 5 and twice its "
        "error\n"
    )
    most = 0.05 + 2 * math.sqrt(0.05 * 0.95 / data_sets)
    ways = ("as it is", "Holm", "simultaneous")
    print(f"{'effects':10}{'groups':18}{'seeds':>6}{'better':>8}" + "".join(f"{way:>14}" for way in ways), end="")
    print(f"{'found:':>10}" + "".join(f"{way:>14}" for way in ways))
    for name, world in WORLDS.items():
        for design in (validation, test, ten, forty):
            for seeds, better in ((3, 0), (5, 0), (3, 2)):
                false, true = family_wise(world, chips, design, seeds, better, data_sets)
                erred = f"{100 * false[0]:13.1f} " + "".join(f"{shown(share, 0, most):>14}" for share in false[1:])
                found = "".join(f"{100 * share:14.1f}" for share in true) if better else ""
                print(f"{name:10}{design.name:18}{seeds:6}{better:8}{erred}{'':10}{found}", flush=True)
    print(
        "\nOf the differences with about the same p_better, in %: its mean, how many are truly better, and of how many"
    )
    for name, design, seeds in (("steady", test, 3), ("steady", test, 5), ("restless", test, 3), ("steady", ten, 3)):
        steps = calibration(WORLDS[name], chips, design, seeds, max(data_sets // 2, 1))
        text = "".join(f"{100 * p:7.1f}:{100 * better:5.1f} ({number})" for p, better, number in steps)
        print(f"{name:10}{design.name:14}{seeds:3} seeds{text}", flush=True)
    print(f"\nVerdicts at a margin of {MARGIN}, in %\n")
    heads = "".join(f"{verdict:>20}" for verdict in VERDICTS)
    print(f"{'effects':10}{'groups':18}{'seeds':>6}{'true difference':>17}{heads}")
    for name, world in (("steady", STEADY), ("mild", WORLDS["mild"])):
        for design in (test, forty):
            for apart in (0.0, MARGIN / 2, MARGIN, 2 * MARGIN):
                said = verdicts(world, chips, design, 5, apart, data_sets)
                text = "".join(f"{100 * said[verdict]:20.1f}" for verdict in VERDICTS)
                print(f"{name:10}{design.name:18}{5:6}{apart:17.3f}{text}", flush=True)
    print(f"\n{(time.process_time() - started) / 60:.0f} minutes of processor time")


if __name__ == "__main__":
    main()
