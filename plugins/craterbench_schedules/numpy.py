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
    from craterbench_schedules import (
        Cosine,
        Cyclical,
        Exponential,
        OneCycle,
        Plateau,
        Polynomial,
        WarmUp,
        WarmUpCosine,
    )

__all__ = [
    "constant",
    "cosine",
    "cyclical",
    "exponential",
    "one_cycle",
    "plateau",
    "polynomial",
    "warm_up",
    "warm_up_cosine",
]

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


def warm_up_cosine(learning_rate: float, steps: Steps, total: int, history: History, parameters: WarmUpCosine) -> Rates:
    """Return what ``warm_up`` does over its share of the steps, and what ``cosine`` does over those that are left."""
    rising = parameters.share * total
    risen = warm_up(learning_rate, steps, total, history, parameters)
    left = np.divide(steps - rising, total - rising, out=np.zeros(len(steps)), where=steps >= rising)
    falling = (1 + np.cos(np.pi * left)) / 2
    rates: Rates = risen * (parameters.final + (1 - parameters.final) * falling)
    return rates


def polynomial(learning_rate: float, steps: Steps, total: int, history: History, parameters: Polynomial) -> Rates:
    """Return rate * (final + (1 - final) * (1 - step / total)^power)."""
    left = np.maximum(1 - steps / total, 0.0)
    rates: Rates = learning_rate * (parameters.final + (1 - parameters.final) * left**parameters.power)
    return rates


def one_cycle(learning_rate: float, steps: Steps, total: int, history: History, parameters: OneCycle) -> Rates:
    """Return half a cosine from rate * start up to rate at the step share * total - 1, and one down to rate * final.

    From Smith and Topin 2018 (arXiv:1708.07120), with cosines for lines and without their momentum, as PyTorch's
    OneCycleLR has it: the top is ``max_lr``, ``start`` is 1 / ``div_factor``, and ``final`` is ``start`` /
    ``final_div_factor``.
    """
    top, end = max(parameters.share * total - 1, 0.0), total - 1
    up = np.divide(steps, top, out=np.ones(len(steps)), where=steps < top)
    down = np.divide(steps - top, end - top, out=np.zeros(len(steps)), where=(steps > top) & (end > top))
    risen = parameters.start + (1 - parameters.start) * (1 - np.cos(np.pi * up)) / 2
    fallen = parameters.final + (1 - parameters.final) * (1 + np.cos(np.pi * np.minimum(down, 1.0))) / 2
    return learning_rate * np.where(steps < top, risen, fallen)


def cyclical(learning_rate: float, steps: Steps, total: int, history: History, parameters: Cyclical) -> Rates:
    """Return straight lines between rate * lowest, where a cycle begins, and rate in its middle.

    From Smith 2017 (arXiv:1506.01186), his triangular policy.
    """
    into = steps * parameters.cycles / total % 1.0
    height = 1 - np.abs(2 * into - 1)
    return learning_rate * (parameters.lowest + (1 - parameters.lowest) * height)


def plateau(learning_rate: float, steps: Steps, total: int, history: History, parameters: Plateau) -> Rates:
    """Return rate * factor^k, at least rate * lowest, where k is how often ``patience`` has run out so far.

    What is better, the monitor of the training decides, without a least difference: as Keras' ReduceLROnPlateau with
    ``min_delta=0``.
    """
    waited = [row["epoch"] - row["best"] for row in history]
    falls = sum(epochs > 0 and epochs % parameters.patience == 0 for epochs in waited)
    return np.full(len(steps), learning_rate * max(parameters.factor**falls, parameters.lowest))
