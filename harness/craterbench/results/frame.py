"""A results folder as a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from craterbench.config.benchmark import flatten
from craterbench.metrics.metric import REGIONS, Metric, Metrics
from craterbench.results.record import Record
from craterbench.results.store import Store

__all__ = ["runs_frame"]

#: What stands first, of every run; the config and the scores follow, and then what the run cost.
_RUN = ("id", "benchmark", "seed", "fold", "status", "started")
_COSTS = ("num_weights", "epochs", "best_epoch", "images_per_second", "peak_memory")


def runs_frame(store: Store, metrics: Metrics | None = None) -> pd.DataFrame:
    """Return a row for each ended run, the oldest first, by its id; what a run lacks is missing.

    The columns are ``benchmark``, ``seed``, ``fold``, ``status`` and ``started``; the keys of the config, dotted, such
    as ``optimizer.learning_rate``; of each part its scores and its fingerprint, such as ``test.balanced_accuracy`` and
    ``test.rim.dice``: numbers may be compared where fingerprints are equal; and the costs, such as
    ``seconds.training`` (s) and ``peak_memory`` (bytes). Records that cannot be read are left out.

    Args:
        store: the results folder.
        metrics: those that are computed; by default the built-in ones.
    """
    records, _ = store.records()
    found = pd.DataFrame(
        [_row(record, list(metrics or Metrics())) for record in records], columns=None if records else list(_RUN)
    )
    return found.set_index("id")


def _row(record: Record, metrics: Sequence[Metric]) -> dict[str, Any]:
    config = {key: value for key, value in flatten(record.config).items() if key != "summary"}
    scores = {
        f"{name}.{key}": value for name in record.parts for key, value in _scores_of(record, name, metrics).items()
    }
    return {
        **{key: getattr(record, key) for key in _RUN},
        **config,
        **scores,
        **{f"seconds.{key}": value for key, value in record.seconds.items()},
        **{key: getattr(record, key) for key in _COSTS},
    }


def _scores_of(record: Record, name: str, metrics: Sequence[Metric]) -> dict[str, Any]:
    """Return the fingerprint of a part and its metrics: over all pixels by their names, of a region behind its own."""
    part = record.parts[name]
    scores = {metric.name: record.score(name, metric) for metric in metrics}
    for region in REGIONS:
        regional = (metric for metric in metrics if not metric.own_statistic)
        scores |= {f"{region}.{metric.name}": record.score(name, metric, region) for metric in regional}
    return {"fingerprint": part["fingerprint"], "num_images": part["num_images"]} | scores
