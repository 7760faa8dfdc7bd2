"""How often intervals hold the truth for metrics on boundaries and objects: ``beyond_pixels.py [DATA_SETS]``.

As in ``intervals.py`` two benchmarks are scored on the same new groups, images and seeds. Three numbers of each image
are a mean plus normal effects of the group, the image and the seed, of which benchmarks share a part: the logit of how
probable it is that a boundary pixel is near the other boundary, and an object is matched; the logarithm of how many
objects are invented; and that of the Hausdorff distance. Boundary pixels, objects and distances are then drawn. The
truth over all that could be drawn, averaged over seeds, follows by quadrature.
"""

from __future__ import annotations

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import numpy as np
import numpy.typing as npt
from histograms import print_table
from intervals import NORMAL_POINTS, NORMAL_WEIGHTS, PIXELS, Chips, Floats, expit

from craterbench.metrics.intervals import confidence_interval, difference
from craterbench.metrics.metric import Metrics
from craterbench.metrics.statistics import Statistics

#: Of the logit of being near and matched, of the logarithm of invented objects, of that of the distance.
MEAN, BETTER = np.array([1.5, -1.0, 1.0]), np.array([0.15, -0.1, -0.05])
GROUP, GROUP_OWN = np.array([0.6, 0.4, 0.4]), np.array([0.2, 0.2, 0.15])
IMAGE, IMAGE_OWN, SEED_IMAGE = np.array([0.6, 0.4, 0.4]), np.array([0.3, 0.3, 0.2]), np.array([0.3, 0.3, 0.2])
SEEDS_APART = {"steady": np.array([0.1, 0.2, 0.05]), "restless": np.array([0.4, 0.6, 0.3])}

#: How many boundary pixels an image has, and objects.
BOUNDARY, OBJECTS = (30, 110), (1, 5)

METRICS = [Metrics().get(name) for name in ("surface_dice_2", "hausdorff_95", "object_recall", "object_f1")]


def draw(
    generator: np.random.Generator, apart: Floats, chips: Chips, sizes: npt.NDArray[np.int64], seeds: int
) -> list[dict[int, Statistics]]:
    """Return the runs of each benchmark on one data set; ``apart`` is the standard deviation of the seeds' effects."""
    num_groups, num_images = len(sizes), int(sizes.sum())
    groups, normal = np.repeat(np.arange(num_groups), sizes), generator.standard_normal
    of_group = GROUP * normal((1, 1, num_groups, 3)) + GROUP_OWN * normal((2, 1, num_groups, 3))
    effects = of_group[:, :, groups] + IMAGE * normal((1, 1, num_images, 3)) + IMAGE_OWN * normal((2, 1, num_images, 3))
    effects = effects + SEED_IMAGE * normal((2, seeds, num_images, 3)) + apart * normal((2, seeds, 1, 3))
    drawn = MEAN + effects + np.stack([0 * BETTER, BETTER])[:, None, None]
    edges, true = (np.broadcast_to(generator.integers(*of, num_images), drawn.shape[:3]) for of in (BOUNDARY, OBJECTS))
    near = generator.binomial(edges, expit(drawn[..., 0]))
    matched = generator.binomial(true, expit(drawn[..., 0]))
    found = matched + generator.poisson(np.exp(drawn[..., 1]))
    zeros, ones = np.zeros_like(near), np.ones_like(near)
    boundary = np.stack([zeros, 2 * near, edges, edges, np.exp(drawn[..., 2]), ones], axis=-1)
    objects = np.stack([zeros, zeros, matched, zeros, zeros, true, found], axis=-1)
    craters = generator.choice(chips.crater_pixels, num_images).astype(np.int64)
    confusion = np.stack([craters, 0 * craters, 0 * craters, PIXELS - craters], axis=-1)[:, None]
    return [
        {
            seed: Statistics({"confusion": confusion, "boundary": boundary[side, seed], "objects": objects[side, seed]},
                             groups)
            for seed in range(seeds)
        }
        for side in (0, 1)
    ]  # fmt: skip


def truth(apart: Floats, better: Floats) -> dict[str, float]:
    """Return each metric over all that could be drawn, averaged over seeds."""
    spread = np.sqrt(np.square([GROUP, GROUP_OWN, IMAGE, IMAGE_OWN, SEED_IMAGE]).sum(axis=0))
    weights = NORMAL_WEIGHTS / NORMAL_WEIGHTS.sum()
    of_seed = MEAN + better + apart * NORMAL_POINTS[:, None]
    rate = expit(of_seed[:, :1] + spread[0] * NORMAL_POINTS) @ weights
    invented, distance = (np.exp(of_seed[:, which] + spread[which] ** 2 / 2) for which in (1, 2))
    true = (OBJECTS[0] + OBJECTS[1] - 1) / 2
    matched = rate * true
    f1 = 2 * matched[:, None] / (true + matched[:, None] + invented)  # the effects of a seed are independent
    return {
        "surface_dice_2": float(rate @ weights),
        "hausdorff_95": float(distance @ weights),
        "object_recall": float(rate @ weights),
        "object_f1": float(weights @ f1 @ weights),
    }


def coverage(apart: Floats, chips: Chips, seeds: int, data_sets: int) -> dict[str, tuple[float, float]]:
    """Return how often the intervals of means and of differences hold the truth, by metric."""
    generator = np.random.default_rng(seeds)
    first, second = truth(apart, 0 * BETTER), truth(apart, BETTER)
    held = {metric.name: np.zeros(2) for metric in METRICS}
    for _ in range(data_sets):
        ours, theirs = draw(generator, apart, chips, chips.test, seeds)[::-1]
        for metric in METRICS:
            mean, paired = confidence_interval(list(ours.values()), metric), difference(ours, theirs, metric)
            assert paired is not None
            wanted = second[metric.name], second[metric.name] - first[metric.name]
            ends = ((mean.low, mean.high), (paired.low, paired.high))
            held[metric.name] += [low <= value <= high for value, (low, high) in zip(wanted, ends, strict=True)]
    return {name: (float(both[0]) / data_sets, float(both[1]) / data_sets) for name, both in held.items()}


def main() -> None:
    """Print the table."""
    print_table(__doc__, SEEDS_APART, coverage)


if __name__ == "__main__":
    main()
