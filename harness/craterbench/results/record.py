"""What a run leaves, in plain values."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any, get_type_hints

from craterbench.metrics.metric import Metric
from craterbench.results.migrations import SCHEMA, migrated
from craterbench.results.shape import Config, DatasetRecord, Environment, PartRecord, misfit_of, misshapen

__all__ = ["STATUSES", "Record"]

#: What can name a folder, and no other one than in its place.
_PLAIN_NAME = re.compile(r"(?!\.\.?$)[^/\\\0]+")

#: A list of numbers as ``json`` writes it, one a line.
_NUMBERS = re.compile(r"\[\n([-+.0-9eE,\s]+)\]")

STATUSES = ("running", "done", "pruned", "failed", "interrupted")


@dataclass(frozen=True, kw_only=True)
class Record:
    """A run, as ``record.json`` holds it. What only a finished run has is empty in the others.

    Attributes:
        id: time and a short random part; the name of the run's folder.
        benchmark: the benchmark's name.
        overrides: what the command line changed in it, each ``key=value``.
        config: the benchmark, resolved: every value that it had, nested as in its TOML file.
        definition: digest of the complete config and of its components' versions; the seed is not in it.
        fold: which of how many folds validated, as ``2/5``; ``None`` where the config's own split cut the parts.
        identity: digest of the config and of the data (see ``craterbench.config.identity``).
        dataset: name, digest, provenance, licence and notes; and ``split``, where earlier versions cut the same data
            otherwise.
        parts: for each scored part its fingerprint, the number of its images, and its ``statistics``: by name their
            sums over images, rim and interior apart where they are counted apart. Scores follow from them.
        best_epoch: the epoch whose weights were scored.
        seconds: start_up, training, scoring.
        images_per_second: images that training went through in a second.
        peak_memory: the most memory that the training process held, in bytes.
        warnings: what makes its scores doubtful, such as images in two parts.
        parity: the verdict on the twins that holds for its versions: ``equal`` or ``different``.
        environment: versions, threads, device, machine.
        error: why a run failed.
        log_tail: the last lines that a failed run printed.
        members: of an ensemble the ids of its runs, whose weights it is made of; empty for a run that was trained.
    """

    id: str
    benchmark: str
    seed: int
    status: str
    started: str
    overrides: list[str]
    definition: str
    config: dict[str, Any]
    protocol: str
    environment: dict[str, Any]
    schema: int = SCHEMA
    fold: str | None = None
    identity: str | None = None
    dataset: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    num_weights: int | None = None
    epochs: int = 0
    best_epoch: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    images_per_second: float | None = None
    peak_memory: int | None = None
    warnings: list[str] = field(default_factory=list)
    parity: str | None = None
    error: str | None = None
    log_tail: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)

    @property
    def framework(self) -> str:
        """What trained it."""
        return str(self.config["framework"])

    @property
    def monitor(self) -> str:
        """The metric that chose its epoch."""
        return str(self.config["training"]["monitor"])

    @property
    def precision(self) -> str:
        """Of the arithmetic in training."""
        return str(self.config["training"]["precision"])

    def score(self, part: str, metric: Metric, region: str | None = None) -> float | None:
        """Return a metric of a part; ``None`` where it is not defined or not known (see ``Metric.score_part``)."""
        return metric.score_part(self.parts[part]["statistics"], part, region, edge=self.best_edge(metric))

    def best_edge(self, metric: Metric) -> int | None:
        """Return the edge of the histogram that is the threshold of a tuned metric; ``None`` where there is none."""
        if not metric.tuned:
            return None
        if metric.name not in self._edges:
            self._edges[metric.name] = metric.best_edge(self.parts.get("validation", {}).get("statistics", {}))
        return self._edges[metric.name]

    @cached_property
    def _edges(self) -> dict[str, int | None]:
        return {}

    def as_json(self) -> dict[str, Any]:
        """Return the record as JSON has it; NaN, which JSON has not, is ``null``."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    def as_text(self) -> str:
        """Return what ``record.json`` holds: a field a line, and lists of numbers in one."""
        text = json.dumps(self.as_json(), indent=1, allow_nan=False)
        return _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"

    @classmethod
    def from_json(cls, content: Mapping[str, Any], folder: Path | None = None) -> Record:
        """Return the record of a parsed ``record.json``.

        Args:
            folder: the run's folder, whose other files hold what a record of an older schema lacks.

        Raises:
            ValueError: it is of a schema that is not known, or a field is missing or of no use.
        """
        content = migrated(dict(content) if isinstance(content, Mapping) else {}, folder)
        known = {field.name for field in fields(cls)}
        content = {key: value for key, value in content.items() if key in known}
        try:
            record = cls(**content)
        except TypeError as error:
            raise ValueError(str(error)) from None
        for name, misfit in _misfits().items():
            if (where := misfit(getattr(record, name))) is not None:
                raise ValueError(f"{name}{where} is missing or of a wrong type")
        for part, scored in record.parts.items():
            if (statistic := misshapen(scored["statistics"])) is not None:
                raise ValueError(f"parts.{part}.statistics.{statistic} is missing or of a wrong type")
        if record.status not in STATUSES:
            raise ValueError(f"unknown status {record.status!r}")
        for name in (record.id, record.benchmark):
            if not _PLAIN_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a folder")
        if record.fold is not None and not _is_fold(record.fold):
            raise ValueError(f"fold {record.fold!r} is none such as 2/5")
        if record.status == "done" and not ("digest" in record.dataset and record.parts):
            raise ValueError("done, but without its data or its scores")
        return record


@cache
def _misfits() -> dict[str, Callable[[Any], str | None]]:
    """Return what finds a misfit in each field; resolving annotations takes longer than a record."""
    kinds = {**get_type_hints(Record), "config": Config}
    kinds |= {"environment": Environment, "dataset": DatasetRecord, "parts": dict[str, PartRecord]}
    return {name: misfit_of(kind) for name, kind in kinds.items()}


def _is_fold(text: str) -> bool:
    found = re.fullmatch(r"([1-9][0-9]*)/([1-9][0-9]*)", text)
    return found is not None and int(found[1]) <= int(found[2])


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
