"""How often the 95 % intervals hold the truth: ``intervals.py [DATA_SETS]``.

Two benchmarks are simulated, the second a little better, and scored as tables score them: ``confidence_interval`` of
its balanced accuracy, ``difference`` of the two. Each data set is new: new groups, new images in them, new seeds. The
logit of an image's sensitivity, and that of its specificity, is a mean plus normal effects: of the group, the image,
the seed, the seed with the group, the seed with the image; group and image effects have a part that both benchmarks
share (which is why pairing helps) and one of each benchmark alone. Large craters are harder to fill, and large groups
are harder.

The truth is known because the score is linear in what is drawn. With the groups' sizes and the images' crater pixels
taken from a known list, the balanced accuracy pooled over all that could be drawn and averaged over all seeds is half
the sum of two means of an expit of a normal variable, weighted by pixels: a quadrature gives it to ten digits.

Sizes of groups are those of the validation and of the test part of the built-in chips, or 10 and 40 drawn anew for each
data set: from the groups of these two parts, or (``all``) from all 141 groups, the largest of which has a tenth of all
images and is by far the hardest, so that a data set with it and one without it disagree. Effects are of the size found
in trained runs of the reference (``steady`` seeds; its balanced accuracy on the test part is 0.88, with a standard
deviation of 0.003 over seeds), the same with seeds as far apart as in runs with a broken protocol (``restless``, 0.03),
and small ones (``mild``).

Below the coverage stands the power: with the true difference set to what ``minimum_detectable_difference`` then is in
the median, how many data sets have a difference whose interval leaves out 0. It should be 80 %.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import numpy as np
import numpy.typing as npt

from craterbench.data.split import group_split
from craterbench.metrics.intervals import confidence_interval, difference, minimum_detectable_difference
from craterbench.metrics.statistics import Statistics
from craterbench.plugin import NoParameters
from craterbench_mars.chips import mars_hrsc

Floats = npt.NDArray[np.float64]
Pair = tuple[float, float]  # of sensitivity and of specificity

ALIKE: Pair = (0.0, 0.0)
SEEDS = (3, 5, 10)
PIXELS = 48 * 48
SHIFTS = np.linspace(0, 4, 81)
NORMAL_POINTS, NORMAL_WEIGHTS = np.polynomial.hermite_e.hermegauss(61)


@dataclass(frozen=True)
class World:
    """Means, slopes and standard deviations of effects, on the logit scale."""

    mean: Pair = (2.6, 5.6)
    better: Pair = (0.15, 0.0)  # the second benchmark's mean minus the first's
    crater_slope: Pair = (-0.8, 0.6)  # per standard deviation of the logarithm of crater pixels
    size_slope: Pair = (-0.4, -0.4)  # per standard deviation of the logarithm of a group's images
    group: Pair = (1.2, 1.2)
    group_own: Pair = (0.3, 0.4)  # of each benchmark alone
    image: Pair = (0.7, 1.0)
    image_own: Pair = (0.5, 0.7)
    seed: Pair = (0.1, 0.25)
    seed_group: Pair = (0.15, 0.6)
    seed_image: Pair = (0.5, 0.7)
    group_correlation: float = -0.45  # between the effects on sensitivity and on specificity
    seed_correlation: float = -0.8


STEADY = World()
WORLDS = {
    "steady": STEADY,
    "restless": dataclasses.replace(STEADY, seed=(0.5, 0.7)),
    "mild": World(
        mean=(2.0, 4.0),
        crater_slope=(-0.1, 0.1),
        size_slope=(0.0, 0.0),
        group=(0.1, 0.1),
        group_own=(0.05, 0.05),
        image=(0.3, 0.3),
        image_own=(0.2, 0.2),
        seed=(0.05, 0.05),
        seed_group=(0.1, 0.1),
        seed_image=(0.2, 0.2),
    ),
}


class Chips:
    """What the built-in chips say about sizes: of craters in images, of groups in parts."""

    def __init__(self) -> None:
        dataset = mars_hrsc(NoParameters())
        train_val, test = dataset.train_val, dataset.test
        assert test is not None
        assert train_val.groups is not None
        assert test.groups is not None
        crater_pixels = train_val.masks.sum(axis=(1, 2, 3), dtype=np.int64)
        validation = group_split(train_val.groups, crater_pixels, 0.2, 42).part
        self.crater_pixels = np.concatenate([crater_pixels, test.masks.sum(axis=(1, 2, 3))]).astype(np.float64)
        self.validation = np.unique(train_val.groups[validation], return_counts=True)[1]
        self.test = np.unique(test.groups, return_counts=True)[1]
        self.all = np.unique(np.concatenate([train_val.groups, test.groups]), return_counts=True)[1]

    def crater_score(self, pixels: Floats) -> Floats:
        """Standardise the logarithm of crater pixels."""
        return standardised(pixels, self.crater_pixels)

    def size_score(self, sizes: npt.NDArray[np.int64]) -> Floats:
        """Standardise the logarithm of groups' sizes."""
        return standardised(sizes, self.all)


