"""Records of older schemas, brought up to the present one, step by step: what users have is read for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["SCHEMA", "migrated"]

#: Raised whenever a field of a record changes its name or its meaning; then ``_STEPS`` has one more.
SCHEMA = 3


def migrated(content: dict[str, Any]) -> dict[str, Any]:
    """Return a record as the present schema has it.

    Args:
        content: a parsed ``record.json``.

    Raises:
        ValueError: it is no record, of a newer schema, or older than any that is known.
    """
    schema = content.get("schema") if isinstance(content, dict) else None
    if type(schema) is not int:
        raise ValueError("it is no record")
    if schema > SCHEMA:
        raise ValueError(f"it is of the newer schema {schema}, here {SCHEMA}: update craterbench")
    if schema < min(_STEPS):
        raise ValueError(f"it is of the older schema {schema}, now {SCHEMA}: run its benchmark again")
    for step in range(schema, SCHEMA):
        content = _STEPS[step](content) | {"schema": step + 1}
    return content


def _with_statistics(content: dict[str, Any]) -> dict[str, Any]:
    """From schema 2: parts have the sums of statistics in place of scores, and a yardstick is called fingerprint."""
    parts = content.get("parts")
    if not isinstance(parts, dict):
        return content
    return content | {"parts": {name: _part_with_statistics(part) for name, part in parts.items()}}


def _part_with_statistics(part: Any) -> Any:
    """Return a part of schema 2 as schema 3 has it: what was counted follows from the scores without a loss."""
    try:
        regions = [part["scores"][region] for region in ("rim", "interior")]
        return {
            "fingerprint": part["yardstick"],
            "num_images": part["scores"]["all"]["num_images"],
            "statistics": {
                "confusion": [_confusion(scores) for scores in regions],
                "cross_entropy": [
                    [(scores["loss"] or 0.0) * scores["num_pixels"], scores["num_pixels"]] for scores in regions
                ],
            },
        }
    except (KeyError, TypeError, ValueError):
        return part  # whose misfit is told like any other


def _confusion(scores: dict[str, Any]) -> list[int]:
    pixels, crater = scores["num_pixels"], scores["num_crater_pixels"]
    found = round((scores["sensitivity"] or 0.0) * crater)
    left = round((scores["specificity"] or 0.0) * (pixels - crater))
    return [found, pixels - crater - left, crater - found, left]


_STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {2: _with_statistics}
