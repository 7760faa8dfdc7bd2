"""Finished runs: scored again, used on images, exported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from craterbench.api.arguments import AnyPath, overrides_of
from craterbench.data.values import make_images
from craterbench.execution.ensemble import Ensemble, parse_tta
from craterbench.execution.ensemble_record import evaluate_ensemble
from craterbench.execution.finished import FinishedRun
from craterbench.metrics.metric import Metrics
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry
from craterbench.prediction.shown import scale_of_data
from craterbench.report.exported_file import ExportedFile, write_export
from craterbench.report.prediction_progress import predict_live
from craterbench.results.record import Record
from craterbench.results.store import Store, read_history
from craterbench.results.weights import read_weights
from craterbench.training.experiment import Evaluation

__all__ = ["Run", "evaluate", "predict", "predict_files"]


class Run:
    """A finished run, in a results folder.

    Attributes:
        folder: of its files.
    """

    def __init__(self, name: str | Run, results: AnyPath = "results") -> None:
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

    def export(self, to: str, path: AnyPath | None = None) -> ExportedFile:
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


def evaluate(
    runs: str | Run | Iterable[str | Run],
    *,
    ensemble: bool = False,
    tta: Sequence[str] = (),
    dataset: str | None = None,
    data: AnyPath | None = None,
    device: str = "auto",
    results: AnyPath = "results",
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
    overrides = overrides_of({key: value for key, value in other.items() if value is not None})
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
    results: AnyPath = "results",
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
    images: AnyPath | Sequence[AnyPath],
    out: AnyPath,
    *,
    threshold: float | None = None,
    tta: Sequence[str] = (),
    framework: str | None = None,
    device: str = "auto",
    results: AnyPath = "results",
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


def _finished(runs: str | Run | Iterable[str | Run], results: AnyPath) -> list[FinishedRun]:
    return [Run(each, results)._finished for each in ([runs] if isinstance(runs, (str, Run)) else runs)]
