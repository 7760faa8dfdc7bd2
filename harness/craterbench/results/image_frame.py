"""The scored images of a results folder as a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from craterbench.metrics.metric import Metric, Metrics
from craterbench.metrics.statistics import Statistics
from craterbench.results.record import Record
from craterbench.results.statistics_file import statistics_file
from craterbench.results.store import Store

__all__ = ["images_frame"]

#: What stands first, of every image.
_IMAGE = ("run", "benchmark", "seed", "fold", "part", "image", "group")


def images_frame(
    store: Store, metrics: Metrics | None = None, parts: Sequence[str] = ("validation", "test")
) -> pd.DataFrame:
    """Return a row for each image of each scored part of each ended run, the oldest run first.

    The columns are ``run`` (its id), ``benchmark``, ``seed``, ``fold``, ``part``, ``image`` (its place in the part,
    from 0), ``group``, and each metric of the image alone, by its name; it is missing where it is not defined for the
    image, or the run lacks its statistic. ``attrs["notes"]`` has a line on each run that could not be read.

    Args:
        store: the results folder.
        metrics: those that are computed; by default the built-in ones.
        parts: which parts.
    """
    records, notes = store.records()
    known = list(metrics or Metrics())
    found = []
    for record in records:
        for part in parts:
            if part in record.parts:
                try:
                    arrays = store.statistics(record, part)
                    statistics = Statistics.beside(record.parts[part]["statistics"], arrays)
                except ValueError as error:
                    notes.append(f"{statistics_file(store.folder(record))}: its images are left out: {error}")
                else:
                    found.append(_images(record, part, statistics, known))
    columns = [*_IMAGE, *(metric.name for metric in known)]
    frame = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)
    frame.attrs["notes"] = list(dict.fromkeys(notes))
    return frame


def _images(record: Record, part: str, statistics: Statistics, metrics: Sequence[Metric]) -> pd.DataFrame:
    groups = statistics.groups
    about: dict[str, Any] = dict.fromkeys(_IMAGE)
    about |= {"run": record.id, "benchmark": record.benchmark, "seed": record.seed, "fold": record.fold, "part": part}
    about |= {"image": np.arange(len(groups)), "group": groups}
    values = {metric.name: _values(record, part, statistics, metric) for metric in metrics}
    frame = pd.DataFrame({**about, **values})
    return frame.astype({"fold": object})  # or pandas cannot put it beside that of another run


def _values(record: Record, part: str, statistics: Statistics, metric: Metric) -> Any:
    """Return a metric of each image (N,), or NaN where it is not there or would flatter (``Metric.score_part``)."""
    if not metric.is_in(statistics.arrays):
        return np.nan
    if not metric.tuned:
        return metric(statistics.of_images(metric.statistic))
    edge = None if part == "validation" else record.best_edge(metric)
    return np.nan if edge is None else metric.at_threshold(statistics.at_threshold(edge).of_images("confusion"))
