"""From Python what ``bench`` does from the shell: train, score, predict, and results as pandas DataFrames.

All training, scoring and predicting is done in worker processes, as on the command line: no framework is imported here,
and a script needs no ``if __name__ == "__main__"``. A call that cannot be done raises
``craterbench.plugin.UserError``, whose message names the cure.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from craterbench.config.resolve import Override
from craterbench.data.values import make_images
from craterbench.execution.batch import train
from craterbench.execution.ensemble import Ensemble, parse_tta
from craterbench.execution.ensemble_record import evaluate_ensemble
from craterbench.execution.executor import ExecutionOptions
from craterbench.execution.finished import FinishedRun
from craterbench.execution.run import RunFactory
from craterbench.execution.run_spec import run_specs
from craterbench.metrics.metric import Metrics
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry
from craterbench.prediction.shown import scale_of_data
from craterbench.report.exported_file import ExportedFile, write_export
from craterbench.report.live import live_runs, live_sweep, sweep_several
from craterbench.report.prediction_progress import predict_live
from craterbench.report.study.narrative import verdict
from craterbench.report.study.several_narrative import several_sentences
from craterbench.report.table.table import tabulate
from craterbench.report.table.table_frame import frame as table_frame
from craterbench.results.frame import runs_frame
from craterbench.results.image_frame import images_frame
from craterbench.results.record import Record
from craterbench.results.store import Store, read_history
from craterbench.results.weights import read_weights
from craterbench.search.setup import create_sweep, new_name
from craterbench.search.several.compare import summarize_several
from craterbench.search.several.setup import create_sweeps
from craterbench.search.summarize import summarize
from craterbench.search.summary import StudySummary
from craterbench.training.experiment import Evaluation

__all__ = ["Run", "evaluate", "per_image", "predict", "predict_files", "run", "runs", "sweep", "table"]

_Path = str | PathLike[str]


class Run:
    """A finished run, in a results folder.

    Attributes:
        folder: of its files.
    """

    def __init__(self, name: str | Run, results: _Path = "results") -> None:
        """Find a run by its id, a beginning of it that no other has, or the path of its folder.

        Raises:
            UserError: there is none, or there are several.
        """
        self._finished: FinishedRun
        self._finished = name._finished if isinstance(name, Run) else FinishedRun(Store(Path(results)), str(name))
        self.folder = self._finished.folder

    def __repr__(self) -> str:
        record = self.record
        fold = "" if record.fold is None else f", fold {record.fold}"
        return f"<Run {self.id}: {record.benchmark}, seed {record.seed}{fold}, {record.status}>"

    @property
    def id(self) -> str:
        """Time and a short random part: the name of its folder."""
        return self.record.id

    @property
    def record(self) -> Record:
        """All that its ``record.json`` says (see ``craterbench.results.record``)."""
        return self._finished.record

    @property
    def config(self) -> dict[str, Any]:
        """Every value of its benchmark, nested as in a TOML file."""
        return self.record.config

    @cached_property
    def history(self) -> pd.DataFrame:
        """A row for each epoch, by its number (see ``craterbench.training.fit``).

        Raises:
            UserError: the run has left none.
        """
        try:
            rows = read_history(self.folder)
        except ValueError as error:
            raise UserError(f"{self.folder / 'history.csv'}: {error}") from None
        return pd.DataFrame(rows).astype({"epoch": int, "best": int}).set_index("epoch")

    @cached_property
    def weights(self) -> dict[str, npt.NDArray[Any]]:
        """The weights of its best epoch by name, in Keras' lay-out."""
        return read_weights(self._finished.weights_file)

    def predict(self, images: npt.NDArray[np.generic], *, device: str = "auto") -> npt.NDArray[np.float32]:
        """Return the probability of a crater at every pixel, float32 (N, H, W, 1).

        A worker process predicts, which first imports the framework: give many images at once.

        Args:
            images: (N, H, W) or (N, H, W, 1), grey values on the scale of the run's data; each is shown as a whole.
            device: ``auto``, ``cpu`` or ``gpu``.

        Raises:
            UserError: the weights are missing or of another model, or these are no images.
        """
        return predict(self, images, device=device)

    def export(self, to: str, path: _Path | None = None) -> ExportedFile:
        """Write the network to a file that runs without craterbench, and a card beside it, as ``bench export`` does.

        The file is run before it is kept.

        Args:
            to: ``onnx``, ``keras`` or ``torch``, or what a plugin's framework writes.
            path: the file, which may not be there yet; by default benchmark and id, in the current folder.

        Raises:
            UserError: the weights are missing, the network cannot be written so or here, the file does not give what
                the run predicts, or it cannot be written there.
        """
        return write_export(self._finished, Registry.installed(), to, None if path is None else Path(path))


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
    results: _Path = "results",
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
    specs = run_specs(registry, names, _overrides(overrides or {}), seeds=seeds_of_each, folds=folds)
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
    results: _Path = "results",
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


