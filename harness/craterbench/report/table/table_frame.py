"""A table as a pandas DataFrame, and what pandas writes of it."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from craterbench.report.table.columns import Column
from craterbench.report.table.table import Table

__all__ = ["frame", "to_csv", "to_json"]


def frame(table: Table) -> pd.DataFrame:
    """Return a table with a row for each benchmark, called by its name, and a number in each column.

    The columns are ``(part, metric, field)``: the part that was scored, as the table heads it, or nothing; the key of
    the column; and ``mean``, ``sd``, ``low`` and ``high``, or nothing where there is one value.
    """
    columns: dict[tuple[str, str, str], Any] = {
        (column.label, column.key, field): pd.array(
            [_value(row[position], field) for row in table.cells], dtype=float if field else None
        )
        for position, column in enumerate(table.columns)
        if column.key != "benchmark"
        for field in column.fields or ("",)
    }
    levels = [
        list(dict.fromkeys(part for part, _, _ in columns)),
        list(dict.fromkeys(key for _, key, _ in sorted(columns, key=lambda each: not each[0]))),
        ["", "mean", "sd", "low", "high"],
    ]
    # in the order of their levels, without which pandas warns whoever picks a part and a metric
    codes = sorted([level.index(name) for level, name in zip(levels, each, strict=True)] for each in columns)
    keys = [(levels[0][part], levels[1][key], levels[2][field]) for part, key, field in codes]
    names = pd.Index([row.name for row in table.rows], name="benchmark")
    found = pd.DataFrame({number: columns[key] for number, key in enumerate(keys)}, index=names)
    found.columns = pd.MultiIndex(levels, list(zip(*codes, strict=True)), names=["part", "metric", "field"])
    return found


def to_csv(table: Table) -> str:
    """Return a line for each row; of lists the lines are joined by semicolons."""
    joined = _flat(table).map(lambda value: "; ".join(value) if isinstance(value, list) else value)
    return str(joined.to_csv(index=False, lineterminator="\n"))


def to_json(table: Table) -> str:
    """Return the rows, the published figures and the notes; numbers have all their digits."""
    content = {
        "rows": _flat(table).to_dict("records"),
        "published": [{**vars(published), "scores": dict(published.scores)} for published in table.published],
        "notes": list(table.lines),
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _flat(table: Table) -> pd.DataFrame:
    """Return the cells as they are, a spread in a column for each of its fields, by the names that programs know."""
    columns = {
        _name(column, field): [_value(row[position], field) for row in table.cells]
        for position, column in enumerate(table.columns)
        for field in column.fields or ("",)
    }
    return pd.DataFrame(columns, dtype=object)  # or an integer beside an empty cell would be none


def _name(column: Column, field: str) -> str:
    return column.name if field in ("", "mean") else f"{column.name}_{field}"


def _value(cell: Any, field: str) -> Any:
    return getattr(cell, field, None) if field else cell
