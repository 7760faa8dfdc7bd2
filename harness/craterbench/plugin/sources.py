"""The source behind a target, found without importing it."""

from __future__ import annotations

import hashlib
import importlib.util
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

__all__ = ["source_digest"]


def source_digest(*targets: str) -> str:
    """Return a short digest of the source of the modules of targets ``"module:attribute"``.

    Of each it is the module's own file that counts, not what that imports. A module without one, such as one that is
    built in, counts as empty; so does one that is not there, which whoever imports it will say.
    """
    digest = hashlib.sha256()
    for target in targets:
        digest.update(_source(target.partition(":")[0]))
    return digest.hexdigest()[:16]


def _source(module: str) -> bytes:
    spec = _found(module)
    loader: Any = None if spec is None else spec.loader
    if spec is None or spec.origin is None or not hasattr(loader, "get_data"):
        return b""
    try:
        content: bytes = loader.get_data(spec.origin)
    except OSError:
        return b""
    return content.replace(b"\r\n", b"\n")  # the same text, whatever checked it out


def _found(module: str) -> ModuleSpec | None:
    """Find a module as an import would, but leave the packages that it is in alone: they may bring a framework."""
    package, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # ValueError: it was imported in an unusual way
        return None
    name = package
    for part in inner:
        name = f"{name}.{part}"
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    return spec
