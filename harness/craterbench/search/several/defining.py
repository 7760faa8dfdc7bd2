"""What defines a benchmark beside others: the keys that a search of several has to leave as each of them has them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from craterbench.config.benchmark import COMPONENT_SECTIONS, BenchmarkConfig
from craterbench.config.resolve import Override, resolve, resolve_parent
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry
from craterbench.search.space.space import SECTIONS, is_searched

__all__ = ["DEFINING", "defining_values"]

#: Where a value that defines a benchmark comes from, as messages and ``study.json`` name it.
DEFINING = "the benchmark"


def defining_values(registry: Registry, names: Sequence[str]) -> list[list[Override]]:
    """Return for each benchmark its own values of all that defines one of them, of what a search may vary.

    That is in what they differ from each other, and in what each differs from the benchmark that it extends. Where the
    component differs, its name defines it and no more: its own parameters and the learning rate are searched. So a
    search of ``dice`` keeps the Dice loss, and one of ``reference`` beside it keeps the reference's.

    Args:
        registry: the components.
        names: names or paths of the benchmarks.

    Raises:
        UserError: one cannot be run.
    """
    configs = [resolve(registry, name).benchmark for name in names]
    pairs = list(combinations(configs, 2))
    for name, config in zip(names, configs, strict=True):
        parent = _parent(registry, name)
        if parent is not None:
            pairs.append((config, parent))
    keys = sorted(set[str]().union(*(_differing(*pair) for pair in pairs)))
    values = [{key: _value(config, key) for key in keys} for config in configs]
    return [[Override(key, value, DEFINING) for key, value in each.items() if value is not None] for each in values]


def _parent(registry: Registry, name: str) -> BenchmarkConfig | None:
    try:
        parent = resolve_parent(registry, name)
    except UserError:  # what is only there to be extended need not be complete
        return None
    return None if parent is None else parent.benchmark


def _differing(one: BenchmarkConfig, other: BenchmarkConfig) -> set[str]:
    """Return the keys in which two differ, of those that a search may vary."""
    found: set[str] = set()
    mine, others = one.as_dict(), other.as_dict()
    for section in SECTIONS:
        if section in COMPONENT_SECTIONS and mine[section]["name"] != others[section]["name"]:
            found.add(f"{section}.name")
        else:
            found |= _apart(mine[section], others[section], section)
    return {key for key in found if is_searched(key)}


def _apart(mine: dict[str, Any], others: dict[str, Any], path: str) -> set[str]:
    """Return the dotted keys in which two tables differ; of a table that only one has, its own key."""
    found: set[str] = set()
    for key in mine.keys() | others.keys():
        one, other = mine.get(key), others.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            found |= _apart(one, other, f"{path}.{key}")
        elif one != other:
            found.add(f"{path}.{key}")
    return found


def _value(config: BenchmarkConfig, key: str) -> Any:
    """Return a benchmark's value of a key; of an augmentation whether it is a step; ``None`` if it has no such key."""
    section, *rest = key.split(".")
    table: Any = config.as_dict()[section]
    if section == "augmentation" and len(rest) == 1 and not isinstance(table.get(rest[0]), int | str):
        return rest[0] in table
    for part in rest:
        table = table.get(part) if isinstance(table, dict) else None
    return table
