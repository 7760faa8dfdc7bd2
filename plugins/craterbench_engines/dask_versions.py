"""What is installed on a Dask cluster, against what is installed here: digits are equal only for equal versions."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from craterbench.host.versions import versions_of
from craterbench.plugin import UserError

__all__ = ["at_scheduler", "at_workers", "differences", "here", "other_versions"]

#: What must be equal at the scheduler too, which reads the tasks that it hands on.
_EVERYWHERE = ("craterbench", "distributed")


def here(packages: Mapping[str, str]) -> dict[str, str]:
    """Return the versions that a Dask worker must have: these packages, those of the engine, and Python's minor one."""
    return {"python": _minor(platform.python_version()), **versions_of(_EVERYWHERE), **packages}


async def at_scheduler(client: Any) -> dict[str, str | None]:
    """Return the versions that matter at the scheduler, ``None`` for what is missing; in the client's event loop."""
    there: dict[str, str | None] = {"python": _minor(await client.run_on_scheduler(platform.python_version))}
    for name in _EVERYWHERE:
        try:
            there[name] = await client.run_on_scheduler(importlib.metadata.version, name)
        except importlib.metadata.PackageNotFoundError:
            there[name] = None
    return there


async def at_workers(client: Any, addresses: list[str], names: Iterable[str]) -> dict[str, dict[str, str | None]]:
    """Return the versions at each of these Dask workers, ``None`` for what is missing; in the client's event loop.

    Only functions of the standard library are called, which every Python finds by name. A worker that leaves meanwhile
    is left out.
    """
    there: dict[str, dict[str, str | None]] = {address: {} for address in addresses}
    wanted = list(names) if addresses else []
    for name in wanted:
        function, arguments = _question(name)
        answers = await client.run(function, *arguments, workers=addresses, on_error="return")
        for address, found in answers.items():
            if isinstance(found, importlib.metadata.PackageNotFoundError):
                there[address][name] = None
            elif isinstance(found, str):
                there[address][name] = _minor(found) if name == "python" else found
    return {address: versions for address, versions in there.items() if len(versions) == len(wanted)}


def differences(there: Mapping[str, str | None], here: Mapping[str, str]) -> str:
    """Say which versions differ, and how; nothing if none does."""
    differing = [(name, found, here[name]) for name, found in there.items() if found != here[name]]
    return ", ".join(f"{name} {found or 'is missing'} (here {ours})" for name, found, ours in differing)


def other_versions(differing: Mapping[str, str]) -> UserError:
    """Return the error that says for each place what differs there."""
    lines = [f"  {where}: {differs}" for where, differs in differing.items()]
    return UserError("\n".join(["other versions on the Dask cluster than here; install the same on both:", *lines]))


def _question(name: str) -> tuple[Callable[..., str], tuple[str, ...]]:
    """Return the function, with its arguments, that knows a version."""
    return (platform.python_version, ()) if name == "python" else (importlib.metadata.version, (name,))


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
