"""Schedules: the numbers of steps in, their learning rates out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from craterbench.plugin import NoParameters

__all__ = ["constant"]


def constant(
    learning_rate: float, steps: npt.NDArray[np.intp], total: int, parameters: NoParameters
) -> npt.NDArray[np.float64]:
    """Return the same rate for every step."""
    return np.full(len(steps), learning_rate)
