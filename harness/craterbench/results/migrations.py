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


def _with_fingerprints(content: dict[str, Any]) -> dict[str, Any]:
    """From schema 2: what says on which images a part was scored is called its fingerprint."""
    parts = content.get("parts")
    if not isinstance(parts, dict) or not all(isinstance(part, dict) for part in parts.values()):
        return content
    renamed = {"yardstick": "fingerprint"}
    return content | {
        "parts": {name: {renamed.get(key, key): value for key, value in part.items()} for name, part in parts.items()}
    }


_STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {2: _with_fingerprints}
