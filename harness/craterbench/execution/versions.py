"""Which versions of the packages that can move a digit are installed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Collection, Iterable
from functools import cache

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.plugin.registry import KINDS, Registry

__all__ = ["distributions_of", "packages_of", "versions_of"]

#: Packages of every run whose versions can move a digit of the data or of a score.
_ALWAYS = ("numpy", "scipy", "scikit-learn", "opencv-python-headless")


def packages_of(benchmark: BenchmarkConfig) -> dict[str, str]:
    """Return the versions of the packages that can move a digit of a benchmark's run."""
    return versions_of((*_ALWAYS, *benchmark.framework.distributions))


def versions_of(distributions: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {name: _version(name) for name in distributions}
    return {name: version for name, version in found.items() if version is not None}


def distributions_of(registry: Registry, components: Collection[str]) -> list[str]:
    """Return the distributions of the plugins that bring components, ``kind name`` each, as far as they are known."""
    entries = [(f"{kind} {entry.spec.name}", entry) for kind in KINDS for entry in registry.entries(kind)]
    return sorted(set().union(*(entry.distributions for name, entry in entries if name in components)))


@cache
def _version(distribution: str) -> str | None:
    """Return the version of a package: a process keeps what it has imported, and looking takes milliseconds."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
