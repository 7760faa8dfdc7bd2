"""The contract between the harness and a framework.

The harness owns rate, order, augmentation and stopping; a session owns forward, backward and update. Arrays go in and
out: images float32 (N, H, W, 1) in [0, 1], masks uint8 (N, H, W, 1) in {0, 1}, probabilities float32 (N, H, W, 1).

Masks may hold ``IGNORED``, too, if the framework's spec says ``ignores_pixels=True``. Those pixels are left out of the
objective: ``batch_loss`` does that for every loss. Where no mask of an epoch holds it, nothing may be computed
otherwise than if there were no such value.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.data.dataset import IGNORED
from craterbench.data.padding import pad_to_multiple
from craterbench.plugin import UserError
from craterbench.plugin.components import load

__all__ = [
    "Session",
    "SessionConfig",
    "TwinSession",
    "Weights",
    "batch_loss",
    "check_fit",
    "check_ignored",
    "has_ignored",
    "image_multiple",
    "open_session",
]

Weights = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class SessionConfig:
    """What a framework needs to open a session.

    Attributes:
        model: the model's target for this framework, imported.
        model_parameters: its parameters.
        image_shape: (H, W).
        initial: weights to start from, in Keras' lay-out, or ``None``: the framework draws its own from the seed.
        loss: the loss's target for this framework, imported.
        loss_parameters: its parameters.
        optimizer: the optimizer's target for this framework, imported; the harness hands over its rate at every step.
        optimizer_parameters: its own parameters.
        precision: of the arithmetic: ``float32``, ``bfloat16`` or ``float64``.
        seed: for all that the framework draws: dropout, and weights where none are passed.
        device: ``auto``, ``cpu`` or ``gpu``.
    """

    model: Any
    model_parameters: Any
    image_shape: tuple[int, int]
    initial: Weights | None
    loss: Any
    loss_parameters: Any
    optimizer: Any
    optimizer_parameters: Any
    precision: str
    seed: int
    device: str


class Session(Protocol):
    """One model being trained in one framework, in one process.

    Attributes:
        device: what it trains on, in words.
    """

    device: str

    def train_epoch(
        self,
        images: npt.NDArray[np.float32],
        masks: npt.NDArray[np.uint8],
        batches: Sequence[npt.NDArray[np.intp]],
        rates: npt.NDArray[np.float64],
    ) -> float:
        """Make one pass and return the mean of the model's own loss over the images.

        Args:
            masks: 0 and 1, and ``IGNORED`` where a pixel is left out of the objective.
            batches: the row numbers of each step; all of one length but the last, which may be shorter.
            rates: the learning rate of each step.
        """

    def predict(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the probability of a crater at every pixel, without dropout."""

    def weights(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of everything that prediction depends on, in Keras' lay-out, by name."""

    def load_weights(self, weights: Weights) -> None:
        """Take weights as ``weights()`` gives them.

        Raises:
            UserError: names or shapes are not those of the model.
        """

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of all that training goes on from: weights, the optimizer's memory, random state."""

    def load_state(self, state: Weights) -> None:
        """Take a state as ``state()`` of an equal session gave it; training goes on to the same digits."""


class TwinSession(Session, Protocol):
    """A session whose model has a twin in another framework, and so returns its activations."""

    def capture_activations(
        self, images: npt.NDArray[np.float32], masks: npt.NDArray[np.uint8]
    ) -> dict[str, npt.NDArray[Any]]:
        """Return what a training step on these images computes, in the session's precision, but do not make it.

        Returns:
            ``activation <layer>``, (N, H', W', C), in the order in which the layers are computed; ``objective``, a
            scalar; ``gradient <weight>``, in Keras' lay-out.
        """


def has_ignored(masks: npt.NDArray[np.uint8]) -> bool:
    """Return whether masks have a pixel that is left out."""
    return bool(masks.max(initial=0) == IGNORED)


def check_ignored(benchmark: BenchmarkConfig, masks: npt.NDArray[np.uint8]) -> None:
    """Raise a UserError if masks have pixels that are left out and the framework would train on them."""
    if not benchmark.framework.ignores_pixels and has_ignored(masks):
        raise UserError(
            f"the masks have pixels to be left out ({IGNORED}), and framework {benchmark.framework.name!r} does not "
            "say that it leaves them out of the objective; train in another, or let its FrameworkSpec have "
            "ignores_pixels=True once its sessions do"
        )


def batch_loss(task: SessionConfig, masks: Any, probabilities: Any, known: Any = None) -> Any:
    """Return the loss of a batch without the pixels that are left out.

    To a loss those are background that is called background with certainty: both arrays are 0 there, and no gradient
    comes from there. That is exact for sums, such as those of the Dice loss. A loss that takes a mean over pixels has a
    fourth argument, ``known``, and divides by its sum.

    Args:
        masks: (N, H, W, 1), in the framework's own arrays of floating point.
        probabilities: of the same shape.
        known: 1 where a pixel counts and 0 where it is left out, of the same shape and type; ``None`` where all count.
    """
    if known is None:
        return task.loss(masks, probabilities, task.loss_parameters)
    extra = (known,) if "known" in inspect.signature(task.loss).parameters else ()
    return task.loss(masks * known, probabilities * known, task.loss_parameters, *extra)


def check_fit(weights: Weights, own: Mapping[str, tuple[int, ...]]) -> None:
    """Raise a UserError that names every weight that a model lacks, has too many of, or has in another shape.

    Args:
        weights: what is to be loaded.
        own: the shapes of the model's weights by name.
    """
    wrong = [f"{name} is missing" for name in own.keys() - weights.keys()]
    wrong += [f"{name} is unknown" for name in weights.keys() - own.keys()]
    wrong += [
        f"{name} has shape {weights[name].shape}, not {shape}"
        for name, shape in own.items()
        if name in weights and weights[name].shape != shape
    ]
    if wrong:
        raise UserError(
            f"these weights are of another model, give it the parameters it had: {', '.join(sorted(wrong))}"
        )


def image_multiple(benchmark: BenchmarkConfig) -> int:
    """Return what the sides of an image must be multiples of, as the model's spec says."""
    model = benchmark.model
    multiple: int = load(model.multiple_of)(model.parameters) if model.multiple_of else 1
    return multiple


def open_session(benchmark: BenchmarkConfig, *, image_shape: tuple[int, int], seed: int, device: str) -> Session:
    """Open a session in the benchmark's framework, from the model's initial weights where it draws them itself.

    Where the benchmark says ``training.pad`` and the model does not take images of that size, the session pads them.

    Raises:
        UserError: the model takes no images of that size, or the framework cannot leave out what is padded.
    """
    model = benchmark.model
    multiple = image_multiple(benchmark) if benchmark.training.pad else 1
    padded = any(side % multiple for side in image_shape)
    if padded:
        if not benchmark.framework.ignores_pixels:
            raise UserError(
                f"training.pad: framework {benchmark.framework.name!r} does not say that it leaves pixels out of the "
                "objective; cut the images, or let its FrameworkSpec have ignores_pixels=True once its sessions do"
            )
        height, width = (side + -side % multiple for side in image_shape)
        image_shape = height, width
    initial_seed, framework_seed = (int(word) for word in np.random.SeedSequence(seed).generate_state(2))
    initial = None
    if model.initial is not None:
        initial = load(model.initial)(model.parameters, image_shape, initial_seed)
    task = SessionConfig(
        model=load(model.target),
        model_parameters=model.parameters,
        image_shape=image_shape,
        initial=initial,
        loss=load(benchmark.loss.target),
        loss_parameters=benchmark.loss.parameters,
        optimizer=load(benchmark.optimizer.target),
        optimizer_parameters=benchmark.optimizer.parameters,
        precision=benchmark.training.precision,
        seed=framework_seed,
        device=device,
    )
    session: Session = load(benchmark.framework.target)(task)
    return PaddedSession(session, multiple) if padded else session


class PaddedSession:
    """A session that is shown images padded by reflection, and whose predictions are cropped.

    What is padded is left out of the objective.
    """

    def __init__(self, session: Session, multiple: int) -> None:
        """Take a session of a model whose images have sides that are multiples of a number."""
        self._session = session
        self._multiple = multiple
        self.device = session.device

    def train_epoch(
        self,
        images: npt.NDArray[np.float32],
        masks: npt.NDArray[np.uint8],
        batches: Sequence[npt.NDArray[np.intp]],
        rates: npt.NDArray[np.float64],
    ) -> float:
        """Make one pass over the padded images."""
        return self._session.train_epoch(*self._padded(images, masks), batches, rates)

    def predict(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the probability of a crater at every pixel of the images themselves."""
        padded, crop = pad_to_multiple(images, self._multiple)
        return np.ascontiguousarray(self._session.predict(padded)[crop])

    def capture_activations(
        self, images: npt.NDArray[np.float32], masks: npt.NDArray[np.uint8]
    ) -> dict[str, npt.NDArray[Any]]:
        """Return what a training step on the padded images computes; the session is a ``TwinSession``."""
        return cast(TwinSession, self._session).capture_activations(*self._padded(images, masks))

    def weights(self) -> dict[str, npt.NDArray[Any]]:
        """Return those of the session."""
        return self._session.weights()

    def load_weights(self, weights: Weights) -> None:
        """Load them into the session."""
        self._session.load_weights(weights)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return that of the session."""
        return self._session.state()

    def load_state(self, state: Weights) -> None:
        """Load it into the session."""
        self._session.load_state(state)

    def _padded(
        self, images: npt.NDArray[np.float32], masks: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        return (
            pad_to_multiple(images, self._multiple)[0],
            pad_to_multiple(masks, self._multiple, value=IGNORED)[0],
        )