@dataclass(frozen=True)
class Design:
    """How many groups of which sizes a data set has: the sizes as they are, or so many drawn from them."""

    name: str
    sizes: npt.NDArray[np.int64]
    drawn: int = 0

    def draw(self, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        """Return the sizes of one data set's groups."""
        return generator.choice(self.sizes, self.drawn) if self.drawn else self.sizes


def standardised(values: npt.NDArray[np.generic], among: npt.NDArray[np.generic]) -> Floats:
    """Return the logarithm of values, with the mean and the standard deviation of those among which they are."""
    logarithms = np.log(among.astype(np.float64))
    return np.asarray((np.log(values.astype(np.float64)) - logarithms.mean()) / logarithms.std())


def expit(x: Floats) -> Floats:
    """Return the logistic function."""
    return np.asarray(1 / (1 + np.exp(-x)))


def true_score(world: World, chips: Chips, sizes: npt.NDArray[np.int64], better: Pair) -> float:
    """Return the balanced accuracy pooled over all that could be drawn, averaged over all seeds."""
    effects = (world.group, world.group_own, world.image, world.image_own, world.seed, world.seed_group)
    spread = np.sqrt(np.sum(np.square([*effects, world.seed_image]), axis=0))
    craters, groups = chips.crater_score(chips.crater_pixels)[:, None], chips.size_score(sizes)
    both = 0.0
    for which, pixels in enumerate((chips.crater_pixels, PIXELS - chips.crater_pixels)):
        means = world.mean[which] + better[which] + world.crater_slope[which] * craters
        means = means + world.size_slope[which] * groups
        expected = expit(means[..., None] + spread[which] * NORMAL_POINTS) @ NORMAL_WEIGHTS / NORMAL_WEIGHTS.sum()
        both += float(np.average(expected, weights=np.outer(pixels, sizes)))
    return both / 2


def correlated(generator: np.random.Generator, correlation: float, shape: tuple[int, ...]) -> Floats:
    """Return standard normal pairs (..., 2)."""
    first, other = generator.standard_normal((2, *shape))
    return np.stack([first, correlation * first + math.sqrt(1 - correlation**2) * other], axis=-1)


def draw(
    generator: np.random.Generator,
    world: World,
    chips: Chips,
    sizes: npt.NDArray[np.int64],
    seeds: int,
    betters: Sequence[Pair],
) -> list[dict[int, Statistics]]:
    """Return the runs of each benchmark on one data set; ``betters`` has how far its means are from the world's."""
    num_benchmarks = len(betters)
    num_groups, num_images = len(sizes), int(sizes.sum())
    groups = np.repeat(np.arange(num_groups), sizes)
    craters = generator.choice(chips.crater_pixels, num_images)
    normal = generator.standard_normal
    of_group = np.asarray(world.group) * correlated(generator, world.group_correlation, (1, 1, num_groups))
    of_group = of_group + world.group_own * correlated(
        generator, world.group_correlation, (num_benchmarks, 1, num_groups)
    )
    of_group = of_group + world.seed_group * correlated(
        generator, world.seed_correlation, (num_benchmarks, seeds, num_groups)
    )
    of_group += np.multiply.outer(chips.size_score(sizes), world.size_slope)
    of_image = np.asarray(world.image) * normal((1, 1, num_images, 2))
    of_image = of_image + world.image_own * normal((num_benchmarks, 1, num_images, 2))
    of_image = of_image + world.seed_image * normal((num_benchmarks, seeds, num_images, 2))
    of_image += np.multiply.outer(chips.crater_score(craters), world.crater_slope)
    of_seed = np.asarray(world.seed) * correlated(generator, world.seed_correlation, (num_benchmarks, seeds, 1))
    logits = np.asarray(world.mean) + of_group[:, :, groups] + of_image + of_seed
    logits += np.asarray(betters)[:, None, None]
    rates = expit(logits)
    found, left = np.rint(rates[..., 0] * craters), np.rint(rates[..., 1] * (PIXELS - craters))
    confusion = np.stack([found, PIXELS - craters - left, craters - found, left], axis=-1).astype(np.int64)
    return [
        {seed: Statistics({"confusion": one[:, None]}, groups) for seed, one in enumerate(benchmark)}
        for benchmark in confusion
    ]


def coverage(
    world: World, chips: Chips, design: Design, seeds: tuple[int, ...], data_sets: int
) -> tuple[list[float], list[float]]:
    """Return how often the interval of the mean holds the truth, and that of the difference, for each number of seeds.

    A data set is drawn with the most seeds; fewer are the first of them.
    """
    generator = np.random.default_rng(data_sets)
    second = true_score(world, chips, design.sizes, world.better)
    apart = second - true_score(world, chips, design.sizes, ALIKE)
    held = np.zeros((2, len(seeds)))
    for _ in range(data_sets):
        runs = draw(generator, world, chips, design.draw(generator), max(seeds), (ALIKE, world.better))
        for column, number in enumerate(seeds):
            first, better = ({seed: side[seed] for seed in range(number)} for side in runs)
            mean, paired = confidence_interval(list(better.values())), difference(better, first)
            assert paired is not None
            held[:, column] += (mean.low <= second <= mean.high, paired.low <= apart <= paired.high)
    means, differences = (held / data_sets).tolist()
    return means, differences


def power(world: World, chips: Chips, design: Design, seeds: int, data_sets: int) -> tuple[float, float]:
    """Return the true difference that is its own median smallest difference, and how often it is found."""
    truth = [true_score(world, chips, design.sizes, (shift, shift)) for shift in SHIFTS]
    apart = np.array(truth) - true_score(world, chips, design.sizes, ALIKE)

    def data(better: float, number: int) -> Iterator[list[dict[int, Statistics]]]:
        generator = np.random.default_rng([seeds, number])
        for _ in range(number):
            yield draw(generator, world, chips, design.draw(generator), seeds, (ALIKE, (better, better)))

    better = smallest = 0.0
    for _ in range(4):  # what is better on average varies more, so that the difference to be found grows with itself
        smallest = float(
            np.median([minimum_detectable_difference(second, first) for first, second in data(better, 100)])
        )
        better = float(np.interp(smallest, apart, SHIFTS))
    found = 0
    for first, second in data(better, data_sets):
        paired = difference(second, first)
        assert paired is not None
        found += not paired.low <= 0 <= paired.high
    return smallest, found / data_sets


def shown(share: float, least: float, most: float) -> str:
    """Write a share in percent, with a mark where it is outside."""
    return f"{100 * share:5.1f}{' ' if least <= share <= most else '*'}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_sets", type=int, nargs="?", default=2000)
    data_sets: int = parser.parse_args().data_sets
    started = time.process_time()
    chips = Chips()
    held_out = np.concatenate([chips.validation, chips.test])
    designs = [
        Design(f"validation ({len(chips.validation)})", chips.validation),
        Design(f"test ({len(chips.test)})", chips.test),
        Design("10 drawn", held_out, 10),
        Design("40 drawn", held_out, 40),
    ]
    of_all = [Design("10 of all", chips.all, 10), Design("40 of all", chips.all, 40)]
    error = 100 * math.sqrt(0.95 * 0.05 / data_sets)
    print(f"Coverage of 95 % intervals, in % of {data_sets} data sets (± {error:.1f}); * is outside 92 to 98\n")
    seeds_head = "".join(f"{seeds:>4} seeds" for seeds in SEEDS)
    print(f"{'effects':10}{'groups':18}{'mean:':>6}{seeds_head}{'difference:':>15}{seeds_head}")
    for name, world in WORLDS.items():
        for design in designs + (of_all if world is STEADY else []):
            sides = coverage(world, chips, design, SEEDS, data_sets)
            means, differences = ("".join(f"{shown(share, 0.92, 0.98):>10}" for share in side) for side in sides)
            print(f"{name:10}{design.name:18}{'':6}{means}{'':15}{differences}", flush=True)
    print("\nOne seed, where seeds make no difference (with one, nothing is known about them)\n")
    alike = dataclasses.replace(STEADY, seed=(0.0, 0.0))
    for design in designs:
        (mean,), (apart,) = coverage(alike, chips, design, (1,), data_sets)
        mean_shown, apart_shown = (shown(share, 0.92, 0.98) for share in (mean, apart))
        print(f"{'':10}{design.name:18}{'mean':>6}{mean_shown:>10}{'difference':>15}{apart_shown:>10}", flush=True)
    print(
        "\nPower, in %, where the true difference is the median minimum_detectable_difference; * is outside 70 to 90\n"
    )
    print(f"{'effects':10}{'groups':18}{'seeds':>6}{'difference':>15}{'power':>10}")
    for name in ("steady", "restless"):
        for design in designs:
            for seeds in (3, 10):
                smallest, share = power(WORLDS[name], chips, design, seeds, data_sets // 4)
                print(f"{name:10}{design.name:18}{seeds:>6}{smallest:>15.4f}{shown(share, 0.7, 0.9):>10}", flush=True)
    print(f"\n{time.process_time() - started:.0f} s of processor time")


if __name__ == "__main__":
    main()
