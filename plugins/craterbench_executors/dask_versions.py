"""What is installed on a Dask cluster, against what is installed here: digits are equal only for equal versions."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from typing import Any

from craterbench.execution.versions import versions_of
from craterbench.plugin import UserError

__all__ = ["at_scheduler", "differences", "found", "here", "other_versions", "question"]

#: What must be equal at the scheduler too, which reads the tasks that it hands on.
_EVERYWHERE = ("craterbench", "distributed")

#: What Dask reports in any case, beside the packages in the question.
_PYTHON, _ARCHITECTURE = "python", "architecture"


def here(packages: Mapping[str, str]) -> dict[str, str]:
    """Return what a Dask worker must have: these packages, the executor's, Python's minor version, the architecture."""
    beside = {_PYTHON: _minor(platform.python_version()), _ARCHITECTURE: platform.machine()}
    return {**beside, **versions_of(_EVERYWHERE), **packages}


def question(names: Iterable[str]) -> dict[str, Any]:
    """Return the message that asks a scheduler or a worker of Dask for these versions."""
    return {"op": "versions", "packages": [name for name in names if name not in (_PYTHON, _ARCHITECTURE)]}


def found(answer: Mapping[str, Any], names: Iterable[str]) -> dict[str, str | None]:
    """Return the versions that an answer to ``question`` holds, ``None`` for what is missing."""
    packages = answer["packages"]
    versions = {**packages, _PYTHON: _minor(packages["python"]), _ARCHITECTURE: answer["host"].get("machine")}
    return {name: versions.get(name) for name in names}


def at_scheduler(answer: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the versions that matter at the scheduler from its answer to ``question``."""
    return found(answer, (_PYTHON, *_EVERYWHERE))


def differences(there: Mapping[str, str | None], here: Mapping[str, str]) -> str:
    """Say which versions differ, and how; nothing if none does."""
    differing = [(name, found, here[name]) for name, found in there.items() if found != here[name]]
    return ", ".join(f"{name} {found or 'is missing'} (here {ours})" for name, found, ours in differing)


def other_versions(differing: Mapping[str, str]) -> UserError:
    """Return the error that says for each place what differs there."""
    lines = [f"  {where}: {differs}" for where, differs in differing.items()]
    cure = "install the same on both, and restart those of Dask:"
    return UserError("\n".join([f"other versions on the Dask cluster than here; {cure}", *lines]))


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
