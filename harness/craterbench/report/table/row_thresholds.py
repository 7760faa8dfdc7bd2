"""Lines below a table on differences at a threshold of 0.5 of which less than half is there at tuned ones."""

from __future__ import annotations

from collections.abc import Sequence

from craterbench.metrics.metric import TUNED
from craterbench.report.estimate_text import estimate_text
from craterbench.report.table.columns import ScoreColumns
from craterbench.report.table.rows import Row
from craterbench.report.threshold_text import explained_by_threshold

__all__ = ["threshold_notes"]


def threshold_notes(fingerprint: ScoreColumns, rows: Sequence[Row]) -> list[str]:
    """Return a line for each row of whose difference to the reference the threshold explains most, or all."""
    evidence, lines = fingerprint.evidence, []
    for scored in (each for row in rows if (each := fingerprint.of(row))):
        pair = evidence.comparison(scored)
        if pair is None or pair.reference is scored:
            continue
        at_half, tuned = evidence.difference(pair), evidence.difference(pair, TUNED)
        if at_half is not None and tuned is not None and (said := explained_by_threshold(at_half, tuned)):
            first, second = (estimate_text(each, signed=True, with_sd=False) for each in (at_half, tuned))
            lines.append(
                f"{scored.row.name}: the difference of balanced accuracy at a threshold of 0.5, {first}, is {second} "
                f"at the thresholds that validation chose: {said}"
            )
    return lines
