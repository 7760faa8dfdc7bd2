"""Statistics made from counts, and all built-in metrics of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from craterbench.metrics.metric import REGIONS, Metrics
from craterbench.metrics.statistics import Statistics


def made(confusion: np.ndarray, cross_entropy: np.ndarray, groups: np.ndarray) -> Statistics:
    """Return statistics from the confusion (N, 2, 4) and the summed cross-entropies (N, 2) of each image."""
    entropy = np.stack([cross_entropy, confusion.sum(axis=-1)], axis=-1)
    return Statistics({"confusion": confusion, "cross_entropy": entropy}, groups)


def scores(of: Statistics | Mapping[str, Any], region: str | None = None) -> dict[str, float]:
    """Return the built-in metrics that follow from statistics, or a record's sums, and how many pixels these are of.

    NaN where one is not defined. Over all regions those of statistics are the ones of a history, to the last digit.
    """
    sums = of.sums() if isinstance(of, Statistics) else of
    confusion = np.array(sums["confusion"])
    confusion = confusion.sum(axis=0) if region is None else confusion[REGIONS.index(region)]
    found = {"num_pixels": int(confusion.sum()), "num_crater_pixels": int(confusion[[0, 2]].sum())}
    for metric in Metrics():
        if not metric.is_in(sums):
            found[metric.name] = math.nan
        elif isinstance(of, Statistics) and region is None:
            found[metric.name] = of.value(metric)
        else:
            value = metric.score(sums, region)
            found[metric.name] = math.nan if value is None else value
    return found
