"""A table as one page for a browser: no network, no scripts, and the same bytes from the same results."""

from __future__ import annotations

import base64
import contextlib
import itertools
import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from craterbench.plugin.components import Claim
from craterbench.records.record import Record
from craterbench.records.store import Store
from craterbench.report.columns import Column, Spread
from craterbench.report.curves import CURVES, draw_row
from craterbench.report.origins import origins
from craterbench.report.render import PUBLISHED, cell_text, score_text
from craterbench.report.rows import Row
from craterbench.report.table import Table

__all__ = ["page"]

#: Width and height of the drawing of an interval, in pixels, and the room at its ends.
_WIDTH, _HEIGHT, _ROOM = 130, 14, 5

_STYLE = """
:root { --ink: #1c1c1c; --dim: #666; --line: #ddd; --blue: #0072b2; --orange: #d55e00; }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: #fff; margin: 1.5rem auto;
  max-width: 1500px; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .2rem; overflow-wrap: anywhere; }
p, li { max-width: 75ch; } p { margin: .3rem 0; } ul { margin: .3rem 0; padding-left: 1.2rem; }
.dim { color: var(--dim); } .warning { color: var(--orange); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .45rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; border-bottom: 2px solid var(--ink); font-weight: 600; }
th:first-child { position: sticky; left: 0; background: #fff; min-width: 7rem; max-width: 16rem;
  overflow-wrap: anywhere; z-index: 1; }
.number { text-align: right; } td.number { white-space: nowrap; }
.interval { display: block; color: var(--dim); font-size: .92em; }
.ledger td { min-width: 6rem; } .ledger td.long { min-width: 18rem; }
svg { display: block; margin-left: auto; } svg text { font-size: 9px; fill: var(--dim); }
img { max-width: 100%; height: auto; display: block; }
figure { margin: .3rem 0; } h3 .dim { font-weight: normal; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 540px), 1fr)); gap: 0 2rem; }
@media print { body { margin: 0; font-size: 9pt; max-width: none; } .scroll { overflow: visible; }
  table { font-size: 6.5pt; } th, td { padding: 2px 4px; } th:first-child { position: static; }
  .ledger td.long { min-width: 0; } tr, figure, h2, h3 { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .figures { grid-template-columns: 1fr 1fr; } @page { size: landscape; margin: 12mm; } }
"""


def page(table: Table, store: Store) -> str:
    """Return a table as HTML, with the curves and the samples of its rows; runs lie in ``store``."""
    runs = sum(len(row.runs) for row in table.rows)
    sections = [
        "<h1>craterbench</h1>",
        f'<p class="dim">{len(table.rows)} rows, {runs} runs. A score is the mean over runs ± their standard '
        "deviation, with its 95 % interval over groups of images and seeds; the folds of a seed are pooled into one "
        "score first.</p>",
        *_blocks(table),
        _list("Notes", table.notes),
        _curves(table.rows, store),
        _samples(table.rows, store),
        _ledger(table.claims),
        *(_list(heading, lines) for heading, lines in origins(table.rows).items()),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>craterbench: table</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body>\n</html>\n"
    )


