"""How often intervals hold the truth for metrics of every threshold and of tuned ones: ``histograms.py [DATA_SETS]``.

As in ``intervals.py`` two benchmarks are scored on the same new groups, images and seeds. Here the logits of an image's
pixels are normal, those of its crater pixels and those of its background apart, and the effects of groups, images and
seeds move their means. So the logits of all pixels that could be drawn are normal for each seed, too: AUROC and average
precision over these, averaged over seeds, are the truth, by quadrature.

A tuned metric is taken at the threshold that is best on the run's own validation part, of other images. What its
interval should hold is the mean over validation parts and seeds of the score at that threshold over all pixels that
could be drawn. It is averaged over the simulated runs themselves.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import numpy as np
import numpy.typing as npt
from intervals import NORMAL_POINTS, NORMAL_WEIGHTS, PIXELS, Chips, Floats, shown
from scipy.special import logit, ndtr

from craterbench.metrics.histogram import EDGES, confusion_at
from craterbench.metrics.intervals import confidence_interval, difference
from craterbench.metrics.metric import Metric, Metrics
from craterbench.metrics.statistics import Statistics

SEEDS = (3, 5)
MIDDLE = len(EDGES) // 2
LOGITS = logit(EDGES)


@dataclass(frozen=True)
class World:
    """Means and standard deviations of logits, of background and of crater pixels."""

    mean: Floats
    pixel: Floats
    group: Floats
    group_own: Floats
    image: Floats
    image_own: Floats
    seed: Floats
    seed_group: Floats
    seed_image: Floats

    @property
    def spread(self) -> Floats:
        """The standard deviation of all logits of one seed."""
        apart = (self.pixel, self.group, self.group_own, self.image, self.image_own, self.seed_group, self.seed_image)
        return np.asarray(np.sqrt(np.square(apart).sum(axis=0)))


STEADY = World(*np.array([[-4.5, 1.2], [2.0, 2.2], [0.8, 1.0], [0.2, 0.3], [0.7, 0.7], [0.4, 0.4], [0.3, 0.3],
                          [0.3, 0.3], [0.4, 0.4]]))  # fmt: skip
WORLDS = {"steady": STEADY, "restless": replace(STEADY, seed=np.array([0.8, 0.8]))}
BETTER = np.array([-0.1, 0.2])


def histogram(means: Floats, spread: Floats, pixels: Floats) -> Floats:
    """Return (..., 2 * bins) of normal logits with means and numbers of pixels (..., 2)."""
    below = ndtr((LOGITS - means[..., None]) / spread[:, None])
    counted = np.rint(below * pixels[..., None])  # so that every image keeps its pixels
    ends = [np.zeros_like(pixels)[..., None], pixels[..., None]]
    found = np.diff(np.concatenate([ends[0], counted, ends[1]], axis=-1), axis=-1)
    return found.reshape(*found.shape[:-2], -1)


def draw(
    generator: np.random.Generator, world: World, chips: Chips, sizes: npt.NDArray[np.int64], moved: Floats
) -> list[list[Statistics]]:
    """Return the statistics of a part for each benchmark and seed; ``moved`` (2, seeds, 2) has the seeds' effects."""
    num_groups, num_images, num_seeds = len(sizes), int(sizes.sum()), moved.shape[1]
    groups = np.repeat(np.arange(num_groups), sizes)
    normal = generator.standard_normal
    of_group = world.group * normal((1, 1, num_groups, 2)) + world.group_own * normal((2, 1, num_groups, 2))
    of_group = of_group + world.seed_group * normal((2, num_seeds, num_groups, 2))
    of_image = world.image * normal((1, 1, num_images, 2)) + world.image_own * normal((2, 1, num_images, 2))
    of_image = of_image + world.seed_image * normal((2, num_seeds, num_images, 2))
    means = world.mean + of_group[:, :, groups] + of_image + moved[:, :, None]
    craters = generator.choice(chips.crater_pixels, num_images)
    pixels = np.broadcast_to(np.stack([PIXELS - craters, craters], axis=-1), means.shape)
    counted = histogram(means, world.pixel, pixels).astype(np.int64)
    return [
        [
            Statistics({"histogram": one[:, None], "confusion": confusion_at(one, MIDDLE)[:, None]}, groups)
            for one in each
        ]
        for each in counted
    ]


def population(world: World, chips: Chips, moved: Floats) -> Floats:
    """Return the histograms (..., 2 * bins) of all that could be drawn, for effects of seeds (..., 2)."""
    crater = float(chips.crater_pixels.mean())
    pixels = np.broadcast_to(1e9 * np.array([PIXELS - crater, crater]) / PIXELS, moved.shape)
    return histogram(world.mean + moved, world.spread, pixels)