def evaluate(
    runs: str | Run | Iterable[str | Run],
    *,
    ensemble: bool = False,
    tta: Sequence[str] = (),
    dataset: str | None = None,
    data: _Path | None = None,
    device: str = "auto",
    results: _Path = "results",
) -> pd.DataFrame:
    """Score finished runs again from their weights.

    On their own data their records get what they lack, such as a metric's statistic that came after them. On other data
    the parts are those that a run trained there has, and records stay as they are. An ensemble of runs becomes a run of
    its own in the folder of results, and so a row of the table.

    Args:
        runs: runs, or what finds them (see ``Run``).
        ensemble: whether to score the mean of their probabilities instead of each.
        tta: test-time augmentation of an ensemble, of one run or more: ``"flips"``, ``"turns"`` or both.
        dataset: the name of another data set.
        data: the path of other data, or of their own where these have moved.
        device: ``auto``, ``cpu`` or ``gpu``.
        results: the folder of results.

    Returns:
        A row for each run and part: its metrics over all pixels, and the fingerprint of the part; numbers may be
        compared where fingerprints are equal. ``attrs["notes"]`` says what was added to which record, and which
        metrics of plugins could not be had.

    Raises:
        UserError: a run, its weights or the data cannot be had.
    """
    registry = Registry.installed()
    metrics = Metrics.of(registry)
    other = {"dataset.name": dataset, "dataset.path": None if data is None else str(Path(data).absolute())}
    overrides = _overrides({key: value for key, value in other.items() if value is not None})
    evaluated: list[tuple[Record, Evaluation]] = []
    notes: list[str] = []
    members = _finished(runs, results)
    if ensemble:
        if overrides:
            raise UserError("an ensemble is scored on the data of its runs; leave out --dataset and --data")
        with Ensemble(registry, members, tta=parse_tta(",".join(tta)), device=device) as entered:
            evaluated.append(evaluate_ensemble(entered, Store(Path(results))))
    elif tta:
        raise UserError("--tta is for an ensemble, of one run or more; add --ensemble")
    for finished in () if ensemble else members:
        found = finished.evaluate(registry, overrides=overrides, device=device)
        added = finished.supplement(found) if finished.is_on(found) else []
        notes += [f"{finished.record.id}: added {each}" for each in added]
        evaluated.append((finished.record, found))
    rows: list[dict[str, Any]] = []
    for record, found in evaluated:
        notes += [f"{record.id}: {line}" for line in found.warnings]
        sums = {name: part.statistics.sums() for name, part in found.scored.items()}
        edges = {metric.name: metric.best_edge(sums["validation"]) for metric in metrics if metric.tuned}
        for name, part in found.scored.items():
            about = {"run": record.id, "benchmark": record.benchmark, "seed": record.seed, "part": name}
            scores = {
                metric.name: metric.score_part(sums[name], name, edge=edges.get(metric.name)) for metric in metrics
            }
            size = {"num_images": len(part.statistics.groups), "fingerprint": part.fingerprint}
            rows.append({**about, **scores, **size})
    scored = pd.DataFrame(rows).set_index(["run", "part"])
    scored.attrs["notes"] = notes
    return scored


def predict(
    runs: str | Run | Iterable[str | Run],
    images: npt.NDArray[np.generic],
    *,
    tta: Sequence[str] = (),
    framework: str | None = None,
    device: str = "auto",
    results: _Path = "results",
) -> npt.NDArray[np.float32]:
    """Return what a finished run predicts for images, or the mean of what several do (see ``Run.predict``).

    Args:
        runs: runs, or what finds them (see ``Run``).
        images: (N, H, W) or (N, H, W, 1), grey values on the scale of the run's data; each is shown as a whole.
        tta: test-time augmentation: ``"flips"``, ``"turns"`` or both.
        framework: what predicts, by the weights, if it is not what trained.
        device: ``auto``, ``cpu`` or ``gpu``.
        results: the folder of results.

    Returns:
        float32 (N, H, W, 1).
    """
    finished = _finished(runs, results)
    checked = make_images(np.asarray(images), source="images", scale=scale_of_data(finished[0].record))
    named = parse_tta(",".join(tta))
    with Ensemble(Registry.installed(), finished, framework=framework, tta=named, device=device) as ensemble:
        return ensemble.predict(checked)


