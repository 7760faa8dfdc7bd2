"""Tables of runs, in which two numbers stand in one column only if they may be compared."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from craterbench.plugin.components import Claim
from craterbench.records.record import Record

__all__ = ["Column", "Spread", "Table", "render", "tabulate"]

_NOTHING = "–"

#: What a part's columns show, and what they are called.
_SHOWN = {"balanced_accuracy": "balanced accuracy", "loss": "loss"}

_CLAIM_HEADINGS = ("published, not comparable", *_SHOWN.values(), "why not")

#: What may differ between rows that are compared, and so is a column.
_FACTORS = ("framework", "loss", "monitor", "protocol")


@dataclass(frozen=True)
class Spread:
    """The mean of a score over the runs of a row, and its standard deviation where there are two or more."""

    mean: float
    sd: float | None

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        """Return the spread of the values that are defined, or ``None`` if none is."""
        defined = [value for value in values if value is not None]
        if not defined:
            return None
        return cls(statistics.fmean(defined), statistics.stdev(defined) if len(defined) > 1 else None)


@dataclass(frozen=True)
class Column:
    """A column: its key, its heading, the yardstick it belongs to, if any, and the decimals of its numbers."""

    key: str
    heading: str
    yardstick: str = ""
    decimals: int = 0


@dataclass(frozen=True)
class Table:
    """Rows of text, whole numbers and spreads by the key of a column; the claims that stand below; lines of notes."""

    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    claims: Sequence[Claim] = ()
    notes: Sequence[str] = field(default_factory=tuple)


def tabulate(
    records: Sequence[Record], claims: Sequence[Claim] = (), *, test: bool, notes: Sequence[str] = ()
) -> Table:
    """Return a table with a row for each benchmark as it was asked for, over its seeds.

    Of runs that repeat each other the newest counts. Numbers on another yardstick stand in columns of their own, headed
    by a letter that a note explains.

    Args:
        test: whether to show the test part too.
    """
    parts = ("validation", "test") if test else ("validation",)
    yardsticks = {part: _yardsticks(records, part) for part in parts}
    columns = [Column("benchmark", "benchmark"), *(Column(factor, factor) for factor in _FACTORS)]
    columns += [Column("runs", "runs"), Column("epochs", "epochs")]
    legend = []
    for part in parts:
        for label, example in yardsticks[part].values():
            columns += [Column(f"{label} {key}", heading, label, 4) for key, heading in _SHOWN.items()]
            legend.append(_legend(label, example, part))
    rows = [_row(group, yardsticks) for group in _groups(records)]
    return Table(columns, rows, claims, (*legend, *notes))


def _groups(records: Sequence[Record]) -> list[list[Record]]:
    """Return the runs of each row, oldest first: of each seed the newest that is done, or else the newest at all.

    The same definition on other data is another row; a run that ended before its data was known joins the latest.
    """
    rows: dict[tuple[str, ...], dict[str, dict[int, Record]]] = {}
    for record in sorted(records, key=lambda record: record.status == "done", reverse=True):
        on = rows.setdefault((record.benchmark, *record.overrides, record.definition), {})
        if record.status == "done":
            on.setdefault(record.dataset["digest"], {})[record.seed] = record
        else:
            seeds = list(on.values())[-1] if on else on.setdefault("", {})
            if seeds.get(record.seed, record).status != "done":
                seeds[record.seed] = record
    found = [sorted(seeds.values(), key=lambda record: record.id) for on in rows.values() for seeds in on.values()]
    return sorted(found, key=lambda group: group[0].id)


def _yardsticks(records: Sequence[Record], part: str) -> dict[str, tuple[str, Record]]:
    """Return the label and an example of each yardstick on which a part was scored, in order of appearance."""
    examples: dict[str, Record] = {}
    for record in records:
        if record.status == "done" and part in record.parts:
            examples.setdefault(record.parts[part]["yardstick"], record)
    lettered = len(examples) > 1
    return {
        yardstick: (f"{part} {_letters(position)}" if lettered else part, example)
        for position, (yardstick, example) in enumerate(examples.items())
    }


def _letters(position: int) -> str:
    """Return A to Z, then AA, AB and so on."""
    before = "" if position < 26 else _letters(position // 26 - 1)
    return before + chr(ord("A") + position % 26)


def _legend(label: str, example: Record, part: str) -> str:
    scores = example.parts[part]["scores"]["all"]
    share = scores["num_crater_pixels"] / scores["num_pixels"]
    how = "" if part == "test" else f"; split {example.protocol}"
    return (
        f"{label}: {example.dataset['name']}, {scores['num_images']} images, {scores['num_pixels']} pixels, "
        f"{share:.1%} crater{how}; yardstick {example.parts[part]['yardstick'][:8]}"
    )


def _row(group: Sequence[Record], yardsticks: Mapping[str, Mapping[str, tuple[str, Record]]]) -> dict[str, Any]:
    newest = group[-1]
    done = [record for record in group if record.status == "done"]
    counted = {status: sum(record.status == status for record in group) for status in ("done", "failed", "interrupted")}
    runs = ", ".join(f"{number} {status}" for status, number in counted.items() if number)
    row: dict[str, Any] = {
        "benchmark": " ".join([newest.benchmark, *newest.overrides]),
        **{factor: getattr(newest, factor) for factor in _FACTORS},
        "runs": runs,
        "epochs": Spread.of(record.epochs for record in done),
    }
    for part, labels in yardsticks.items():
        for yardstick, (label, _) in labels.items():
            scored = [r for r in done if r.parts.get(part, {}).get("yardstick") == yardstick]
            for key in _SHOWN:
                row[f"{label} {key}"] = Spread.of(r.parts[part]["scores"]["all"][key] for r in scored)
    return row


def render(table: Table, form: str, console: Console) -> None:
    """Print a table as ``rich`` for a terminal, ``markdown``, ``csv`` or ``json``."""
    if form == "rich":
        _print(table, console)
    else:
        # what a program reads must not be wrapped to the width of a terminal
        print({"markdown": _markdown, "csv": _csv, "json": _json}[form](table), end="", file=console.file)


def _text(value: Any, column: Column) -> str:
    if value is None:
        return _NOTHING
    if isinstance(value, Spread):
        mean = f"{value.mean:.{column.decimals}f}"
        return mean if value.sd is None else f"{mean} ± {value.sd:.{column.decimals}f}"
    return str(value)


def _folded(table: Table) -> tuple[list[Column], list[str]]:
    """Take the factors that do not differ out of the columns and say them in a line."""
    same = {
        factor: {str(row[factor]) for row in table.rows}.pop()
        for factor in _FACTORS
        if len({row[factor] for row in table.rows}) == 1
    }
    columns = [column for column in table.columns if column.key not in same]
    return columns, [f"all rows: {', '.join(f'{key} {value}' for key, value in same.items())}"] if same else []


def _print(table: Table, console: Console) -> None:
    columns, same = _folded(table)
    shown = RichTable(box=SIMPLE_HEAD, padding=(0, 1))
    for column in columns:
        heading = f"{column.yardstick}\n{column.heading}" if column.yardstick else column.heading
        cells = [_text(row[column.key], column) for row in table.rows]
        # on a narrow terminal lines break between words, but no number or word does
        whole = cells if column.yardstick else [word for cell in cells for word in cell.split()]
        width = max(map(len, [*whole, *heading.split()]))
        shown.add_column(Text(heading), justify="right" if column.yardstick else "left", min_width=width)
    for row in table.rows:
        shown.add_row(*(Text(_text(row[column.key], column)) for column in columns))
    least = Measurement.get(console, console.options.update(max_width=10_000), shown).minimum
    console.print(shown, width=max(console.width, least), crop=False)
    for line in (*table.notes, *same):
        console.print(Text(line, style="dim"))
    if table.claims:
        below = RichTable(box=SIMPLE_HEAD, padding=(0, 1))
        for heading in _CLAIM_HEADINGS:
            below.add_column(heading)
        for claim in table.claims:
            below.add_row(*(Text(cell) for cell in _claim_cells(claim)))
        console.print(below)


def _claim_cells(claim: Claim) -> list[str]:
    scores = [f"{claim.scores[key]:.4f}" if key in claim.scores else _NOTHING for key in _SHOWN]
    return [claim.source, *scores, claim.reason]


def _markdown(table: Table) -> str:
    columns, same = _folded(table)
    headings = [f"{column.yardstick} {column.heading}".strip() for column in columns]
    cells = [[_text(row[column.key], column) for column in columns] for row in table.rows]
    lines = [_line(headings), _line(["---"] * len(columns)), *map(_line, cells), ""]
    lines += [f"- {note}" for note in (*table.notes, *same)]
    if table.claims:
        lines += [""]
        lines += [_line(_CLAIM_HEADINGS), _line(["---"] * len(_CLAIM_HEADINGS))]
        lines += [_line(_claim_cells(claim)) for claim in table.claims]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _values(row: Mapping[str, Any], columns: Sequence[Column]) -> dict[str, Any]:
    """Return a row with its numbers whole: a spread as its mean and, under another key, its standard deviation."""
    values: dict[str, Any] = {}
    for column in columns:
        value = row[column.key]
        key = column.key.replace(" ", "_")
        if column.yardstick or column.key == "epochs":
            values[key] = None if value is None else value.mean
            values[f"{key}_sd"] = None if value is None else value.sd
        else:
            values[key] = value
    return values


def _csv(table: Table) -> str:
    out = io.StringIO()
    rows = [_values(row, table.columns) for row in table.rows]
    rows += [
        {
            "benchmark": claim.name,
            "runs": "not comparable",
            **{f"published_{key}": claim.scores.get(key) for key in _SHOWN},
        }
        for claim in table.claims
    ]
    keys = dict.fromkeys(key for row in rows for key in row)
    writer = csv.DictWriter(out, list(keys), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _json(table: Table) -> str:
    content = {
        "rows": [_values(row, table.columns) for row in table.rows],
        "claims": [
            {"name": c.name, "source": c.source, "scores": dict(c.scores), "reason": c.reason} for c in table.claims
        ],
        "notes": list(table.notes),
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
