"""Which verdict on twins a row of a table may show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from craterbench.report.table.rows import Row
from craterbench.results.parity_verdicts import standing
from craterbench.results.record import Record

__all__ = ["Verdicts"]


class Verdicts:
    """Looks up the verdicts of a results folder, once for all runs of the same versions."""

    def __init__(self, results: Path) -> None:
        self._results = results
        self._found: dict[str, str | None] = {}

    def of(self, row: Row) -> str | None:
        """Return the verdicts that hold for the runs of a row, or ``None`` where there is none.

        Of a run it is the newest that stands, even if it was found after the run; else the one that its record carries,
        which may come from another results folder.
        """
        return ", ".join(sorted({verdict for record in row.done if (verdict := self._of(record))})) or None

    def _of(self, record: Record) -> str | None:
        trained_with: dict[str, Any] = {
            key: record.environment.get(key) for key in ("components", "packages", "device")
        }
        if not all(trained_with.values()):
            return record.parity  # a verdict would hold for whatever is not known
        trained_with["sources"] = record.environment.get("sources", {})
        key = json.dumps([trained_with, record.precision], sort_keys=True)
        if key not in self._found:
            self._found[key] = standing(self._results, precision=record.precision, **trained_with)
        return self._found[key] or record.parity