def predict_files(
    runs: str | Run | Iterable[str | Run],
    images: _Path | Sequence[_Path],
    out: _Path,
    *,
    threshold: float | None = None,
    tta: Sequence[str] = (),
    framework: str | None = None,
    device: str = "auto",
    results: _Path = "results",
    quiet: bool = False,
) -> pd.DataFrame:
    """Write masks, probabilities, overlays and catalogues of craters in image files, as ``bench predict`` does.

    Args:
        runs: as for ``predict``.
        images: image files, NumPy files, mosaics, and folders of such.
        out: the folder for what is found.
        threshold: a pixel is crater where its probability is above this; by default the mean of the runs' thresholds
            that were best for their validation parts.
        tta: as for ``predict``.
        framework: as for ``predict``.
        device: ``auto``, ``cpu`` or ``gpu``.
        results: the folder of results.
        quiet: whether to show no progress on the standard error stream.

    Returns:
        A row for each file (see ``craterbench.prediction.predict.Predicted``).

    Raises:
        UserError: a run or an image cannot be used, or the folder cannot be written.
    """
    paths = [images] if isinstance(images, (str, PathLike)) else images
    done = predict_live(
        Registry.installed(),
        _finished(runs, results),
        [Path(path) for path in paths],
        Path(out),
        framework=framework,
        tta=parse_tta(",".join(tta)),
        threshold=threshold,
        device=device,
        quiet=quiet,
    )
    return pd.DataFrame(done).set_index("image")


def _finished(runs: str | Run | Iterable[str | Run], results: _Path) -> list[FinishedRun]:
    return [Run(each, results)._finished for each in ([runs] if isinstance(runs, (str, Run)) else runs)]


def runs(results: _Path = "results") -> pd.DataFrame:
    """Return a row for each ended run of a results folder (see ``craterbench.results.frame.runs_frame``).

    The trials of a study are the runs of its folder, ``results/studies/NAME``.
    """
    return runs_frame(Store(Path(results)), Metrics.of(Registry.installed()))


def per_image(results: _Path = "results") -> pd.DataFrame:
    """Return a row for each image of each scored part of each ended run, as ``bench table --per-image --test`` prints.

    The columns are those of ``craterbench.results.image_frame.images_frame``; ``attrs["notes"]`` says what could not be
    read. So ``per_image().groupby(["benchmark", "part"])["dice"].describe()`` has the quartiles of Dice over images.
    """
    return images_frame(Store(Path(results)), Metrics.of(Registry.installed()))


def table(
    results: _Path = "results",
    *,
    test: bool = False,
    columns: Sequence[str] = ("all",),
    sort: str | None = None,
    where: Mapping[str, Any] | None = None,
    baseline: str | None = None,
    margin: float | None = None,
) -> pd.DataFrame:
    """Return the table that ``bench table`` shows, with a row for each benchmark over its seeds and folds.

    The columns are ``(part, metric, field)``, such as ``("test", "balanced_accuracy", "mean")``, with ``sd``, and
    ``low`` and ``high`` of the 95 % interval; the part is empty for what was not scored. Jupyter shows it as a table.
    What is to be said of the numbers, such as warnings, is in ``attrs["notes"]``.

    Args:
        results: the folder of results.
        test: whether to show the test part too.
        columns: columns or dotted keys of the config; ``["all"]`` is all columns.
        sort: a column or a dotted key, with ``-`` before it for the greatest first.
        where: what the runs are to have, such as ``{"loss.name": "dice"}``.
        baseline: the name of the row that the others are compared with; by default ``reference``.
        margin: the smallest difference of balanced accuracy that matters; each row then has a ``verdict``: better,
            worse, practically equal or undecided.

    Raises:
        UserError: there are no runs, there is no such column, key, value or baseline, or the margin is not between 0
            and 1.
    """
    store = Store(Path(results))
    records, damaged = store.records()
    if not records:
        raise UserError("\n".join([f"no runs in {results}", *damaged]))
    conditions = [str(override) for override in _overrides(where or {})]
    found = tabulate(
        store,
        records,
        test=test,
        columns=columns,
        sort=sort,
        where=conditions,
        baseline=baseline,
        margin=margin,
        whole_names=True,
        notes=damaged,
        metrics=Metrics.of(Registry.installed()),
    )
    shown = table_frame(found)
    shown.attrs["notes"] = found.lines
    return shown


def _overrides(values: Mapping[str, Any]) -> list[Override]:
    return [Override(key, value, "overrides") for key, value in values.items()]
