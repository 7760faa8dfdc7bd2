"""Losses in NumPy, the oracle of the others: the formulas, and their gradients worked out by hand, in double precision.

Each function takes masks ``m`` in {0, 1} and probabilities ``p`` in [0, 1], arrays (N, H, W, 1), and returns the loss
with its gradient with respect to the probabilities, an array of their shape. Logarithms see probabilities clipped to
[1e-7, 1 - 1e-7]; where one is clipped, moving it moves nothing, and the gradient is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from craterbench.plugin import NoParameters

if TYPE_CHECKING:
    from craterbench_losses import BceDice, Dice, Focal, Lovasz, Tversky, WeightedBce

__all__ = ["CLIP", "bce", "bce_dice", "dice", "focal", "lovasz", "tversky", "weighted_bce"]

#: Probabilities are clipped to [CLIP, 1 - CLIP] before a logarithm, as Keras does.
CLIP = 1e-7

Array = npt.NDArray[Any]


def bce(masks: Array, probabilities: Array, parameters: NoParameters) -> tuple[float, Array]:
    """Return the binary cross-entropy, the mean over all pixels of -log p for crater and -log(1 - p) for others."""
    m, p, free = _clipped(masks, probabilities)
    losses = -np.where(m, np.log(p), np.log1p(-p))
    return float(losses.mean()), free * np.where(m, -1 / p, 1 / (1 - p)) / m.size


def dice(masks: Array, probabilities: Array, parameters: Dice) -> tuple[float, Array]:
    """Return one minus the soft Dice coefficient, 1 - (2 sum(m p) + smooth) / (sum(m) + sum(p) + smooth).

    The sums are plain, as in Drozdzal et al. 2016 (arXiv:1608.04117); Milletari et al. 2016 (arXiv:1606.04797), who
    brought the loss into use, square the terms below the line. Where that is 0, the coefficient is 1, its gradient 0.
    """
    m, p = masks.astype(np.float64), probabilities.astype(np.float64)
    axes = (1, 2, 3) if parameters.per == "image" else (0, 1, 2, 3)
    above = 2 * (m * p).sum(axis=axes, keepdims=True) + parameters.smooth
    below = (m + p).sum(axis=axes, keepdims=True) + parameters.smooth
    something = below != 0
    coefficients = np.divide(above, below, out=np.ones_like(below), where=something)
    slopes = np.divide(2 * m - coefficients, below, out=np.zeros_like(p), where=something)
    return float(1 - coefficients.mean()), -slopes / coefficients.size


def focal(masks: Array, probabilities: Array, parameters: Focal) -> tuple[float, Array]:
    """Return the focal loss of Lin et al. 2017 (arXiv:1708.02002), the mean of -a (1 - q)^gamma log q over all pixels.

    For crater pixels a is alpha and q is p; for the others a is 1 - alpha and q is 1 - p.
    """
    m, p, free = _clipped(masks, probabilities)
    a = np.where(m, parameters.alpha, 1 - parameters.alpha)
    q, wrong = np.where(m, p, 1 - p), np.where(m, 1 - p, p)
    losses = -a * wrong**parameters.gamma * np.log(q)
    slopes = a * (parameters.gamma * wrong ** (parameters.gamma - 1) * np.log(q) - wrong**parameters.gamma / q)
    return float(losses.mean()), free * np.where(m, slopes, -slopes) / m.size


def bce_dice(masks: Array, probabilities: Array, parameters: BceDice) -> tuple[float, Array]:
    """Return ``weight`` times the binary cross-entropy plus 1 - ``weight`` times the Dice loss."""
    of_bce, bce_slopes = bce(masks, probabilities, NoParameters())
    of_dice, dice_slopes = dice(masks, probabilities, parameters)
    weight = parameters.weight
    return weight * of_bce + (1 - weight) * of_dice, weight * bce_slopes + (1 - weight) * dice_slopes


def weighted_bce(masks: Array, probabilities: Array, parameters: WeightedBce) -> tuple[float, Array]:
    """Return the mean over all pixels of -w log p for crater and -log(1 - p) for others, where w is ``weight``."""
    m, p, free = _clipped(masks, probabilities)
    weights = np.where(m, parameters.weight, 1.0)
    losses = -weights * np.where(m, np.log(p), np.log1p(-p))
    return float(losses.mean()), free * weights * np.where(m, -1 / p, 1 / (1 - p)) / m.size


def tversky(masks: Array, probabilities: Array, parameters: Tversky) -> tuple[float, Array]:
    """Return one minus the Tversky index of Salehi et al. 2017 (arXiv:1706.05721).

    The index is (sum(m p) + s) / (sum(m p) + a sum(m (1 - p)) + b sum((1 - m) p) + s), where a is ``missed``, b is
    ``false``, and s is half of ``smooth``, so that with a = b = 0.5 it is the soft Dice coefficient. Where what is
    below the line is 0, the index is 1, its gradient 0.
    """
    m, p = masks.astype(np.float64), probabilities.astype(np.float64)
    axes = (1, 2, 3) if parameters.per == "image" else (0, 1, 2, 3)
    a, b, s = parameters.missed, parameters.false, parameters.smooth / 2
    above = (m * p).sum(axis=axes, keepdims=True) + s
    below = above + (a * m * (1 - p) + b * (1 - m) * p).sum(axis=axes, keepdims=True)
    something = below != 0
    indices = np.divide(above, below, out=np.ones_like(below), where=something)
    below_slopes = m - a * m + b * (1 - m)
    slopes = np.divide(m - indices * below_slopes, below, out=np.zeros_like(p), where=something)
    return float(1 - indices.mean()), -slopes / indices.size


def lovasz(masks: Array, probabilities: Array, parameters: Lovasz) -> tuple[float, Array]:
    """Return the Lovász extension of the Jaccard loss, of Berman et al. 2018 (arXiv:1705.08790).

    With the pixels in the order of their errors |m - p|, the largest first, it is the sum of each error times what its
    pixel adds to one minus the intersection over union, if the pixels up to it are called wrongly. Where no pixel is
    crater, that is the largest error.
    """
    m, p = masks.astype(np.float64), probabilities.astype(np.float64)
    rows = (len(m), -1) if parameters.per == "image" else (1, -1)
    truth = m.reshape(rows)
    errors = np.abs(truth - p.reshape(rows))
    order = np.argsort(-errors, axis=1, kind="stable")
    ordered = np.take_along_axis(truth, order, axis=1)
    craters = ordered.sum(axis=1, keepdims=True)
    losses = 1 - (craters - np.cumsum(ordered, axis=1)) / (craters + np.cumsum(1 - ordered, axis=1))
    added = np.empty_like(errors)
    np.put_along_axis(added, order, np.diff(losses, axis=1, prepend=0.0), axis=1)
    slopes = added * np.sign(p.reshape(rows) - truth) / len(errors)
    return float((errors * added).sum(axis=1).mean()), slopes.reshape(p.shape)


def _clipped(masks: Array, probabilities: Array) -> tuple[Array, Array, Array]:
    """Return where crater is, the clipped probabilities, and where nothing was clipped."""
    p = probabilities.astype(np.float64)
    clipped = np.clip(p, CLIP, 1 - CLIP)
    return masks.astype(bool), clipped, clipped == p
