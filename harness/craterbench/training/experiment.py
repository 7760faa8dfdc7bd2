"""One run, from the definition to the counts."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from craterbench.data.audit import leaks
from craterbench.data.dataset import Dataset, Development, Part
from craterbench.data.split import Fold
from craterbench.definition.benchmark import Benchmark
from craterbench.plugin.components import load
from craterbench.records.checkpoint import Checkpoint
from craterbench.scoring.counts import Counts, Evaluator
from craterbench.training.feed import prepare
from craterbench.training.loop import Course, train
from craterbench.training.session import Session, open_session

__all__ = ["Outcome", "Samples", "Scored", "Start", "data_digest", "development", "perform"]

#: How many validation images, with what was predicted for them, a run shows in its sheet of samples.
NUM_SAMPLES = 12


@dataclass(frozen=True)
class Scored:
    """A part, scored with the best weights."""

    yardstick: str
    counts: Counts


@dataclass(frozen=True)
class Samples:
    """Validation images to look at: float32 (M, H, W, 1), with masks and probabilities of the same shape."""

    images: npt.NDArray[np.float32]
    masks: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Start:
    """What is known of a run before its first epoch.

    Attributes:
        data_digest: of the whole data set.
        data_notes: what the data set says of itself.
        device: what is trained on.
        python: the version of Python that trains.
        machine: its system and architecture.
        warnings: what makes its scores doubtful.
    """

    data_digest: str
    data_notes: tuple[str, ...]
    device: str
    python: str
    machine: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """All that a run brings home.

    Attributes:
        seconds: start_up, training, scoring. Of a run that went on from a checkpoint, training is that of all epochs,
            the others are those of the process that ended it.
        peak_memory: the most memory that this process has held, in bytes; ``None`` where the system does not tell.
    """

    start: Start
    course: Course
    scored: dict[str, Scored]
    samples: Samples
    seconds: dict[str, float]
    peak_memory: int | None


def _nobody(told: object) -> None:
    """Listen to nothing."""


def perform(
    benchmark: Benchmark,
    *,
    seed: int,
    fold: Fold | None = None,
    device: str = "auto",
    on_start: Callable[[Start], None] = _nobody,
    on_epoch: Callable[[dict[str, Any]], None] = _nobody,
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    checkpoint: Checkpoint | None = None,
    given: Development | None = None,
    go_on: Callable[[], bool] | None = None,
) -> Outcome:
    """Train a benchmark once in this process and score its parts with the best weights.

    Args:
        seed: moves initial weights, order, dropout and augmentation; the split has its own in the definition.
        fold: the fold that validates, or ``None`` for the share that the definition says.
        device: ``auto``, ``cpu`` or ``gpu``.
        on_start: called once, before the first epoch.
        on_epoch: called with each row of the history as soon as it is known.
        on_checkpoint: called after each epoch with what the run can go on from.
        checkpoint: what to go on from: one of a run that was asked for alike.
        given: the images, if they are here already and the test part is not to be seen; then nothing else is read.
        go_on: asked after each epoch whether to go on; without it training goes on as long as the definition says.

    Raises:
        UserError: the data, the split or the model cannot be had as asked; nothing was trained.
    """
    clock = time.perf_counter()
    order, drawing = (np.random.default_rng([seed, stream]) for stream in range(2))

    data, test = _data(benchmark) if given is None else (given, None)
    feed = prepare(data.part, benchmark, drawing, fold)
    session = open_session(benchmark, image_shape=data.part.images.shape[1:3], seed=seed, device=device)
    start = Start(
        data_digest=data.digest,
        data_notes=data.notes,
        device=session.device,
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        warnings=(*feed.warnings, *_test_leaks(test, data.part)),
    )
    on_start(start)
    ready = time.perf_counter()
    course = train(
        session,
        feed,
        benchmark=benchmark,
        order=order,
        on_epoch=on_epoch,
        drawing=drawing,
        checkpoint=checkpoint,
        on_checkpoint=on_checkpoint,
        go_on=go_on,
    )
    session.load_weights(course.best_weights)
    parts = {"validation": feed.validation} | ({"test": test} if test is not None else {})
    scored = {name: _score(session, part) for name, part in parts.items()}

    start_up = ready - clock
    before = sum(row["seconds"] for row in checkpoint.history) if checkpoint is not None else 0.0
    scoring = time.perf_counter() - ready - (course.training_seconds - before)
    return Outcome(
        start=start,
        course=course,
        scored=scored,
        samples=_samples(session, feed.validation),
        seconds={"start_up": start_up, "training": course.training_seconds, "scoring": scoring},
        peak_memory=_peak_memory(),
    )


def data_digest(benchmark: Benchmark) -> str:
    """Return the digest of a benchmark's data, as ``Start`` has it; no framework is needed.

    Raises:
        UserError: the data cannot be had as asked.
    """
    return _dataset(benchmark).digest()


def development(benchmark: Benchmark) -> Development:
    """Return a benchmark's data without their test part; no framework is needed.

    Raises:
        UserError: the data cannot be had as asked.
    """
    return _dataset(benchmark).without_test()


def _data(benchmark: Benchmark) -> tuple[Development, Part | None]:
    dataset = _dataset(benchmark)
    return dataset.without_test(), dataset.test


def _dataset(benchmark: Benchmark) -> Dataset:
    dataset: Dataset = load(benchmark.dataset.target)(benchmark.dataset.parameters)
    return dataset


def _test_leaks(test: Part | None, others: Part) -> list[str]:
    if test is None:
        return []
    names = ("test", "training or validation")
    return leaks(test, others, names=names, share_groups=False)  # a part may count from 0


def _score(session: Session, part: Part) -> Scored:
    evaluator = Evaluator(part.images, part.masks, part.groups)
    return Scored(evaluator.yardstick, evaluator.count(session.predict(part.images)))


def _peak_memory() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts bytes on the one, kibibytes on the other
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _samples(session: Session, part: Part) -> Samples:
    """Take images evenly through the part, so that its scenes are all seen."""
    rows = np.unique(np.linspace(0, len(part) - 1, min(NUM_SAMPLES, len(part))).astype(int))
    shown = part.take(rows)
    return Samples(shown.images, shown.masks, session.predict(shown.images))
