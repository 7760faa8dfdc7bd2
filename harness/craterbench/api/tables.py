"""What is in a results folder, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from craterbench.api.arguments import AnyPath, overrides_of
from craterbench.metrics.metric import Metrics
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry
from craterbench.report.table.table import tabulate
from craterbench.report.table.table_frame import frame as table_frame
from craterbench.results.frame import runs_frame
from craterbench.results.image_frame import images_frame
from craterbench.results.store import Store

__all__ = ["per_image", "runs", "table"]


def runs(results: AnyPath = "results") -> pd.DataFrame:
    """Return a row for each ended run of a results folder (see ``craterbench.results.frame.runs_frame``).

    The trials of a study are the runs of its folder, ``results/studies/NAME``.
    """
    return runs_frame(Store(Path(results)), Metrics.of(Registry.installed()))


def per_image(results: AnyPath = "results") -> pd.DataFrame:
    """Return a row for each image of each scored part of each ended run, as ``bench table --per-image --test`` prints.

    The columns are those of ``craterbench.results.image_frame.images_frame``; ``attrs["notes"]`` says what could not be
    read. So ``per_image().groupby(["benchmark", "part"])["dice"].describe()`` has the quartiles of Dice over images.
    """
    return images_frame(Store(Path(results)), Metrics.of(Registry.installed()))


def table(
    results: AnyPath = "results",
    *,
    test: bool = False,
    columns: Sequence[str] = ("all",),
    sort: str | None = None,
    where: Mapping[str, Any] | None = None,
    baseline: str | None = None,
    margin: float | None = None,
) -> pd.DataFrame:
    """Return the table that ``bench table`` shows, with a row for each benchmark over its seeds and folds.

    The columns are ``(part, metric, field)``, such as ``("test", "balanced_accuracy", "mean")``, with ``sd``, and
    ``low`` and ``high`` of the 95 % interval; the part is empty for what was not scored. Jupyter shows it as a table.
    What is to be said of the numbers, such as warnings, is in ``attrs["notes"]``.

    Args:
        results: the folder of results.
        test: whether to show the test part too.
        columns: columns or dotted keys of the config; ``["all"]`` is all columns.
        sort: a column or a dotted key, with ``-`` before it for the greatest first.
        where: what the runs are to have, such as ``{"loss.name": "dice"}``.
        baseline: the name of the row that the others are compared with; by default ``reference``.
        margin: the smallest difference of balanced accuracy that matters; each row then has a ``verdict``: better,
            worse, practically equal or undecided.

    Raises:
        UserError: there are no runs, there is no such column, key, value or baseline, or the margin is not between 0
            and 1.
    """
    store = Store(Path(results))
    records, damaged = store.records()
    if not records:
        raise UserError("\n".join([f"no runs in {results}", *damaged]))
    conditions = [str(override) for override in overrides_of(where or {})]
    found = tabulate(
        store,
        records,
        test=test,
        columns=columns,
        sort=sort,
        where=conditions,
        baseline=baseline,
        margin=margin,
        whole_names=True,
        notes=damaged,
        metrics=Metrics.of(Registry.installed()),
    )
    shown = table_frame(found)
    shown.attrs["notes"] = found.lines
    return shown
