"""The config of a study: what is wanted, as it is kept and as it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol, TypeVar

from craterbench.plugin import UserError
from craterbench.results.files import write_atomically

__all__ = ["STUDY_FILE", "SWEEP_FILE", "SweepConfig", "differences", "read_config"]

#: Raised whenever a field of ``study.json`` changes its name or its meaning.
_SCHEMA = 1

#: The file of the config in the folder of a study.
STUDY_FILE = "study.json"

#: The file that says which studies a sweep of several benchmarks has, in a folder beside theirs.
SWEEP_FILE = "sweep.json"


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """The config of a study. It goes on only with what it began with, but for what stands last in the list.

    Attributes:
        benchmark: name or path of the benchmark that it starts from.
        fixed: what was changed in it for all trials: key, value, and the option that said so.
        search_only: those keys of ``fixed`` that make trials cheaper, and do not hold when it is confirmed.
        pinned: those keys of ``fixed`` that the user fixed, and so took out of the space.
        vary: what narrows the space: fields of a ``ParameterOverride`` by what they are about.
        definition: the benchmark of the trials before anything is tried, as ``BenchmarkConfig.as_dict`` gives it.
        versions: of its components, and of the evaluator.
        frameworks: those that all components of the trials fit.
        space: what is tried (see ``craterbench.search.space.space.Space.as_json``).
        data: digest of the data.
        drawn: whether trials validate on what earlier versions drew (see ``craterbench.data.split.GroupSplit``).
        sweep: the sweep of several benchmarks that it is a part of, and goes on with; ``None`` for a study of its own.
        epochs: the most that a trial trains.
        trials: how many there are to be, complete or pruned. This and what follows may change when a study goes on.
        trial_timeout: seconds after which a trial has failed.
        confirm: how many of the best trials are confirmed.
        confirm_with: the framework that they are confirmed in.
    """

    name: str
    created: str
    benchmark: str
    fixed: list[list[Any]]
    search_only: list[str]
    pinned: list[str]
    vary: dict[str, dict[str, Any]]
    definition: dict[str, Any]
    versions: dict[str, int]
    frameworks: list[str]
    space: Any
    data: str
    objectives: list[str]
    sampler: str
    pruner: str
    seed: int
    epochs: int
    trials: int
    trial_timeout: float | None
    confirm: int
    confirm_with: str
    sweep: str | None = None
    drawn: bool = True
    schema: int = _SCHEMA

    @property
    def resumed_as(self) -> str:
        """The name that goes on with it: its own, or that of the sweep of several that it is a part of."""
        return self.sweep or self.name

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SweepConfig:
        """Return the config of what ``write`` wrote; raises KeyError or TypeError if it is none."""
        return cls(**{key: content[key] for key in content.keys() & {field.name for field in fields(cls)}})

    def write(self, folder: Path) -> None:
        """Write it into the study's folder, atomically, and onto the disk: without it its trials are lost."""
        write_atomically(folder / STUDY_FILE, json.dumps(asdict(self), indent=1) + "\n", durable=True)

    @classmethod
    def read(cls, folder: Path) -> SweepConfig:
        """Return the config of the study in a folder.

        Raises:
            UserError: there is no study, or its config cannot be read.
        """
        file = folder / STUDY_FILE
        if not file.is_file():
            found = [*folder.parent.glob(f"*/{STUDY_FILE}"), *folder.parent.glob(f"*/{SWEEP_FILE}")]
            known = sorted(path.parent.name for path in found)
            there = f"there are {', '.join(known)}" if known else "there is none yet"
            raise UserError(f"there is no study {folder.name!r} in {folder.parent}; {there}")
        return read_config(file, "study", _SCHEMA, cls.from_json)


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_Config = TypeVar("_Config", bound=_Named)


def read_config(file: Path, what: str, schema: int, make: Callable[[Any], _Config]) -> _Config:
    """Return the config in a folder's JSON file.

    Args:
        file: the file.
        what: what the folder holds, for a message.
        schema: the newest that can be read.
        make: returns the config of the file's content; what is wrong with it is a KeyError, TypeError or ValueError.

    Raises:
        UserError: the file cannot be read, or its config is that of another folder.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["schema"] > schema:
            raise UserError(f"{file} is of the newer schema {content['schema']}, here {schema}: update craterbench")
        config = make(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{file} cannot be read; was it written by another version of craterbench?") from None
    if config.name != file.parent.name:  # to go on with it would be to go on with the other
        raise UserError(f"{file.parent} holds the {what} {config.name!r}; give the folder that name again")
    return config


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a line for each key under which two mappings differ."""
    return [
        f"{key}: {_shown(before, key)} when it began, {_shown(now, key)} now"
        for key in sorted(before.keys() | now.keys())
        if before.get(key, ...) != now.get(key, ...)
    ]


def _shown(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key]) if key in values else "not there"
