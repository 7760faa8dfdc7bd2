"""A table as text: for a terminal, for a document, for a program. The numbers are the same in all of them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from craterbench.metrics.intervals import Estimate
from craterbench.metrics.metric import HEADLINE
from craterbench.report.estimate_text import estimate_text, number_text
from craterbench.report.table.columns import Column
from craterbench.report.table.provenance import provenance_notes
from craterbench.report.table.table import Table

__all__ = ["FORMATS", "PUBLISHED", "cell_text", "render"]

FORMATS = ("rich", "markdown", "csv", "json", "latex")

#: The scores that a published may have, and what they are called.
PUBLISHED = {metric.name: metric.label for metric in HEADLINE}


def render(table: Table, form: str, console: Console) -> None:
    """Print a table in one of ``FORMATS``."""
    if form == "rich":
        _print(table, console)
    else:
        # what a program reads must not be wrapped to the width of a terminal
        print(_written(table, form), end="", file=console.file)


def _written(table: Table, form: str) -> str:
    if form in ("markdown", "latex"):
        return {"markdown": _markdown, "latex": _latex}[form](table)
    from craterbench.report.table.table_frame import to_csv, to_json  # pandas takes a while to import

    return {"csv": to_csv, "json": to_json}[form](table)


def cell_text(value: Any, column: Column, *, between: str = " ") -> str:
    """Return a cell as a person reads it: of warnings their number, of an estimate ``mean ± sd [low, high]``.

    Args:
        between: what stands before the interval.
    """
    if isinstance(value, list):
        return str(len(value))
    if value is not None and not isinstance(value, Estimate):
        return str(value)
    return estimate_text(
        value,
        decimals=column.decimals,
        signed=column.signed,
        between=between,
        with_interval="low" in column.fields,
    )


def _print(table: Table, console: Console) -> None:
    columns = dict(enumerate(table.columns))
    shown, left_out = _fitted(table.cells, columns, console)
    blocks = [shown]
    apart = _apart(table)
    if shown.width is not None and len(apart) > 1:
        # what was scored on other images is compared with nothing here, and may as well stand in a table of its own
        of_block = [
            _fitted(cells, {p: column for p, column in columns.items() if column.label in labels}, console)
            for labels, cells in apart
        ]
        blocks = [block for block, _ in of_block]
        left_out = [column for _, left in of_block for column in left]
    for block in blocks:
        console.print(block, crop=False)
    for line in table.lines:
        console.print(Text(line, style="dim"))
    if left_out:
        names = ", ".join(dict.fromkeys(column.choice for column in left_out))
        console.print(Text(f"left out, since the terminal is narrow: {names}; --columns chooses", style="dim"))
    if table.published:
        below = RichTable(box=SIMPLE_HEAD, padding=(0, 1), collapse_padding=True)
        for heading in ("published", *PUBLISHED.values(), "status", "source"):
            below.add_column(heading)
        for published in table.published:
            scores = [number_text(published.scores.get(key)) for key in PUBLISHED]
            below.add_row(*map(Text, (published.summary, *scores, published.status, published.source)))
        console.print(below)


def _apart(table: Table) -> list[tuple[set[str], list[Sequence[Any]]]]:
    """Return the rows that were scored on the same images, with the labels of their columns; last those without scores.

    The label of the columns that say what a row is, which is empty, is among those of all.
    """
    rows_of: dict[str, set[int]] = {}
    for position, column in enumerate(table.columns):
        if column.label:
            scored = {number for number, row in enumerate(table.cells) if row[position] is not None}
            rows_of[column.label] = rows_of.get(column.label, set()) | scored
    labels_of: dict[frozenset[int], set[str]] = {}
    for label, rows in rows_of.items():
        labels_of.setdefault(frozenset(rows), {""}).add(label)
    unscored = frozenset(range(len(table.cells))).difference(*labels_of)
    labels_of.setdefault(unscored, {""})
    return [
        (labels, [row for number, row in enumerate(table.cells) if number in rows])
        for rows, labels in labels_of.items()
        if rows
    ]


def _fitted(
    cells: Sequence[Sequence[Any]], columns: Mapping[int, Column], console: Console
) -> tuple[RichTable, list[Column]]:
    """Return rows as a table without the columns that may be left out and do not fit, and those columns.

    It has a width of its own where it is wider than the terminal even so.
    """
    kept = dict(columns)
    shown = _rich(cells, kept)
    left_out = []
    # the epochs go first, then other keys of the config and then the losses, from the last
    for position in sorted(kept, key=lambda p: (kept[p].key != "epochs", not kept[p].factor, -p)):
        if kept[position].optional and _least(shown, console) > console.width:
            left_out.append(kept.pop(position))
            shown = _rich(cells, kept)
    if _least(shown, console) > console.width:
        shown.width = _least(shown, console)  # or rich would make columns disappear
    return shown, left_out


def _rich(rows: Sequence[Sequence[Any]], columns: Mapping[int, Column]) -> RichTable:
    shown = RichTable(box=SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False)
    for position, column in columns.items():
        cells = [cell_text(row[position], column, between="\n") for row in rows]
        words = f"{column.label} {column.heading}".split()
        # on a narrow terminal names break between words, but no number does
        pieces = [piece for cell in cells for piece in (cell.splitlines() if column.fields else cell.split())]
        width = max(map(len, [*pieces, *words]))
        heading = "\n".join(textwrap.fill(text, width) for text in (column.label, column.heading) if text)
        number = bool(column.fields)
        shown.add_column(Text(heading), justify="right" if number else "left", min_width=width, no_wrap=number)
    for row in rows:
        shown.add_row(*(Text(cell_text(row[p], column, between="\n")) for p, column in columns.items()))
    return shown


def _least(shown: RichTable, console: Console) -> int:
    """Return how wide a table is when it has been made as narrow as its numbers allow."""
    shown.width = Measurement.get(console, console.options.update(max_width=10_000), shown).minimum
    with console.capture() as captured:  # what rich measures may lack a column of padding
        console.print(shown, crop=False)
    shown.width = None
    return max(map(cell_len, captured.get().splitlines()))


def _markdown(table: Table) -> str:
    headings = [f"{column.label} {column.heading}".strip() for column in table.columns]
    cells = [map(cell_text, row, table.columns) for row in table.cells]
    lines = [_line(headings), _rule(len(headings)), *map(_line, cells), ""]
    lines += [f"- {_escaped(note)}" for note in table.lines]
    if table.published:
        headings = ["published", *PUBLISHED.values(), "what it is", "status", "reason", "source"]
        lines += ["", _line(headings), _rule(len(headings))]
        for published in table.published:
            scores = [number_text(published.scores.get(key)) for key in PUBLISHED]
            lines.append(
                _line(
                    [
                        published.summary,
                        *scores,
                        published.definition,
                        published.status,
                        published.reason,
                        published.source,
                    ]
                )
            )
    for heading, notes in provenance_notes(table.rows).items():
        lines += ["", f"{heading}:", "", *(f"- {_escaped(line)}" for line in notes)]
    return "\n".join(lines) + "\n"


def _latex(table: Table) -> str:
    """Return a tabular of the package booktabs; the notes are comments below it."""
    import pandas as pd

    cells = [list(map(cell_text, row, table.columns)) for row in table.cells]
    headings = [f"{column.label} {column.heading}".strip() for column in table.columns]
    shown = pd.DataFrame(cells, columns=headings).style.hide(axis="index").format(escape="latex")
    text = shown.format_index(escape="latex", axis="columns").to_latex(
        column_format="".join("r" if column.fields else "l" for column in table.columns), hrules=True
    )
    return "".join([text, *(f"% {line}\n" for line in table.lines)])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _escaped(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    for character in ("\\", "|", "<"):
        text = text.replace(character, f"\\{character}")
    return " ".join(text.splitlines())


def _rule(number: int) -> str:
    return "| " + " | ".join(["---"] * number) + " |"