def _blocks(table: Table) -> Iterable[str]:
    """Return the table in blocks that fit a screen: what rows are, their scores on each yardstick, their cost.

    A block on a yardstick has only the rows that were scored on it.
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
        yield f"<h2>{escape(heading)}</h2>{remarks}" + _grid([column for _, column in block], shown)


def _grid(columns: Sequence[Column], rows: Sequence[tuple[Row, Sequence[Any]]]) -> str:
    axes = [_Axis.over([cells[position] for _, cells in rows]) for position in range(len(columns))]
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


def _cell(value: Any, column: Column, axis: _Axis | None) -> str:
    if isinstance(value, list):
        return f'<td class="warning">{"<br>".join(map(escape, value))}</td>'
    mean, _, interval = cell_text(value, column, between="\n").partition("\n")
    if not column.fields:
        return f"<td>{escape(mean)}</td>"
    ends = f'<span class="interval">{escape(interval)}</span>' if interval else ""
    drawn = axis.interval(value) if axis and isinstance(value, Spread) else ""
    return f'<td class="number">{escape(mean)}{ends}{drawn}</td>'


class _Axis:
    """The scale that the intervals of one column share."""

    def __init__(self, low: float, high: float, *, decimals: int) -> None:
        self._low, self._high, self._decimals = low, high, decimals

    @classmethod
    def over(cls, values: Iterable[Any]) -> _Axis | None:
        """Return a scale for the spreads with an interval, or ``None`` if there are not two to tell apart."""
        spreads = [value for value in values if isinstance(value, Spread) and value.low is not None]
        if len(spreads) < 2:
            return None
        ends = [end for spread in spreads for end in (spread.low, spread.mean, spread.high) if end is not None]
        if min(ends) == max(ends):
            return None
        return cls(min(ends), max(ends), decimals=max(0, 2 - math.floor(math.log10(max(ends) - min(ends)))))

    def drawn(self) -> str:
        """Return the scale itself, with its ends."""
        low, high = (f"{end:.{self._decimals}f}" for end in (self._low, self._high))
        return _svg(
            f'<text x="0" y="9">{low}</text><text x="{_WIDTH}" y="9" text-anchor="end">{high}</text>'
            f'<path d="M{_ROOM} 13.5H{_WIDTH - _ROOM}" stroke="#666"/>{self._zero()}'
        )

    def interval(self, value: Spread) -> str:
        """Return a dot with whiskers."""
        middle = _HEIGHT / 2
        whisker = ""
        if value.low is not None and value.high is not None:
            low, high = self._at(value.low), self._at(value.high)
            whisker = f'<path d="M{low} {middle}H{high}" stroke="#0072b2" stroke-width="1.5"/>'
        return _svg(f'{self._zero()}{whisker}<circle cx="{self._at(value.mean)}" cy="{middle}" r="3" fill="#0072b2"/>')

    def _at(self, value: float) -> str:
        share = (value - self._low) / (self._high - self._low)
        return f"{_ROOM + share * (_WIDTH - 2 * _ROOM):.1f}"

    def _zero(self) -> str:
        if not self._low < 0 < self._high:
            return ""
        return f'<path d="M{self._at(0)} 0V{_HEIGHT}" stroke="#999" stroke-dasharray="2 2"/>'


def _svg(content: str) -> str:
    return f'<svg width="{_WIDTH}" height="{_HEIGHT}" aria-hidden="true">{content}</svg>'


def _curves(rows: Sequence[Row], store: Store) -> str:
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
        return _list("Curves", lacking)
    accuracies = [
        epoch["balanced_accuracy"]
        for runs in histories.values()
        for history in runs
        for epoch in history
        if math.isfinite(epoch["balanced_accuracy"])
    ]
    low, high = min(accuracies, default=0.0), max(accuracies, default=1.0)
    room = 0.03 * (high - low) or 0.01
    limits = {"balanced_accuracy": (low - room, high + room)}
    figures = [
        _figure(row, "curves", "image/svg+xml", draw_row(runs, limits).encode(), _seeds(row))
        for row, runs in histories.items()
    ]
    return (
        '<h2>Curves</h2><p class="dim">Scores of the validation part over the epochs, a line for each run; the dot is '
        f'the epoch whose weights were kept.</p><div class="figures">{"".join(figures)}</div>{_items(lacking)}'
    )


def _history(store: Store, record: Record) -> list[dict[str, float]]:
    """Return what can be drawn of a run; raises ValueError if that is missing or damaged."""
    history = store.history(record)
    wanted = {"epoch", "best", *CURVES}
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
    data = base64.b64encode(content).decode()
    return (
        f'<figure><h3>{_title(row)} <span class="dim">{escape(caption)}</span></h3>'
        f'<img alt="{what} of {_title(row)}" src="data:{kind};base64,{data}"></figure>\n'
    )


def _seeds(row: Row) -> str:
    seeds = sorted({record.seed for record in row.done})
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"


def _ledger(claims: Sequence[Claim]) -> str:
    if not claims:
        return ""
    heads = "".join(f'<th class="number">{escape(heading)}</th>' for heading in PUBLISHED.values())
    rows = "".join(
        f'<tr><th scope="row">{escape(claim.summary)}</th>'
        + "".join(f'<td class="number">{score_text(claim, key)}</td>' for key in PUBLISHED)
        + f'<td class="long">{escape(claim.definition)}</td><td>{escape(claim.status)}</td>'
        f'<td class="long">{escape(claim.reason)}</td><td>{escape(claim.source)}</td></tr>\n'
        for claim in claims
    )
    return (
        '<h2>Published figures</h2><p class="dim">They stand in no column of the table, since none was measured on the '
        f'images of a row.</p><div class="scroll"><table class="ledger"><thead><tr><th>claim</th>{heads}'
        "<th>what it is</th><th>status</th><th>reason</th><th>source</th></tr></thead>"
        f"<tbody>\n{rows}</tbody></table></div>"
    )


def _list(heading: str, lines: Iterable[str]) -> str:
    items = _items(lines)
    return f"<h2>{escape(heading)}</h2>{items}" if items else ""


def _items(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>\n" for line in lines)
    return f"<ul>{items}</ul>" if items else ""
