"""In what rows of one name differ, and in what the runs of one row do, where that may move a score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from craterbench.report.table.rows import Row
from craterbench.report.table.selection import differing_keys
from craterbench.results.record import Record

__all__ = ["mixture_notes", "same_name_notes"]


def same_name_notes(rows: Iterable[Row]) -> list[str]:
    """Return a line on each name that several rows have: in what they differ, in the order of the rows."""
    named: dict[str, list[Row]] = {}
    for row in rows:
        named.setdefault(row.title, []).append(row)
    return [f"{title} ({len(same)} rows): {_apart(same)}" for title, same in named.items() if len(same) > 1]


def mixture_notes(rows: Iterable[Row]) -> list[str]:
    """Return a line on each row whose runs had not the same threads, device and packages; their scores stay."""
    found = []
    for row in rows:
        versions = _differing([_environment(record) for record in row.done])
        if versions:
            found.append(f"{row.title}: runs with {', '.join(versions)}")
    return found


def _environment(record: Record) -> dict[str, Any]:
    known = {key: record.environment[key] for key in ("threads", "device") if key in record.environment}
    return {**known, **record.environment.get("packages", {})}


def _apart(rows: Sequence[Row]) -> str:
    """Name the keys of the config and the components' versions that differ, and the data.

    Where these do not differ in all of the rows, the components whose source differs do, or else the digests.
    """
    newest = [(row.done or row.runs)[-1] for row in rows]
    versions = [record.environment.get("components", {}) for record in newest]
    parts = [
        f"{key} {_listed('–' if value is None else str(value) for value in values)}"
        for key, values in differing_keys(rows).items()
    ]
    parts += _differing(versions)
    digests = dict.fromkeys(record.definition for record in newest)
    known = {repr((sorted(each.items()), row.config)) for each, row in zip(versions, rows, strict=True)}
    if len(known) < len(digests):
        sources = [record.environment.get("sources", {}) for record in newest]
        parts += _differing(
            [{f"source of {name}": digest[:8] for name, digest in each.items()} for each in sources]
        ) or [f"config {_listed(digest[:8] for digest in digests)}"]
    data = dict.fromkeys(
        f"{record.dataset['name']} {record.dataset['digest'][:8]}" for record in newest if "digest" in record.dataset
    )
    if len(data) > 1:
        parts.append(f"data {_listed(data)}")
    splits = dict.fromkeys(record.dataset.get("split", "drawn") for record in newest if "digest" in record.dataset)
    if len(splits) > 1:
        parts.append(f"split {_listed(splits)}")
    return ", ".join(parts)


def _differing(values: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what has several values, each with these in their order; where a key is missing, nothing is known."""
    found: dict[str, dict[Any, None]] = {}
    for each in values:
        for key, value in each.items():
            found.setdefault(key, {})[value] = None
    return [f"{key} {_listed(map(str, several))}" for key, several in found.items() if len(several) > 1]


def _listed(values: Iterable[str]) -> str:
    """Return ``1, 2 and 4``."""
    *first, last = values
    return f"{', '.join(first)} and {last}" if first else last
