"""Train, evaluate, predict: a run chains them, and what is done with its weights later calls the last two."""

from __future__ import annotations

import math
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.data.dataset import Subset, TrainVal
from craterbench.data.split import Fold
from craterbench.metrics.evaluator import Evaluator
from craterbench.metrics.metric import Metrics
from craterbench.metrics.statistics import Statistics
from craterbench.plugin import UserError
from craterbench.results.checkpoint import Checkpoint
from craterbench.results.predictions_file import Predictions
from craterbench.results.weights import read_weights
from craterbench.training.audit import audit
from craterbench.training.augment import make_training_data
from craterbench.training.fit import TrainingResult, fit
from craterbench.training.parts import read_parts, scored_parts
from craterbench.training.session import Session, check_ignored, open_session

__all__ = [
    "Evaluation",
    "RunInfo",
    "RunResult",
    "Samples",
    "SplitResult",
    "Trained",
    "evaluate",
    "evaluate_weights",
    "open_weights",
    "predict",
    "score",
    "train",
    "train_and_evaluate",
]

#: How many validation images, with what was predicted for them, a run shows in its sheet of samples.
NUM_SAMPLES = 12

_GIVEN = "which images validate is given by the data; split.validation has no say in it"


@dataclass(frozen=True)
class SplitResult:
    """A part, scored with the best weights."""

    fingerprint: str
    statistics: Statistics
    predictions: Predictions


@dataclass(frozen=True)
class Samples:
    """Validation images to look at: float32 (M, H, W, 1), with masks and probabilities of the same shape."""

    images: npt.NDArray[np.float32]
    masks: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32]


@dataclass(frozen=True)
class RunInfo:
    """What is known of a run before its first epoch.

    Attributes:
        data_digest: of the complete data set.
        data_notes: what the data set says of itself.
        device: what is trained on.
        python: the version of Python that trains.
        machine: its system and architecture.
        warnings: what makes its scores doubtful.
        drawn: whether its parts are those that earlier versions drew (see ``craterbench.data.split.GroupSplit``).
    """

    data_digest: str
    data_notes: tuple[str, ...]
    device: str
    python: str
    machine: str
    warnings: tuple[str, ...]
    drawn: bool = True


@dataclass(frozen=True)
class RunResult:
    """All that a run brings home.

    Attributes:
        seconds: start_up, training, scoring. Of a run that went on from a checkpoint, training is that of all epochs,
            the others are those of the process that ended it.
        warnings: on metrics of plugins that could not be had.
        peak_memory: the most memory that this process has held, in bytes; ``None`` where the system does not say.
    """

    start: RunInfo
    training: TrainingResult
    scored: dict[str, SplitResult]
    samples: Samples
    seconds: dict[str, float]
    warnings: tuple[str, ...]
    peak_memory: int | None


@dataclass(frozen=True)
class Trained:
    """A session that holds the best weights, and how it came to them.

    Attributes:
        parts: what is scored: the validation part and, where it was read and there is one, the test part.
        start_up: seconds until the first epoch.
        done_before: seconds of training that had been done in another process.
    """

    session: Session
    start: RunInfo
    training: TrainingResult
    parts: dict[str, Subset]
    start_up: float
    done_before: float


@dataclass(frozen=True)
class Evaluation:
    """What the weights of a finished run score.

    Attributes:
        data_digest: of the complete data set.
        scored: by the name of the part.
        warnings: on metrics of plugins that could not be had.
        drawn: as that of ``RunInfo``.
    """

    data_digest: str
    scored: dict[str, SplitResult]
    warnings: tuple[str, ...]
    drawn: bool = True


def _noop(content: object) -> None:
    """Listen to nothing."""


def train_and_evaluate(benchmark: BenchmarkConfig, *, seed: int, **options: Any) -> RunResult:
    """Train a benchmark once in this process and score its parts with the best weights; arguments as for ``train``.

    Raises:
        UserError: the data, the split or the model cannot be had; nothing was trained.
    """
    clock = time.perf_counter()
    trained = train(benchmark, seed=seed, **options)
    session, training = trained.session, trained.training
    metrics = Metrics(benchmark.metrics)
    warnings: list[str] = []
    scored = evaluate(session, trained.parts, metrics, warnings)
    if all(math.isnan(row[metrics.get(benchmark.training.monitor).history_column]) for row in training.history):
        warnings.append(f"the monitor {benchmark.training.monitor} has no value in any epoch: the first one was kept")
    scoring = time.perf_counter() - clock - trained.start_up - (training.training_seconds - trained.done_before)
    return RunResult(
        start=trained.start,
        training=training,
        scored=scored,
        samples=_samples(session, trained.parts["validation"]),
        seconds={"start_up": trained.start_up, "training": training.training_seconds, "scoring": scoring},
        warnings=tuple(dict.fromkeys(warnings)),
        peak_memory=_peak_memory(),
    )


