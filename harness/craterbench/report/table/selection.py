"""What of a table is shown: values of configs and records are columns, filters and sort keys by their dotted keys."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from craterbench.config.benchmark import COMPONENT_SECTIONS, flatten, parse_value
from craterbench.metrics.intervals import Estimate
from craterbench.plugin import UserError
from craterbench.plugin.errors import nearest
from craterbench.report.table.columns import FACTORS, Column
from craterbench.report.table.rows import Row
from craterbench.results.record import Record

__all__ = ["chosen", "differing_columns", "differing_keys", "filtered", "sorted_by"]

#: Keys that make no other row; the path of the data means nothing beside their digest.
_NOT_FACTORS = ("summary", "dataset.path")

#: Keys that the column ``protocol`` is made of.
_PROTOCOL = ("split.when", "augmentation.warp")

#: Fields of a record that have another place, or are no values.
_NO_FIELDS = ("config", "parts", "log_tail")


def differing_keys(rows: Iterable[Row]) -> dict[str, list[Any]]:
    """Return the config keys in which rows differ, each with the values that it has.

    A parameter that only some components have differs if those rows do that have it: that the others have another
    component is that component's name. Of other keys that a row lacks the value is ``None``.
    """
    configs = [row.config for row in rows]
    found = {}
    for key in dict.fromkeys(key for config in configs for key in config if key not in _NOT_FACTORS):
        of_a_component = key.partition(".")[0] in COMPONENT_SECTIONS or key.count(".") > 1
        values = [_plain(config.get(key)) for config in configs if key in config or not of_a_component]
        if len(several := list(dict.fromkeys(values))) > 1:
            found[key] = several
    return found


def differing_columns(rows: Sequence[Row]) -> list[Column]:
    """Return a column for each config key in which rows differ, unless a usual column shows it."""
    return [
        replace(_config_column(key), heading=key.removesuffix(".name"), optional=True, factor=True)
        for key in differing_keys(rows)
        if key not in (*FACTORS, *_PROTOCOL)
    ]


def chosen(known: Sequence[Column], rows: Sequence[Row], names: Iterable[str]) -> list[Column]:
    """Return the columns of those names, in their order.

    A name is that of a column, where one without a fingerprint means all fingerprints, or a dotted key of the configs
    or of the records.

    Raises:
        UserError: there is none of that name.
    """
    found: list[Column] = []
    for name in names:
        matching = [column for column in known if name in (column.name, column.choice)]
        if not matching and any(name in row.config for row in rows):
            matching = [_config_column(name)]
        elif not matching and any(name in _fields(run) for row in rows for run in row.runs):
            column = Column(key=name, heading=name, value=partial(_field, name), decimals=4)
            spread = any(isinstance(column.value(row), Estimate) for row in rows)
            matching = [replace(column, fields=("mean", "sd")) if spread else column]
        if not matching:
            more = "; --test adds those of the test part" if name.startswith("test") else ""
            more += "; --margin 0.005 adds it" if name.endswith("verdict") else ""
            raise UserError(f"there is no column {name!r}; {nearest(name, _names(known, rows))}{more}")
        found += matching
    return found


def filtered(known: Sequence[Column], rows: Sequence[Row], wanted: Iterable[str]) -> list[Row]:
    """Return the rows, and of them the runs, of which all is true that is wanted.

    Args:
        wanted: each ``KEY=VALUE``, the key as for ``chosen``.

    Raises:
        UserError: there is no such key, or no row is left.
    """
    for condition in wanted:
        name, equals, text = condition.partition("=")
        if not equals:
            raise UserError(f"--where {condition}: write it as --where KEY=VALUE, for example --where loss.name=dice")
        columns, left = chosen(known, rows, [name]), []
        seen: dict[str, None] = {}
        for row in rows:
            values: dict[str, list[Any]]
            if name == "benchmark":  # the name of a row may also say what the command line changed
                values = {run.id: [row.name, run.benchmark] for run in row.runs}
            elif any(name in (column.name, column.choice) for column in known) or name in row.config:
                values = {run.id: [column.value(row) for column in columns] for run in row.runs}
            else:
                values = {run.id: [_fields(run).get(name)] for run in row.runs}
            runs = [run for run in row.runs if any(_equals(value, text) for value in values[run.id])]
            seen |= dict.fromkeys(str(value) for several in values.values() for value in several if value is not None)
            if runs:
                left.append(row if len(runs) == len(row.runs) else replace(row, runs=runs))
        if not left:
            raise UserError(f"--where {condition}: no run has that value; {nearest(text, seen)}")
        rows = left
    return list(rows)


def sorted_by(rows: Iterable[Row], columns: Sequence[Column], *, descending: bool) -> list[Row]:
    """Sort by the first of the columns in which a row has a value; rows without one come last."""
    found: list[Row] = []
    for column in columns:
        having = []
        for row in rows:
            value = column.value(row)
            if value is not None and row not in found:
                having.append((getattr(value, "mean", value), row))
        found += [row for _, row in sorted(having, key=lambda each: _order(each[0]), reverse=descending)]
    return found + [row for row in rows if row not in found]


def _order(value: Any) -> tuple[bool, float, str]:
    """Numbers come before texts."""
    if isinstance(value, (int, float)):
        return False, float(value), ""
    return True, math.nan, str(value)


def _config_column(key: str) -> Column:
    return Column(key=key, heading=key, value=lambda row: _plain(row.config.get(key)))


def _field(name: str, row: Row) -> Any:
    """Return what the runs of a row have in a field: of fractions their spread, of all else each value once."""
    values = [value for run in row.done or row.runs if (value := _fields(run).get(name)) is not None]
    if any(isinstance(value, float) for value in values):
        return Estimate.over(values)
    several = list(dict.fromkeys(map(_plain, values)))
    return several[0] if len(several) == 1 else ", ".join(map(str, several)) or None


def _fields(record: Record) -> Mapping[str, Any]:
    return flatten({name: value for name, value in record.as_json().items() if name not in _NO_FIELDS})


def _names(known: Sequence[Column], rows: Sequence[Row]) -> set[str]:
    keys = {key for row in rows for key in row.config} | {key for row in rows for key in _fields(row.newest)}
    return {column.choice for column in known} | keys


def _plain(value: Any) -> Any:
    """Return a value as a cell has it; a step of an augmentation without parameters is there."""
    if isinstance(value, bool) or value == {}:
        return "false" if value is False else "true"
    return str(value) if isinstance(value, (list, dict)) else value


def _equals(value: Any, text: str) -> bool:
    value = getattr(value, "mean", value)
    return value is not None and (str(value) == text or value == parse_value(text))
