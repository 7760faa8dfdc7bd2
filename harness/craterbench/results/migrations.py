"""Records of older schemas, brought up to the present one, step by step: what users have is read for ever."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["SCHEMA", "migrated"]

#: Raised whenever a field of a record changes its name or its meaning; then ``_STEPS`` has one more.
SCHEMA = 3


def migrated(content: dict[str, Any], folder: Path | None = None) -> dict[str, Any]:
    """Return a record as the present schema has it.

    Args:
        content: a parsed ``record.json``.
        folder: the run's, whose other files tell what the record lacks; without it that is left out.

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
        content = _STEPS[step](content, folder) | {"schema": step + 1}
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


def _with_config(content: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    """From schema 2: the config is that of the benchmark.toml beside the record, or as much as the record says."""
    moved = {
        "framework": ("framework",),
        "model": ("model", "name"),
        "depth": ("model", "depth"),
        "loss": ("loss", "name"),
        "monitor": ("training", "monitor"),
        "precision": ("training", "precision"),
    }
    config = _definition(folder)
    if config is None:
        config = {}
        for key, (section, *names) in moved.items():
            if content.get(key) is None:
                continue
            if names:
                config.setdefault(section, {})[names[0]] = content[key]
            else:
                config[section] = content[key]
    return {key: value for key, value in content.items() if key not in moved} | {"config": config}


def _definition(folder: Path | None) -> dict[str, Any] | None:
    if folder is None:
        return None
    try:
        return tomllib.loads((folder / "benchmark.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # it is not there, or damaged
        return None


def _from_2(content: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    return _with_config(_with_fingerprints(content), folder)


_STEPS: dict[int, Callable[[dict[str, Any], Path | None], dict[str, Any]]] = {2: _from_2}
