"""Are two benchmarks twins: is what one framework computes, layer by layer and step by step, what the other computes?

Each twin is measured in a process of its own, from the same weights and on the same batches, without dropout, whose
masks cannot match. What is compared are arrays in Keras' lay-out, by name.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.results.weights import read_weights
from craterbench.training.augment import make_training_data
from craterbench.training.fit import batches_of
from craterbench.training.parts import train_val
from craterbench.training.session import TwinSession, check_ignored, open_session

__all__ = [
    "PREDICTED",
    "STEPS",
    "TOLERANCES",
    "ParityMeasurement",
    "ParityTask",
    "TensorDiff",
    "compare",
    "cross_predict",
    "measure",
]

#: After which numbers of steps weights are compared.
STEPS = (1, 20)

#: The largest norm-relative difference of a tensor between twins, by precision and by what the tensor is. In single
#: precision twenty steps wander as far as the network is sensitive to rounding: that is shown, without a tolerance.
TOLERANCES: Mapping[str, Mapping[str, float]] = {
    "float64": {"activation": 1e-9, "objective": 1e-9, "gradient": 1e-7, "step 1": 1e-7, "step 20": 1e-6},
    "float32": {"activation": 1e-5, "objective": 1e-5, "gradient": 1e-4, "step 1": 1e-4, "crossed weights": 1e-5},
}

#: What was predicted by the weights that the first optimizer had come to.
PREDICTED = ("prediction", "output")

#: Arrays by what they are, such as ``step 20, adam``, and by the layer, weight or loss that they belong to.
ParityMeasurement = dict[tuple[str, str], npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class ParityTask:
    """What is measured of a twin.

    Attributes:
        losses: the benchmark, in the precision that is measured and without dropout, with each loss.
        optimizers: the same with each optimizer.
        seed: of the weights, the augmentation and the order.
        device: ``cpu`` or ``gpu``.
    """

    losses: Mapping[str, BenchmarkConfig]
    optimizers: Mapping[str, BenchmarkConfig]
    seed: int
    device: str

    @property
    def benchmark(self) -> BenchmarkConfig:
        """One of them, for what they all share."""
        return next(iter(self.losses.values()))


@dataclass(frozen=True)
class TensorDiff:
    """How far two twins differ in one respect.

    Attributes:
        precision: of the arithmetic.
        what: the respect.
        largest: the largest norm-relative difference of a tensor.
        where: the tensor that differs most.
        tolerance: how far it may, or ``None`` where there is none.
        first: the first tensor, in the order of computation, that differs by more.
    """

    precision: str
    what: str
    largest: float
    where: str
    tolerance: float | None
    first: str | None


def measure(task: ParityTask) -> ParityMeasurement:
    """Return every layer's output, every loss with its gradients, and the weights after steps of every optimizer.

    With them is what the first optimizer's weights predict: ``PREDICTED``.
    """
    images, masks, batches = _batches(task)
    shown, truth = images[batches[0]], masks[batches[0]]
    measured: ParityMeasurement = {}
    for loss, benchmark in task.losses.items():
        for name, array in _open(task, benchmark, images).capture_activations(shown, truth).items():
            what, _, where = name.partition(" ")
            if what == "activation":
                measured[what, where] = array  # the same for every loss
            else:
                measured[(f"{what}, {loss}" if where else what), where or loss] = array
    for optimizer, benchmark in task.optimizers.items():
        session = _open(task, benchmark, images)
        for first, last in itertools.pairwise((0, *STEPS)):
            rates = np.full(last - first, benchmark.optimizer.learning_rate)
            session.train_epoch(images, masks, batches[first:last], rates)
            measured |= {(f"step {last}, {optimizer}", name): array for name, array in session.weights().items()}
        measured.setdefault(PREDICTED, session.predict(shown))
    return measured


def cross_predict(task: ParityTask, weights: Path) -> npt.NDArray[np.float32]:
    """Return what is predicted for the first batch with the weights in a file.

    Raises:
        UserError: the file cannot be read, or does not fit the model.
    """
    images, _, batches = _batches(task)
    session = _open(task, task.benchmark, images)
    session.load_weights(read_weights(weights))
    return session.predict(images[batches[0]])


def compare(precision: str, one: ParityMeasurement, other: ParityMeasurement) -> list[TensorDiff]:
    """Return how far two twins agree in each respect, in the order of task.

    The difference of two tensors is the norm of their difference, divided by the larger norm of the two. A tensor that
    only one of them has, or has in another shape, differs by infinity.
    """
    found: dict[str, list[tuple[float, str]]] = {}
    for what, where in {**one, **other}:
        a, b = one.get((what, where)), other.get((what, where))
        found.setdefault(what, []).append((_difference(a, b), where))
    return [_tensor_diff(precision, what, differences) for what, differences in found.items()]


def _tensor_diff(precision: str, what: str, differences: list[tuple[float, str]]) -> TensorDiff:
    tolerance = TOLERANCES[precision].get(what.partition(",")[0])
    largest, where = max(differences)
    over = [place for difference, place in differences if tolerance is not None and difference > tolerance]
    return TensorDiff(precision, what, largest, where, tolerance, over[0] if over else None)


def _difference(a: npt.NDArray[Any] | None, b: npt.NDArray[Any] | None) -> float:
    if a is None or b is None or a.shape != b.shape:
        return math.inf
    norm = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
    difference = float(np.linalg.norm(a - b)) / norm if norm else 0.0
    return difference if math.isfinite(difference) else math.inf


def _batches(
    task: ParityTask,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8], list[npt.NDArray[np.intp]]]:
    """Return the images and masks of an epoch, and as many batches of them as there are steps."""
    benchmark = task.benchmark
    order, drawing = (np.random.default_rng([task.seed, stream]) for stream in range(2))
    shown = train_val(benchmark)
    check_ignored(benchmark, shown.part.masks)
    data = make_training_data(shown.part, benchmark, drawing, validates=shown.validation)
    part = next(data.epochs)
    batches = batches_of(order.permutation(len(part)), benchmark.training.batch_size)
    return part.images, part.masks, list(itertools.islice(itertools.cycle(batches), STEPS[-1]))


def _open(task: ParityTask, benchmark: BenchmarkConfig, images: npt.NDArray[np.float32]) -> TwinSession:
    shape = images.shape[1:3]
    session = open_session(benchmark, image_shape=shape, seed=task.seed, device=task.device)
    return cast(TwinSession, session)
