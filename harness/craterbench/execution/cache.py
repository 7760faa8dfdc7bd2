"""The cache of runs: finds what has been run before, so that no run is repeated for nothing."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from craterbench.execution.devices import environment
from craterbench.execution.run_spec import RunSpec
from craterbench.execution.versions import packages_of
from craterbench.execution.worker import WorkerError, WorkerProcess
from craterbench.metrics.evaluator import EVALUATOR_VERSION
from craterbench.plugin import UserError
from craterbench.results.checkpoint import Checkpoint
from craterbench.results.record import Record
from craterbench.results.store import Store
from craterbench.training.parts import DataInfo

__all__ = ["RunCache"]


_DESCRIBE_DATA = "craterbench.training.parts:describe_data"


class RunCache:
    """The runs in a results folder, as it was when those of a benchmark were first looked up.

    A run is the same as an earlier one if both have the same spec, so that they stand in one row of the table, and if
    their identities are equal. The data's part of the identity is computed each time, in a child without a framework:
    data that have changed in the same path are other data. What another version of the evaluator scored is done again:
    nothing that is scored now may stand beside it.
    """

    def __init__(self, store: Store) -> None:
        """Look into a results folder."""
        self._store = store
        self._records: dict[str, list[Record]] = {}
        self._data: dict[str, DataInfo | None] = {}

    def refresh(self, spec: RunSpec) -> None:
        """See the runs of a benchmark as they are now."""
        self._records.pop(spec.benchmark.name, None)

    def done(self, spec: RunSpec) -> Record | None:
        """Return the newest record of such a run that is done, or ``None``."""
        for record in self._alike(spec, {"done"}):
            if self._difference(record, spec) is None:
                return record
        return None

    def folds_problem(self, spec: RunSpec) -> str | None:
        """Return why the images cannot be cut into the folds of a run, if they cannot: then no fold is worth training.

        Data that cannot be had here are no reason: the run itself will say and keep what is wrong with them.
        """
        data = None if spec.fold is None else self._data_of(spec)
        return None if data is None else data.folds_problem

    def under_way(self, spec: RunSpec) -> Record | None:
        """Return the record of such a run that a living process has under way, or ``None``.

        Ask while ``Store.start_lock`` is held. A run whose data are not known yet is taken for such a run: whoever
        waits for it will see.
        """
        for record in self._store.under_way():
            if spec.is_of(record) and (record.identity is None or self._difference(record, spec) is None):
                return record
        return None

    def interrupted(self, spec: RunSpec, *, device: str) -> tuple[Record, Checkpoint] | str | None:
        """Return the newest of such runs that can be gone on with, or why the newest cannot, or ``None`` without one.

        Runs that were interrupted can, and those whose child was killed, once they had finished an epoch. To come to
        the digits of an unbroken run the packages have to be those that it began with; it keeps its threads and its
        device, unless another device is chosen.

        Args:
            device: ``auto`` is content with the one that the run began on.
        """
        found = None
        for record in self._alike(spec, {"interrupted", "failed"}):
            checkpoint = self._store.checkpoint(record)
            if checkpoint is None and record.status == "failed":
                continue  # it would fail again
            if checkpoint is None:
                why: str | None = "it left no state that can be read"
            elif record.environment.get("packages") != packages_of(spec.benchmark):
                why = "it began with other versions of its packages"
            else:
                why = self._obstacle(record, device) or self._difference(record, spec)
            if checkpoint is not None and why is None:
                return record, checkpoint
            found = found or f"{record.id} cannot be gone on with, {why}; starting from the beginning"
        return found

    def _alike(self, spec: RunSpec, statuses: Collection[str]) -> Iterator[Record]:
        """Return the runs of the same spec and of these statuses, the newest first."""
        name = spec.benchmark.name
        if name not in self._records:
            self._records[name], _ = self._store.records(name)
        return (record for record in reversed(self._records[name]) if record.status in statuses and spec.is_of(record))

    def _obstacle(self, record: Record, device: str) -> str | None:
        """Return why a run cannot be gone on with as it began, or ``None``."""
        if not {"threads", "device"} <= record.environment.keys():
            return "its record does not say on what it ran"
        on = record.environment["device"]
        return None if device in ("auto", on) else f"it was on {on}, not {device}"

    def _difference(self, record: Record, spec: RunSpec) -> str | None:
        """Return in what a run differs from its spec, or ``None`` if it is the same."""
        if record.environment.get("evaluator") != EVALUATOR_VERSION:
            return "it was scored by another version of the evaluator"
        data = self._data_of(spec)
        if data is None or not spec.is_same_as(record, data=data.digest, drawn=data.drawn):
            return "it was on other data"
        return None

    def _data_of(self, spec: RunSpec) -> DataInfo | None:
        """Return what is known of the data, or ``None`` if they cannot be had: the run itself will say and keep why."""
        benchmark, folds = spec.benchmark, None if spec.fold is None else spec.fold.of
        key = repr((benchmark.dataset, benchmark.split, folds))
        if key not in self._data:
            try:
                with WorkerProcess(environment(threads=1, device="cpu", framework={})) as child:
                    arguments = {"benchmark": benchmark, "folds": folds}
                    self._data[key] = child.call(_DESCRIBE_DATA, arguments, log=Path(os.devnull))
            except (UserError, WorkerError):
                self._data[key] = None
        return self._data[key]
