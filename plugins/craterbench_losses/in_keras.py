"""Losses in Keras: masks and probabilities (N, H, W, 1), both float, in; a scalar out."""

from __future__ import annotations

from typing import Any

import keras

from craterbench.plugin import NoParameters

__all__ = ["bce"]


def bce(masks: Any, probabilities: Any, parameters: NoParameters) -> Any:
    """Return the mean binary cross-entropy; Keras clips probabilities to [1e-7, 1 - 1e-7]."""
    return keras.ops.mean(keras.losses.binary_crossentropy(masks, probabilities))
