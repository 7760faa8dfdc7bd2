"""The epoch loop: order, rates, scores, stopping and best weights, once for every framework."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.data.dataset import Subset
from craterbench.metrics.evaluator import Evaluator
from craterbench.metrics.metric import BALANCED_ACCURACY, LOSS, Metrics
from craterbench.plugin.components import load
from craterbench.results.checkpoint import Checkpoint
from craterbench.training.augment import TrainingData
from craterbench.training.session import Session, Weights

__all__ = ["EarlyStopping", "TrainingResult", "fit"]


class EarlyStopping:
    """Finds the best epoch and says when to stop, as Keras' EarlyStopping and ModelCheckpoint do with ``min_delta=0``.

    An epoch is better only if its value is strictly better than the best before; NaN never is.
    """

    def __init__(self, *, higher: bool, patience: int) -> None:
        self._sign = 1.0 if higher else -1.0
        self._patience = patience
        self._best = -math.inf
        self._waited = 0
        self.stop = False

    def better(self, value: float) -> bool:
        """Take the value of an epoch, say whether it is the best so far, and set ``stop`` once patience has run out."""
        if self._sign * value > self._best:
            self._best = self._sign * value
            self._waited = 0
            return True
        self._waited += 1
        self.stop = self._waited >= self._patience
        return False


@dataclass(frozen=True)
class TrainingResult:
    """How training went.

    Attributes:
        history: a row for each epoch: ``epoch`` from 1, ``learning_rate`` of its last step, ``objective`` (mean of the
            model's own loss), ``training_loss`` and ``training_balanced_accuracy`` on the sample of the training part,
            ``val_loss`` and ``balanced_accuracy`` on the validation part, another metric that training goes by under
            its name, ``seconds`` of training, and ``best``, the best epoch so far.
        best_epoch: the epoch whose weights were kept.
        best_weights: those weights.
        training_seconds: spent in the framework, training; scoring and the harness are not in it.
        images_trained: how many images went through it in that time, each counted as often as it was shown.
        pruned: whether it was stopped before its end.
    """

    history: list[dict[str, Any]]
    best_epoch: int
    best_weights: Weights
    training_seconds: float
    images_trained: int
    pruned: bool = False


def fit(
    session: Session,
    data: TrainingData,
    *,
    benchmark: BenchmarkConfig,
    order: np.random.Generator,
    on_epoch: Callable[[dict[str, Any]], None],
    drawing: np.random.Generator | None = None,
    checkpoint: Checkpoint | None = None,
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    should_continue: Callable[[], bool] | None = None,
    objectives: Iterable[str] = (),
) -> TrainingResult:
    """Train until the epochs or the patience run out, and return the history with the best weights.

    A course that goes on from a checkpoint comes to the digits of one that was not broken off.

    Args:
        data: the images; its sample of the training part is scored after each epoch to show overfitting.
        order: draws the order of the images.
        on_epoch: called with each row of the history as soon as it is known.
        drawing: what the data draws from, if it draws: its state is a part of a checkpoint.
        checkpoint: what to go on from; the data is as it was before the first epoch.
        on_checkpoint: called after each epoch with what training can go on from.
        should_continue: called after each epoch, and says whether to go on.
        objectives: the metrics that somebody goes by beside the monitor: they are in the history, too.

    Raises:
        UserError: a metric that training goes by cannot be computed.
    """
    config = benchmark.training
    metrics = Metrics(benchmark.metrics)
    monitor, followed = metrics.get(config.monitor), metrics.in_history(config.monitor, objectives)
    sample = data.sample
    seen = Evaluator(sample.images, sample.masks, sample.groups)
    del sample  # it is asked for again after each epoch, so as not to be held in training
    unseen = Evaluator(
        data.validation.images, data.validation.masks, data.validation.groups, followed, data.validation.circles
    )
    early_stopping = EarlyStopping(higher=monitor.greater_is_better, patience=config.patience)
    schedule = load(benchmark.schedule.target)
    generators = {"order": order} | ({} if drawing is None else {"drawing": drawing})
    history: list[dict[str, Any]] = []
    best_weights: Weights = {}
    images_trained = 0
    pruned = False
    if checkpoint is not None:
        session.load_state(checkpoint.session)
        for name, generator in generators.items():
            generator.bit_generator.state = checkpoint.generators[name]
        history, best_weights = list(checkpoint.history), checkpoint.best_weights
        images_trained = checkpoint.images_trained
        for known in history:
            early_stopping.better(known[monitor.history_column])
    last = len(history) if early_stopping.stop else config.epochs
    for epoch, part in zip(range(len(history) + 1, last + 1), data.epochs, strict=False):
        batches = batches_of(order.permutation(len(part)), config.batch_size)
        steps = np.arange(len(batches)) + (epoch - 1) * len(batches)
        total = config.epochs * len(batches)
        rates = schedule(benchmark.optimizer.learning_rate, steps, total, history, benchmark.schedule.parameters)
        started = time.perf_counter()
        objective = session.train_epoch(part.images, part.masks, batches, rates)
        seconds = time.perf_counter() - started
        on_training = seen.count(_predict(session, data.sample, epoch))
        on_validation = unseen.count(_predict(session, data.validation, epoch))
        row: dict[str, Any] = {
            "epoch": epoch,
            "learning_rate": float(rates[-1]),
            "objective": objective,
            "training_loss": on_training.value(LOSS),
            "val_loss": on_validation.value(LOSS),
            "training_balanced_accuracy": on_training.value(BALANCED_ACCURACY),
            **{metric.history_column: on_validation.value(metric) for metric in followed if metric != LOSS},
            "seconds": seconds,
        }
        if early_stopping.better(row[monitor.history_column]) or not best_weights:
            best_weights, row["best"] = session.weights(), epoch
        else:
            row["best"] = history[-1]["best"]
        images_trained += len(part)
        history.append(row)
        on_epoch(row)
        if on_checkpoint is not None:
            states = {name: generator.bit_generator.state for name, generator in generators.items()}
            on_checkpoint(Checkpoint(list(history), images_trained, best_weights, session.state(), states))
        stopped = should_continue is not None and not should_continue()
        pruned = stopped and not early_stopping.stop and epoch < last
        if early_stopping.stop or stopped:
            break
    training_seconds = sum(row["seconds"] for row in history)
    return TrainingResult(history, history[-1]["best"], best_weights, training_seconds, images_trained, pruned)


def batches_of(rows: npt.NDArray[np.intp], size: int) -> list[npt.NDArray[np.intp]]:
    """Cut row numbers into batches; the last may be shorter, as in Keras' ``fit``."""
    return [rows[first : first + size] for first in range(0, len(rows), size)]


def _predict(session: Session, part: Subset, epoch: int) -> npt.NDArray[np.float32]:
    probabilities = session.predict(part.images)
    if not np.isfinite(probabilities).all():
        raise FloatingPointError(
            f"epoch {epoch}: the network predicts NaN or infinity; try a lower optimizer.learning_rate"
        )
    return probabilities
