"""Schedules: the numbers of steps in, their learning rates out.

Each is called with the optimizer's learning rate; the numbers of an epoch's steps, counted from the start of training;
the number of steps in all planned epochs; the history of the epochs so far; and its own parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from craterbench.plugin import NoParameters
    from craterbench_schedules import Cosine, Exponential, Plateau, WarmUp

__all__ = ["constant", "cosine", "exponential", "plateau", "warm_up"]

Steps = npt.NDArray[np.intp]
Rates = npt.NDArray[np.float64]
History = Sequence[Mapping[str, Any]]


def constant(learning_rate: float, steps: Steps, total: int, history: History, parameters: NoParameters) -> Rates:
    """Return the same rate for every step."""
    return np.full(len(steps), learning_rate)


def cosine(learning_rate: float, steps: Steps, total: int, history: History, parameters: Cosine) -> Rates:
    """Return rate * (final + (1 - final) * (1 + cos(pi * step / total)) / 2).

    From Loshchilov and Hutter 2017 (arXiv:1608.03983), without restarts.
    """
    falling = (1 + np.cos(np.pi * steps / total)) / 2
    return learning_rate * (parameters.final + (1 - parameters.final) * falling)


def exponential(learning_rate: float, steps: Steps, total: int, history: History, parameters: Exponential) -> Rates:
    """Return rate * final^(step / total)."""
    return learning_rate * parameters.final ** (steps / total)


def warm_up(learning_rate: float, steps: Steps, total: int, history: History, parameters: WarmUp) -> Rates:
    """Return rate * (start + (1 - start) * step / (share * total)), and rate from step share * total on."""
    rising = steps < parameters.share * total
    risen = np.divide(steps, parameters.share * total, out=np.ones(len(steps)), where=rising)
    return learning_rate * (parameters.start + (1 - parameters.start) * risen)


def plateau(learning_rate: float, steps: Steps, total: int, history: History, parameters: Plateau) -> Rates:
    """Return rate * factor^k, at least rate * lowest, where k is how often ``patience`` has run out so far.

    What is better, the monitor of the training decides, without a least difference: as Keras' ReduceLROnPlateau with
    ``min_delta=0``.
    """
    waited = [row["epoch"] - row["best"] for row in history]
    falls = sum(epochs > 0 and epochs % parameters.patience == 0 for epochs in waited)
    return np.full(len(steps), learning_rate * max(parameters.factor**falls, parameters.lowest))
