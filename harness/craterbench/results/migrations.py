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
        folder: the run's, whose other files hold what the record lacks; without it that is left out.

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


def _with_statistics(content: dict[str, Any]) -> dict[str, Any]:
    """From schema 2: parts hold sums of statistics, not scores, and ``yardstick`` is called ``fingerprint``."""
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
        return part  # whose fault is reported like any other


def _confusion(scores: dict[str, Any]) -> list[int]:
    pixels, crater = scores["num_pixels"], scores["num_crater_pixels"]
    found = round((scores["sensitivity"] or 0.0) * crater)
    left = round((scores["specificity"] or 0.0) * (pixels - crater))
    return [found, pixels - crater - left, crater - found, left]


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
    return _with_config(_with_statistics(content), folder)


_STEPS: dict[int, Callable[[dict[str, Any], Path | None], dict[str, Any]]] = {2: _from_2}