def truth(world: World, chips: Chips, metric: Metric) -> tuple[float, float]:
    """Return a metric over all that could be drawn, averaged over seeds: the better benchmark's, and the difference."""
    effects = np.stack(np.meshgrid(NORMAL_POINTS, NORMAL_POINTS, indexing="ij"), axis=-1) * world.seed
    weights = np.outer(NORMAL_WEIGHTS, NORMAL_WEIGHTS) / NORMAL_WEIGHTS.sum() ** 2
    first, second = (
        float((metric(population(world, chips, effects + better)) * weights).sum()) for better in (0 * BETTER, BETTER)
    )
    return second, second - first


def coverage(world: World, chips: Chips, seeds: int, data_sets: int) -> dict[str, tuple[float, float]]:
    """Return how often the intervals of means and of differences hold the truth, by metric."""
    generator = np.random.default_rng(seeds)
    metrics = [Metrics().get(name) for name in ("auroc", "average_precision")]
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    tuned = [Metrics().get(name) for name in ("balanced_accuracy_tuned", "dice_tuned")]
    at_thresholds: dict[str, list[list[float]]] = {metric.name: [] for metric in tuned}
    for _ in range(data_sets):
        moved = world.seed * generator.standard_normal((2, seeds, 2))
        moved[1] += BETTER
        validation, test = (draw(generator, world, chips, sizes, moved) for sizes in (chips.validation, chips.test))
        everything = population(world, chips, moved)
        scored = [(metric, test) for metric in metrics]
        for metric in tuned:
            edges = [[metric.best_edge(run.sums()) or 0 for run in each] for each in validation]
            at_edges = [
                [float(metric.at_threshold(confusion_at(everything[side, s], edges[side][s]))) for s in range(seeds)]
                for side in (0, 1)
            ]
            at_thresholds[metric.name].append([float(np.mean(each)) for each in at_edges])
            called = [
                [run.at_threshold(edge) for run, edge in zip(*each, strict=True)]
                for each in zip(test, edges, strict=True)
            ]
            scored.append((replace(metric.at_threshold, name=metric.name), called))
        for metric, (first, second) in scored:
            mean = confidence_interval(second, metric)
            apart = difference(dict(enumerate(second)), dict(enumerate(first)), metric)
            assert apart is not None
            found.setdefault(metric.name, []).append((mean.low, mean.high, apart.low, apart.high))
    truths = {metric.name: truth(world, chips, metric) for metric in metrics}
    for name, scores in at_thresholds.items():
        before, after = np.mean(scores, axis=0)
        truths[name] = (float(after), float(after - before))
    held = {}
    for name, ends in found.items():
        low, high, low_apart, high_apart = np.array(ends).T
        wanted, wanted_apart = truths[name]
        held[name] = (
            float(((low <= wanted) & (wanted <= high)).mean()),
            float(((low_apart <= wanted_apart) & (wanted_apart <= high_apart)).mean()),
        )
    return held


def print_table(
    description: str | None,
    worlds: Mapping[str, Any],
    coverage: Callable[[Any, Chips, int, int], Mapping[str, tuple[float, float]]],
) -> None:
    """Print how often the intervals of each metric hold the truth, in as many data sets as the command line says.

    Args:
        description: of the script, for ``--help``.
        worlds: what the effects are, by name.
        coverage: returns for such effects, chips, a number of seeds and one of data sets the coverage of the mean and
            that of the difference, by the name of the metric.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_sets", type=int, nargs="?", default=500)
    data_sets: int = parser.parse_args().data_sets
    chips = Chips()
    error = 100 * math.sqrt(0.95 * 0.05 / data_sets)
    print(f"Coverage of 95 % intervals, in % of {data_sets} data sets (± {error:.1f}); * is outside 92 to 98\n")
    print(f"{'effects':10}{'seeds':>6}  {'metric':26}{'mean':>8}{'difference':>14}")
    for name, world in worlds.items():
        for seeds in SEEDS:
            for metric, (mean, apart) in coverage(world, chips, seeds, data_sets).items():
                both = f"{shown(mean, 0.92, 0.98):>9}{shown(apart, 0.92, 0.98):>14}"
                print(f"{name:10}{seeds:6}  {metric:26}{both}", flush=True)


def main() -> None:
    """Print the table."""
    print_table(__doc__, WORLDS, coverage)


if __name__ == "__main__":
    main()
