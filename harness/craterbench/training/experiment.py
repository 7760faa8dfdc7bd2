"""One run, from the definition to the counts."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from craterbench.data.dataset import Dataset, Part
from craterbench.definition.benchmark import Benchmark
from craterbench.plugin.components import load
from craterbench.scoring.counts import Counts, Evaluator
from craterbench.training.feed import prepare
from craterbench.training.loop import Course, train
from craterbench.training.session import Session, open_session

__all__ = ["Outcome", "Samples", "Scored", "perform"]

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
class Outcome:
    """All that a run brings home.

    Attributes:
        seconds: start_up, training, scoring.
        peak_memory: the most memory that this process has held, in bytes; ``None`` where the system does not tell.
    """

    course: Course
    scored: dict[str, Scored]
    samples: Samples
    data_digest: str
    data_notes: tuple[str, ...]
    device: str
    seconds: dict[str, float]
    peak_memory: int | None


def _nobody(row: dict[str, Any]) -> None:
    """Listen to no epoch."""


def perform(
    benchmark: Benchmark, *, seed: int, device: str = "auto", on_epoch: Callable[[dict[str, Any]], None] = _nobody
) -> Outcome:
    """Train a benchmark once in this process and score its parts with the best weights.

    Args:
        seed: moves initial weights, order, dropout and augmentation; the split has its own in the definition.
        device: ``auto``, ``cpu`` or ``gpu``.
        on_epoch: called with each row of the history as soon as it is known.

    Raises:
        UserError: the data, the split or the model cannot be had as asked; nothing was trained.
    """
    clock = time.perf_counter()
    order, drawing = (np.random.default_rng([seed, stream]) for stream in range(2))

    dataset: Dataset = load(benchmark.dataset.target)(benchmark.dataset.parameters)
    feed = prepare(dataset.development, benchmark, drawing)
    session = open_session(benchmark, image_shape=dataset.development.images.shape[1:3], seed=seed, device=device)
    ready = time.perf_counter()
    course = train(session, feed, benchmark=benchmark, order=order, on_epoch=on_epoch)
    session.load_weights(course.best_weights)
    parts = {"validation": feed.validation} | ({"test": dataset.test} if dataset.test is not None else {})
    scored = {name: _score(session, part) for name, part in parts.items()}

    start_up = ready - clock
    scoring = time.perf_counter() - ready - course.training_seconds
    return Outcome(
        course=course,
        scored=scored,
        samples=_samples(session, feed.validation),
        data_digest=dataset.digest(),
        data_notes=dataset.notes,
        device=session.device,
        seconds={"start_up": start_up, "training": course.training_seconds, "scoring": scoring},
        peak_memory=_peak_memory(),
    )


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
