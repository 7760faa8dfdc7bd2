"""Losses in Keras: masks and probabilities (N, H, W, 1), both float, in; a scalar out.

The formulas and where they are from: ``craterbench_losses.numpy``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras import ops

from craterbench.plugin import NoParameters

if TYPE_CHECKING:
    from craterbench_losses import BceDice, Dice, Focal

__all__ = ["bce", "bce_dice", "dice", "focal"]


def bce(masks: Any, probabilities: Any, parameters: NoParameters) -> Any:
    """Return the mean binary cross-entropy.

    Not ``keras.losses.binary_crossentropy``: while training, that goes back to the logits behind the probabilities and
    clips nothing.
    """
    p = _clipped(probabilities)
    return -ops.mean(masks * ops.log(p) + (1 - masks) * ops.log1p(-p))


def dice(masks: Any, probabilities: Any, parameters: Dice) -> Any:
    """Return one minus the soft Dice coefficient."""
    axes = (1, 2, 3) if parameters.per == "image" else (0, 1, 2, 3)
    above = 2 * ops.sum(masks * probabilities, axis=axes) + parameters.smooth
    below = ops.sum(masks + probabilities, axis=axes) + parameters.smooth
    nothing = below == 0
    one = ops.ones_like(below)
    return 1 - ops.mean(ops.where(nothing, one, above / ops.where(nothing, one, below)))


def focal(masks: Any, probabilities: Any, parameters: Focal) -> Any:
    """Return the mean focal loss."""
    p = _clipped(probabilities)
    crater = masks * parameters.alpha * (1 - p) ** parameters.gamma * ops.log(p)
    other = (1 - masks) * (1 - parameters.alpha) * p**parameters.gamma * ops.log1p(-p)
    return -ops.mean(crater + other)


def bce_dice(masks: Any, probabilities: Any, parameters: BceDice) -> Any:
    """Return the weighted sum of binary cross-entropy and Dice loss."""
    of_bce = bce(masks, probabilities, NoParameters())
    return parameters.weight * of_bce + (1 - parameters.weight) * dice(masks, probabilities, parameters)


def _clipped(probabilities: Any) -> Any:
    return ops.clip(probabilities, 1e-7, 1 - 1e-7)
