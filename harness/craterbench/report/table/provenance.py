"""Where the numbers of a table come from: versions, machines and data."""

from __future__ import annotations

from collections.abc import Iterable

from craterbench.report.table.rows import Row
from craterbench.results.record import Record

__all__ = ["provenance_notes"]


def provenance_notes(rows: Iterable[Row]) -> dict[str, list[str]]:
    """Return lines on the versions and machines and on the data behind the rows, by heading, each of them once."""
    machines: dict[str, dict[str, None]] = {}
    data: dict[str, None] = {}
    for row in rows:
        for record in row.runs:
            machines.setdefault(_environment(record), {})[row.name] = None
            parts = [record.dataset.get(key) for key in ("name", "provenance", "licence")]
            data["; ".join(str(text) for text in parts if text)] = None
    lines = [f"{', '.join(names)}: {environment}" for environment, names in machines.items()]
    return {"Versions and machine": lines, "Data": list(data)}


def _environment(record: Record) -> str:
    versions = {key: value for key, value in record.environment.items() if key not in ("components", "sources")}
    packages = versions.pop("packages", {})
    return ", ".join(f"{name} {value}" for name, value in (versions | packages).items())
