"""Losses in Keras: masks and probabilities (N, H, W, 1), both float, in; a scalar out.

The formulas and where they are from: ``craterbench_losses.numpy``. Where masks and probabilities have pixels that are
left out, both are 0 there, which adds nothing to sums; what takes a mean over pixels gets which are ``known``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras import ops

from craterbench.plugin import NoParameters

if TYPE_CHECKING:
    from craterbench_losses import BceDice, Dice, Focal, Lovasz, Tversky, WeightedBce

__all__ = ["bce", "bce_dice", "dice", "focal", "lovasz", "tversky", "weighted_bce"]


def bce(masks: Any, probabilities: Any, parameters: NoParameters, known: Any | None = None) -> Any:
    """Return the mean binary cross-entropy.

    Not ``keras.losses.binary_crossentropy``: while training, that goes back to the logits behind the probabilities and
    clips nothing.
    """
    p = _clipped(probabilities)
    return -_mean(masks * ops.log(p) + (1 - masks) * ops.log1p(-p), known)


def dice(masks: Any, probabilities: Any, parameters: Dice) -> Any:
    """Return one minus the soft Dice coefficient."""
    axes = (1, 2, 3) if parameters.per == "image" else (0, 1, 2, 3)
    above = 2 * ops.sum(masks * probabilities, axis=axes) + parameters.smooth
    below = ops.sum(masks + probabilities, axis=axes) + parameters.smooth
    nothing = below == 0
    one = ops.ones_like(below)
    return 1 - ops.mean(ops.where(nothing, one, above / ops.where(nothing, one, below)))


def focal(masks: Any, probabilities: Any, parameters: Focal, known: Any | None = None) -> Any:
    """Return the mean focal loss."""
    p = _clipped(probabilities)
    crater = masks * parameters.alpha * (1 - p) ** parameters.gamma * ops.log(p)
    other = (1 - masks) * (1 - parameters.alpha) * p**parameters.gamma * ops.log1p(-p)
    return -_mean(crater + other, known)


def bce_dice(masks: Any, probabilities: Any, parameters: BceDice, known: Any | None = None) -> Any:
    """Return the weighted sum of binary cross-entropy and Dice loss."""
    of_bce = bce(masks, probabilities, NoParameters(), known)
    return parameters.weight * of_bce + (1 - parameters.weight) * dice(masks, probabilities, parameters)


def weighted_bce(masks: Any, probabilities: Any, parameters: WeightedBce, known: Any | None = None) -> Any:
    """Return the mean binary cross-entropy with weighted crater pixels."""
    p = _clipped(probabilities)
    return -_mean(parameters.weight * masks * ops.log(p) + (1 - masks) * ops.log1p(-p), known)


def tversky(masks: Any, probabilities: Any, parameters: Tversky) -> Any:
    """Return one minus the Tversky index."""
    axes = (1, 2, 3) if parameters.per == "image" else (0, 1, 2, 3)
    above = ops.sum(masks * probabilities, axis=axes) + parameters.smooth / 2
    missed = ops.sum(masks * (1 - probabilities), axis=axes)
    false = ops.sum((1 - masks) * probabilities, axis=axes)
    below = above + parameters.missed * missed + parameters.false * false
    nothing = below == 0
    one = ops.ones_like(below)
    return 1 - ops.mean(ops.where(nothing, one, above / ops.where(nothing, one, below)))


def lovasz(masks: Any, probabilities: Any, parameters: Lovasz) -> Any:
    """Return the Lovász extension of the Jaccard loss."""
    rows = (ops.shape(masks)[0], -1) if parameters.per == "image" else (1, -1)
    truth = ops.reshape(masks, rows)
    errors = ops.abs(truth - ops.reshape(probabilities, rows))
    order = ops.argsort(-errors, axis=1)
    ordered = ops.take_along_axis(truth, order, axis=1)
    craters = ops.sum(ordered, axis=1, keepdims=True)
    losses = 1 - (craters - ops.cumsum(ordered, axis=1)) / (craters + ops.cumsum(1 - ordered, axis=1))
    added = ops.concatenate([losses[:, :1], losses[:, 1:] - losses[:, :-1]], axis=1)
    return ops.mean(ops.sum(ops.take_along_axis(errors, order, axis=1) * added, axis=1))


def _mean(losses: Any, known: Any | None) -> Any:
    """Return the mean over all pixels, or over those that are known; where none is, 0."""
    if known is None:
        return ops.mean(losses)
    pixels = ops.sum(known)
    return ops.sum(losses * known) / ops.maximum(pixels, 1)


def _clipped(probabilities: Any) -> Any:
    return ops.clip(probabilities, 1e-7, 1 - 1e-7)
