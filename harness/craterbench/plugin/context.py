"""What a life-cycle hook gets: the run or the study that it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["RunContext", "StudyContext", "run_title"]


def run_title(name: str, seed: int, fold: str | None) -> str:
    """Return what a run is called while it is under way."""
    return " ".join([name, f"seed {seed}", *([] if fold is None else [f"fold {fold}"])])


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """A run that has started.

    Attributes:
        id: of its record.
        folder: of its files until it has ended, then they are moved to where ended runs are. What a listener
            writes here before that goes with them.
        config: the resolved benchmark: its ``name``, and what ``benchmark.toml`` has.
        fold: which of how many folds validates, as ``2/5``, or ``None``.
        study: the name of the study that it is a trial of, or ``None``.
        trial: its number there, or ``None``.
    """

    id: str
    folder: Path
    config: Mapping[str, Any]
    seed: int
    fold: str | None = None
    study: str | None = None
    trial: int | None = None

    @property
    def title(self) -> str:
        """What the run is called while it is under way."""
        return run_title(self.config["name"], self.seed, self.fold)


@dataclass(frozen=True, kw_only=True)
class StudyContext:
    """A study that is being searched.

    Attributes:
        folder: of its files.
        config: as ``study.json`` has it.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]
