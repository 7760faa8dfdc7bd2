"""A table as one page for a browser: no network, no scripts, and the same bytes from the same results."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from craterbench.metrics.intervals import Estimate
from craterbench.metrics.metric import BALANCED_ACCURACY, HEADLINE, Metric, Metrics
from craterbench.plugin import UserError
from craterbench.plugin.components import PublishedResult
from craterbench.report.estimate_text import number_text
from craterbench.report.html import bullets, picture, section, sheet
from craterbench.report.table.axis import Axis
from craterbench.report.table.columns import Column
from craterbench.report.table.curves import draw_row, draw_row_thresholds
from craterbench.report.table.provenance import provenance_notes
from craterbench.report.table.row_ranks import rank_bars
from craterbench.report.table.rows import Row
from craterbench.report.table.table import Table
from craterbench.report.table.table_text import PUBLISHED, cell_text
from craterbench.report.table.worst_images import worst_images
from craterbench.report.threshold_plots import has_curves
from craterbench.results.record import Record
from craterbench.results.store import Store

__all__ = ["page"]

#: So many columns of scores fit beside the names of rows on paper in landscape.
_MOST_COLUMNS = 8


def page(table: Table, store: Store, metrics: Metrics | None = None) -> str:
    """Return a table as HTML, with the curves and the samples of its rows.

    Args:
        store: of the runs.
        metrics: those that curves can show; by default the built-in ones.
    """
    runs = sum(len(row.runs) for row in table.rows)
    sections = [
        "<h1>craterbench</h1>",
        f'<p class="dim">{len(table.rows)} rows, {runs} runs. A score is the mean over runs ± their standard '
        "deviation, with its 95 % interval over groups of images and seeds; the folds of a seed are pooled into one "
        "score first.</p>",
        *_blocks(table),
        section("Notes", table.notes),
        _curves(table.rows, store, metrics or Metrics()),
        _thresholds(table),
        worst_images(table.rows, store, dict.fromkeys(column.part for column in table.columns if column.part)),
        _samples(table.rows, store),
        _ledger(table.published),
        *(section(heading, lines) for heading, lines in provenance_notes(table.rows).items()),
    ]
    return sheet("craterbench: table", sections)


def _blocks(table: Table) -> Iterable[str]:
    """Return the table in blocks that fit a progress: what rows are, their scores on each fingerprint, their cost.

    A block on a fingerprint has only the rows that were scored on it.
    """
    numbered = [(position, column) for position, column in enumerate(table.columns) if column.key != "benchmark"]
    before = True
    for label, together in itertools.groupby(numbered, key=lambda each: each[1].label):
        block = list(together)
        heading = label or ("Benchmarks" if before else "Cost")
        before = False
        rows = list(zip(table.rows, table.cells, strict=True))
        if label:
            rows = [(row, cells) for row, cells in rows if any(cells[position] is not None for position, _ in block)]
            block = [(p, column) for p, column in block if any(cells[p] is not None for _, cells in rows)]
        remarks = "".join(f'<p class="dim">{escape(line)}</p>' for line in table.remarks.get(label, ()))
        shown = [(row, [cells[position] for position, _ in block]) for row, cells in rows]
        ranks = rank_bars(table.ranks[label]) if label in table.ranks else ""
        yield f"<h2>{escape(heading)}</h2>{remarks}" + _grids([column for _, column in block], shown) + ranks


def _grids(columns: Sequence[Column], rows: Sequence[tuple[Row, Sequence[Any]]]) -> str:
    """Return a table, or several with the same rows where all columns would not fit the width of a printed page."""
    firsts = range(0, max(len(columns), 1), _MOST_COLUMNS)
    cuts = [slice(first, first + _MOST_COLUMNS) for first in firsts]
    return "".join(_grid(columns[cut], [(row, cells[cut]) for row, cells in rows]) for cut in cuts)


def _grid(columns: Sequence[Column], rows: Sequence[tuple[Row, Sequence[Any]]]) -> str:
    axes = [Axis.over([cells[position] for _, cells in rows]) for position in range(len(columns))]
    heads = [
        f'<th class="number">{escape(column.heading)}{axis.drawn() if axis else ""}</th>'
        if column.fields
        else f"<th>{escape(column.heading)}</th>"
        for column, axis in zip(columns, axes, strict=True)
    ]
    lines = [
        f'<tr><th scope="row">{_title(row)}</th>{"".join(map(_cell, cells, columns, axes))}</tr>' for row, cells in rows
    ]
    head = f"<thead><tr><th>benchmark</th>{''.join(heads)}</tr></thead>"
    body = "\n".join(lines)
    return f'<div class="scroll"><table>{head}<tbody>\n{body}\n</tbody></table></div>'


def _title(row: Row) -> str:
    return escape(row.title)


def _cell(value: Any, column: Column, axis: Axis | None) -> str:
    if isinstance(value, list):
        return f'<td class="warning">{"<br>".join(map(escape, value))}</td>'
    mean, _, interval = cell_text(value, column, between="\n").partition("\n")
    if not column.fields:
        return f"<td>{escape(mean)}</td>"
    ends = f'<span class="interval">{escape(interval)}</span>' if interval else ""
    drawn = axis.interval(value) if axis and isinstance(value, Estimate) else ""
    return f'<td class="number">{escape(mean)}{ends}{drawn}</td>'


def _curves(rows: Sequence[Row], store: Store, metrics: Metrics) -> str:
    histories: dict[Row, list[list[dict[str, float]]]] = {}
    lacking = []
    for row in rows:
        for record in row.done:
            try:
                history = _history(store, record)
            except ValueError as error:
                lacking.append(f"{store.folder(record) / 'history.csv'}: no curve: {error}")
            else:
                histories.setdefault(row, []).append(history)
    if not histories:
        return section("Curves", lacking)
    key = BALANCED_ACCURACY.history_column
    accuracies = [
        epoch[key] for runs in histories.values() for history in runs for epoch in history if math.isfinite(epoch[key])
    ]
    low, high = min(accuracies, default=0.0), max(accuracies, default=1.0)
    room = 0.03 * (high - low) or 0.01
    limits = {BALANCED_ACCURACY.name: (low - room, high + room)}
    figures = [
        _figure(
            row, "curves", "image/svg+xml", draw_row(runs, limits, _drawn(row, runs, metrics)).encode(), _seeds(row)
        )
        for row, runs in histories.items()
    ]
    return (
        '<h2>Curves</h2><p class="dim">Scores of the validation part over the epochs, a line for each run; the dot is '
        f'the epoch whose weights were kept.</p><div class="figures">{"".join(figures)}</div>{bullets(lacking)}'
    )


def _thresholds(table: Table) -> str:
    """Draw what the runs of each row know at every threshold, on the test part if the table shows it."""
    part = "test" if any(column.part == "test" for column in table.columns) else "validation"
    figures = []
    for row in table.rows:
        runs = [record.parts[part]["statistics"] for record in row.done if part in record.parts]
        if curves := [sums for sums in runs if has_curves(sums)]:
            drawn = draw_row_thresholds(curves).encode()
            figures.append(_figure(row, "thresholds", "image/svg+xml", drawn, _seeds(row)))
    if not figures:
        return ""
    return (
        f'<h2>Thresholds</h2><p class="dim">On the {part} part, a line for each run; a dot is the threshold 0.5. The '
        "points of a calibration curve are tenths of the probability: on the dotted line they say what is the case."
        f'</p><div class="figures">{"".join(figures)}</div>'
    )


def _drawn(row: Row, histories: Sequence[Sequence[Mapping[str, float]]], metrics: Metrics) -> list[Metric]:
    """Return the metrics whose curves a row shows: the headline, and what its runs went by."""
    try:
        wanted = metrics.in_history(row.newest.monitor)
    except UserError:  # its plugin is not here any more
        wanted = list(HEADLINE)
    return [metric for metric in wanted if all(metric.history_column in history[0] for history in histories)]


def _history(store: Store, record: Record) -> list[dict[str, float]]:
    """Return what can be drawn of a run; raises ValueError if that is missing or damaged."""
    history = store.history(record)
    wanted = {"epoch", "best", *(metric.history_column for metric in HEADLINE)}
    if not history or not wanted <= history[0].keys() or history[-1]["best"] not in [row["epoch"] for row in history]:
        raise ValueError("it is damaged")
    return history


def _samples(rows: Sequence[Row], store: Store) -> str:
    figures = []
    for row in rows:
        for record in sorted(row.done, key=lambda record: record.seed)[:1]:
            with contextlib.suppress(OSError):
                picture = (store.folder(record) / "samples.png").read_bytes()
                figures.append(_figure(row, "samples", "image/png", picture, f"seed {record.seed}"))
    return f"<h2>Samples</h2>{''.join(figures)}" if figures else ""


def _figure(row: Row, what: str, kind: str, content: bytes, caption: str) -> str:
    shown = picture(content, kind, f"{what} of {row.title}")
    return f'<figure><h3>{_title(row)} <span class="dim">{escape(caption)}</span></h3>{shown}</figure>\n'


def _seeds(row: Row) -> str:
    seeds = sorted({record.seed for record in row.done})
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"


def _ledger(published: Sequence[PublishedResult]) -> str:
    if not published:
        return ""
    heads = "".join(f'<th class="number">{escape(heading)}</th>' for heading in PUBLISHED.values())
    rows = "".join(
        f'<tr><th scope="row">{escape(published.summary)}</th>'
        + "".join(f'<td class="number">{number_text(published.scores.get(key))}</td>' for key in PUBLISHED)
        + f'<td class="long">{escape(published.definition)}</td><td>{escape(published.status)}</td>'
        f'<td class="long">{escape(published.reason)}</td><td>{escape(published.source)}</td></tr>\n'
        for published in published
    )
    return (
        '<h2>Published figures</h2><p class="dim">They stand in no column of the table, since none was measured on the '
        f'images of a row.</p><div class="scroll"><table class="ledger"><thead><tr><th>published</th>{heads}'
        "<th>what it is</th><th>status</th><th>reason</th><th>source</th></tr></thead>"
        f"<tbody>\n{rows}</tbody></table></div>"
    )