def train(
    benchmark: BenchmarkConfig,
    *,
    seed: int,
    fold: Fold | None = None,
    device: str = "auto",
    on_start: Callable[[RunInfo], None] = _noop,
    on_epoch: Callable[[dict[str, Any]], None] = _noop,
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    checkpoint: Checkpoint | None = None,
    train_val: TrainVal | None = None,
    should_continue: Callable[[], bool] | None = None,
    objectives: Sequence[str] = (),
) -> Trained:
    """Train a benchmark once in this process.

    Args:
        seed: moves initial weights, order, dropout and augmentation; the split has its own in the config.
        fold: the fold that validates, or ``None`` for the share that the config says.
        device: ``auto``, ``cpu`` or ``gpu``.
        on_start: called once, before the first epoch.
        on_epoch: called with each row of the history as soon as it is known.
        on_checkpoint: called after each epoch with what the run can go on from.
        checkpoint: what to go on from: one of a run of the same spec.
        train_val: the images, if they are here already and the test part is not to be seen; then nothing else is read.
        should_continue: called after each epoch; without it training goes on as long as the config says.
        objectives: the metrics that a search goes by; each epoch of the history has them.

    Raises:
        UserError: the data, the split or the model cannot be had; nothing was trained.
    """
    clock = time.perf_counter()
    order, drawing = (np.random.default_rng([seed, stream]) for stream in range(2))

    train_val, test = read_parts(benchmark) if train_val is None else (train_val, None)
    check_ignored(benchmark, train_val.part.masks)
    data = make_training_data(train_val.part, benchmark, drawing, fold, validates=train_val.validation)
    session = open_session(benchmark, image_shape=train_val.part.images.shape[1:3], seed=seed, device=device)
    start = RunInfo(
        data_digest=train_val.digest,
        data_notes=(*train_val.notes, *(() if train_val.validation is None else (_GIVEN,))),
        device=session.device,
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        warnings=(*train_val.warnings, *audit(benchmark, train_val, fold, data, test), *data.warnings),
        drawn=data.drawn,
    )
    del train_val  # its images are in the parts, and would be held twice
    on_start(start)
    ready = time.perf_counter()
    training = fit(
        session,
        data,
        benchmark=benchmark,
        order=order,
        on_epoch=on_epoch,
        drawing=drawing,
        checkpoint=checkpoint,
        on_checkpoint=on_checkpoint,
        should_continue=should_continue,
        objectives=objectives,
    )
    session.load_weights(training.best_weights)
    return Trained(
        session=session,
        start=start,
        training=training,
        parts={"validation": data.validation} | ({"test": test} if test is not None else {}),
        start_up=ready - clock,
        done_before=sum(row["seconds"] for row in checkpoint.history) if checkpoint is not None else 0.0,
    )


def evaluate(
    session: Session, parts: Mapping[str, Subset], metrics: Metrics, warnings: list[str]
) -> dict[str, SplitResult]:
    """Score what a session predicts for the images of each part.

    A plugin's statistic that cannot be counted takes no trained weights with it, but is reported in ``warnings``.
    """
    return {name: score(part, predict(session, part.images), metrics, warnings) for name, part in parts.items()}


def score(part: Subset, probabilities: npt.NDArray[np.float32], metrics: Metrics, warnings: list[str]) -> SplitResult:
    """Score what was predicted for a part, as ``evaluate`` does."""
    evaluator = Evaluator(part.images, part.masks, part.groups, Metrics(), part.circles)
    statistics = evaluator.count(probabilities)
    arrays = dict(statistics.arrays)
    for metric in metrics:
        if metric.statistic not in arrays:
            try:
                arrays[metric.statistic] = evaluator.count_own(metric, probabilities)
            except UserError as error:
                warnings.append(str(error))
    predictions = Predictions.of(part.images, part.masks, probabilities)
    return SplitResult(evaluator.fingerprint, replace(statistics, arrays=arrays), predictions)


def predict(session: Session, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the probability of a crater at every pixel, float32 (N, H, W, 1), for images float32 of that shape."""
    return session.predict(images)


def evaluate_weights(
    benchmark: BenchmarkConfig, *, weights: Path, fold: Fold | None = None, device: str = "auto"
) -> Evaluation:
    """Score the weights of a finished run in this process, on the validation and the test part of a benchmark's data.

    Args:
        benchmark: that of the run, or one that differs from it in its data.
        weights: the file that the run has left.
        fold: the fold that validates, or ``None`` for the share that the config says.
        device: ``auto``, ``cpu`` or ``gpu``.

    Raises:
        UserError: the data cannot be had, or the weights are missing or of another model.
    """
    data = scored_parts(benchmark, fold)
    session = open_weights(benchmark, weights, data.parts["validation"].images.shape[1:3], device)
    warnings: list[str] = []
    scored = evaluate(session, data.parts, Metrics(benchmark.metrics), warnings)
    return Evaluation(data.digest, scored, tuple(dict.fromkeys(warnings)), data.drawn)


def open_weights(benchmark: BenchmarkConfig, weights: Path, image_shape: tuple[int, ...], device: str) -> Session:
    """Open a session in this process that holds the weights of a finished run.

    Args:
        image_shape: (H, W).

    Raises:
        UserError: they are missing, damaged or of another model, or the model is none for images of that size.
    """
    arrays = read_weights(weights)
    session = open_session(benchmark, image_shape=(image_shape[0], image_shape[1]), seed=0, device=device)
    try:
        session.load_weights(arrays)
    except UserError as error:
        raise UserError(f"{weights}: {error}") from None
    return session


def _peak_memory() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts bytes on the one, kibibytes on the other
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _samples(session: Session, part: Subset) -> Samples:
    """Take images evenly through the part, so that its scenes are all seen."""
    rows = np.unique(np.linspace(0, len(part) - 1, min(NUM_SAMPLES, len(part))).astype(int))
    shown = part.take(rows)
    return Samples(shown.images, shown.masks, session.predict(shown.images))
