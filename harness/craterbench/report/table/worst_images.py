"""The images that a table's rows do worst on, for the page: the same ones for every row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from craterbench.metrics.metric import Metrics
from craterbench.report.estimate_text import number_text
from craterbench.report.table.row_intervals import REFERENCE, RowIntervals
from craterbench.report.table.rows import Row, ScoredRuns, label_fingerprints
from craterbench.results.store import Store

__all__ = ["NUM_WORST", "worst_images"]

#: How many are shown.
NUM_WORST = 8

_DICE = Metrics().get("dice")


def worst_images(rows: Sequence[Row], store: Store, parts: Iterable[str]) -> str:
    """Return a table for each fingerprint of the parts: the Dice of single images, as the mean over a row's runs.

    They are those on which the reference does worst, or where it is not there the first row.

    Args:
        rows: those that are shown.
        store: of the statistics behind them.
        parts: the parts that are shown.
    """
    evidence, found = RowIntervals(store, rows), []
    for label, example in [each for part in parts for each in label_fingerprints(rows, part)]:
        wanted = example.part, example.fingerprint
        scored = [one for row in rows for one in row.scored if (one.part, one.fingerprint) == wanted]
        values = {one: each for one in scored if (each := _dice(evidence, one)) is not None}
        if values:
            found.append(_grid(label, values, evidence.runs(next(iter(values)), _DICE)[0].groups))
    if not found:
        return ""
    return (
        "<h2>Worst images</h2>"
        '<p class="dim">Dice of single images, as the mean over runs. An image is called by its place in the part, as '
        "in <code>statistics.npz</code> and in <code>bench table --per-image</code>.</p>" + "".join(found)
    )


def _dice(evidence: RowIntervals, scored: ScoredRuns) -> npt.NDArray[np.float64] | None:
    """Return the Dice of each image (N,), the mean over a row's runs, or ``None`` where they cannot be had."""
    runs = evidence.runs(scored, _DICE)
    if not runs:
        return None
    mean: npt.NDArray[np.float64] = np.mean([_DICE(run.of_images(_DICE.statistic)) for run in runs], axis=0)
    return mean


def _grid(label: str, values: dict[ScoredRuns, npt.NDArray[np.float64]], groups: npt.NDArray[Any]) -> str:
    reference = next((one for one in values if one.row.newest.benchmark == REFERENCE), next(iter(values)))
    worst = np.argsort(values[reference], kind="stable")[:NUM_WORST]
    heads = "".join(f'<th class="number">image {image}<br>group {groups[image]}</th>' for image in worst)
    lines = "\n".join(
        f'<tr><th scope="row">{escape(one.row.title)}</th>'
        + "".join(f'<td class="number">{number_text(float(each[image]))}</td>' for image in worst)
        + "</tr>"
        for one, each in values.items()
    )
    return (
        f'<p class="dim">{escape(label)}: where {escape(reference.row.title)} does worst</p>'
        f'<div class="scroll"><table><thead><tr><th>benchmark</th>{heads}</tr></thead><tbody>\n{lines}\n'
        "</tbody></table></div>"
    )
