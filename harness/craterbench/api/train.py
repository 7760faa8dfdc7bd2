"""Runs and searches."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from craterbench.api.arguments import AnyPath, overrides_of
from craterbench.api.finished_run import Run
from craterbench.execution.batch import train
from craterbench.execution.executor import ExecutionOptions
from craterbench.execution.run import RunFactory
from craterbench.execution.run_spec import run_specs
from craterbench.metrics.metric import Metrics
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry
from craterbench.report.live import live_runs, live_sweep, sweep_several
from craterbench.report.study.narrative import verdict
from craterbench.report.study.several_narrative import several_sentences
from craterbench.results.store import Store
from craterbench.search.setup import create_sweep, new_name
from craterbench.search.several.compare import summarize_several
from craterbench.search.several.setup import create_sweeps
from craterbench.search.summarize import summarize
from craterbench.search.summary import StudySummary

__all__ = ["run", "sweep"]


def run(
    benchmarks: str | Sequence[str],
    *,
    seed: int = 42,
    seeds: int = 1,
    folds: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    workers: int | None = None,
    device: str = "auto",
    executor: str = "local",
    scheduler: str | None = None,
    results: AnyPath = "results",
    force: bool = False,
    resume: bool = False,
    quiet: bool = False,
) -> list[Run]:
    """Train benchmarks, as ``bench run`` does, and return their runs; what is done already is not trained again.

    Args:
        benchmarks: names that ``bench list`` shows, or paths of TOML files.
        seed: of the first run; they count up.
        seeds: how many runs of each benchmark.
        folds: into how many folds the images are cut, each of which validates once.
        overrides: values by dotted keys, such as ``{"training.epochs": 2}``.
        workers: runs at once, or ``None`` for what fits.
        device: ``auto``, ``cpu`` or ``gpu``.
        executor: where runs train, such as ``dask``.
        scheduler: the address of an executor on other machines, as ``HOST:PORT``.
        results: the folder of results.
        force: whether to repeat what is done already.
        resume: whether to go on with what was interrupted.
        quiet: whether to show no progress on the standard error stream.

    Returns:
        In the order of benchmarks, seeds and folds. A run that failed is there, too: its record says why.

    Raises:
        UserError: a benchmark cannot be run.
    """
    registry, store = Registry.installed(), Store(Path(results))
    names = [benchmarks] if isinstance(benchmarks, str) else benchmarks
    seeds_of_each = range(seed, seed + seeds)
    specs = run_specs(registry, names, overrides_of(overrides or {}), seeds=seeds_of_each, folds=folds)
    options = ExecutionOptions(executor=executor, address=scheduler, device=device, workers=workers)
    with live_runs(registry, quiet=quiet) as log:
        factory = RunFactory(registry=registry, store=store, device=device, log=log)
        with closing(train(factory, specs, options, force=force, resume=resume)) as ends:
            ended = sorted(ends, key=lambda end: end.position)
    if refusals := [end.refusal for end in ended if end.refusal is not None]:
        raise UserError("\n".join(refusals))
    return [Run(str(store.folder(end.record))) for end in ended]


def sweep(
    benchmark: str | Sequence[str] = "reference",
    *,
    trials: int = 50,
    vary: Sequence[str] = (),
    fix: Mapping[str, Any] | None = None,
    objective: str = "balanced_accuracy",
    epochs: int | None = None,
    framework: str | None = None,
    sampler: str = "tpe",
    pruner: str = "median",
    seed: int = 0,
    timeout: float | None = None,
    workers: int | None = None,
    device: str = "auto",
    executor: str = "local",
    scheduler: str | None = None,
    confirm: int = 1,
    name: str | None = None,
    results: AnyPath = "results",
    quiet: bool = False,
) -> pd.DataFrame:
    """Search for a better setting and retrain the best on fresh seeds, as ``bench sweep`` does.

    Args:
        benchmark: where the search starts; of several each gets a search of its own with as many trials, and what is
            confirmed of them is compared with the first.
        trials: complete or pruned, in all.
        vary: what to vary and no more, as for ``--vary``, such as ``"model.depth=2..4"``.
        fix: values for all trials, by dotted keys.
        objective: a metric, of the validation part, such as ``balanced_accuracy`` or ``val_loss``.
        epochs: the most that a trial trains.
        framework: what trains the trials; by default what is fast here.
        sampler: ``tpe`` or ``random``.
        pruner: ``hyperband``, ``median`` or ``none``.
        seed: of the search.
        timeout: seconds after which no trial is started.
        workers: trials at once, or ``None`` for what fits.
        device: ``auto``, ``cpu`` or ``gpu``.
        executor: where trials run, such as ``dask``.
        scheduler: the address of an executor on other machines, as ``HOST:PORT``.
        confirm: how many to retrain.
        name: of the study; by default ``sweep-1``, ``sweep-2`` and so on.
        results: the folder of results.
        quiet: whether to show no progress on the standard error stream.

    Returns:
        A row for each trial, by its number: its ``state``, what it tried by dotted keys, the objective, ``epochs``,
        ``seconds`` and ``run``, the id of its run. ``attrs`` has the ``study``, its name, and the ``conclusion``, a
        list of sentences on what was retrained. Of several benchmarks a column ``study`` says whose trial it is.

    Raises:
        UserError: an argument is wrong, or there is a study of that name already.
    """
    registry, studies = Registry.installed(), Path(results) / "studies"
    settings_of_all: dict[str, Any] = {
        "name": new_name(studies, name),
        "framework": framework,
        "epochs": epochs,
        "vary": vary,
        "fix": [f"{key}={json.dumps(value)}" for key, value in (fix or {}).items()],
        "objectives": (objective,),
        "sampler": sampler,
        "pruner": pruner,
        "seed": seed,
        "trials": trials,
        "confirm": confirm,
        "device": device,
    }
    benchmarks = [benchmark] if isinstance(benchmark, str) else list(benchmark)
    if not benchmarks:
        raise UserError("name at least one benchmark; bench list shows them")
    options = ExecutionOptions(executor=executor, address=scheduler, device=device, workers=workers)
    log = partial(print, file=sys.stderr)
    if len(benchmarks) > 1:
        several = create_sweeps(registry, studies=studies, benchmarks=benchmarks, **settings_of_all)
        sweep_several(several, Path(results), options, timeout=timeout, quiet=quiet, log=log)
        found = summarize_several(studies / several.plan.name, Metrics.of(registry))
        frames = [_trials_frame(member.study, objective, study=member.study.name) for member in found.members]
        frame, said = pd.concat(frames), several_sentences(found)
    else:
        prepared = create_sweep(registry, benchmark=benchmarks[0], **settings_of_all)
        with live_sweep(prepared, Path(results), options, quiet=quiet, log=log) as shown:
            shown.search(timeout=timeout)
            shown.confirm(Path(results))
            one = summarize(shown.study)
        frame, said = _trials_frame(one, objective), verdict(one)
    frame.attrs |= {"study": settings_of_all["name"], "conclusion": list(said)}
    return frame


def _trials_frame(found: StudySummary, objective: str, **about: str) -> pd.DataFrame:
    rows = [
        {
            "trial": trial.number,
            **about,
            "state": trial.state,
            **trial.parameters,
            objective: trial.values[0] if trial.values else None,
            "epochs": trial.epochs,
            "seconds": trial.seconds,
            "run": trial.record,
        }
        for trial in found.trials
    ]
    columns = None if rows else ["trial", *about, "state", objective, "epochs", "seconds", "run"]
    return pd.DataFrame(rows, columns=columns).set_index("trial")
