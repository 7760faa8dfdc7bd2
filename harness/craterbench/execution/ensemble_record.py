"""The record of an ensemble: a row of the table beside the runs that it is made of."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import craterbench
from craterbench.execution.ensemble import Ensemble
from craterbench.execution.run import arrays_of, parts_of
from craterbench.metrics.evaluator import EVALUATOR_VERSION
from craterbench.plugin import UserError
from craterbench.results.record import Record
from craterbench.results.store import Store, new_id
from craterbench.training.experiment import Evaluation

__all__ = ["evaluate_ensemble"]


def evaluate_ensemble(ensemble: Ensemble, store: Store) -> tuple[Record, Evaluation]:
    """Score an ensemble on the data of its runs, and keep that as a run that has no weights of its own.

    Its seed is the lowest of theirs: ensembles of other seeds are other runs of one row of the table, and of the same
    one the newest counts.

    Raises:
        UserError: the data or the weights cannot be had, the runs were not scored on the same images, or the results
            folder cannot be written.
    """
    clock = time.perf_counter()
    found = ensemble.evaluate()
    record = _record(ensemble, found, time.perf_counter() - clock)
    folder = store.begin(replace(record, status="running"))  # of a run that is done everything is there
    try:
        folder.write_config(record.config)
        folder.write_statistics(arrays_of(found.scored))
        folder.finish(record)
    except OSError as error:
        folder.discard()
        raise UserError(
            f"the results folder {store.root} cannot be written ({error.strerror}); give another one with --results DIR"
        ) from None
    return record, found


def _record(ensemble: Ensemble, found: Evaluation, seconds: float) -> Record:
    members = sorted((run.record for run in ensemble.runs), key=lambda run: (run.benchmark, run.seed, run.id))
    first = members[0]
    names = "+".join(dict.fromkeys(member.benchmark for member in members))
    run_id, started = new_id()
    shared = [change for change in first.overrides if all(change in member.overrides for member in members)]
    tta = ",".join(ensemble.tta)
    of = {"ensemble": sorted(member.identity or member.id for member in members), "tta": tta}
    return Record(
        id=run_id,
        benchmark=f"ensemble-of-{len(members)}-{names}",
        seed=min(member.seed for member in members),
        fold=first.fold,
        status="done",
        started=started,
        overrides=[*shared, *([f"tta={tta}"] if tta else [])],
        definition=_digest({"definitions": sorted(member.definition for member in members), "tta": tta}),
        config=_common([member.config for member in members]),
        protocol=first.protocol,
        environment={
            **first.environment,
            "craterbench": craterbench.__version__,
            "evaluator": EVALUATOR_VERSION,
        },
        identity=_digest(of),
        dataset=first.dataset,
        parts=parts_of(found.scored),
        num_weights=sum(member.num_weights or 0 for member in members),
        seconds={"scoring": seconds},
        warnings=list(dict.fromkeys([*(line for member in members for line in member.warnings), *found.warnings])),
        members=[member.id for member in members],
    )


def _common(configs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the values that configs share; texts that differ, such as names, are joined, and other values left out."""
    common: dict[str, Any] = {}
    for key, value in configs[0].items():
        values = [config.get(key) for config in configs]
        if all(isinstance(each, dict) for each in values):
            common[key] = _common([each for each in values if isinstance(each, dict)])
        elif all(each == value for each in values):
            common[key] = value
        elif all(isinstance(each, str) for each in values):
            common[key] = "+".join(dict.fromkeys(map(str, values)))
    return common


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
