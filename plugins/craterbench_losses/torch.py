"""Losses in PyTorch: masks and probabilities (N, H, W, 1), both float, in; a scalar out.

The formulas and where they are from: ``craterbench_losses.numpy``. Where masks and probabilities have pixels that are
left out, both are 0 there, which adds nothing to sums; what takes a mean over pixels gets which are ``known``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from craterbench.plugin import NoParameters

if TYPE_CHECKING:
    from craterbench_losses import BceDice, Dice, Focal, Lovasz, Tversky, WeightedBce

__all__ = ["bce", "bce_dice", "dice", "focal", "lovasz", "tversky", "weighted_bce"]


def bce(masks: Tensor, probabilities: Tensor, parameters: NoParameters, known: Tensor | None = None) -> Tensor:
    """Return the mean binary cross-entropy."""
    p = _clipped(probabilities)
    return -_mean(masks * torch.log(p) + (1 - masks) * torch.log1p(-p), known)


def dice(masks: Tensor, probabilities: Tensor, parameters: Dice) -> Tensor:
    """Return one minus the soft Dice coefficient."""
    axes = (1, 2, 3) if parameters.per == "image" else (0, 1, 2, 3)
    above = 2 * torch.sum(masks * probabilities, dim=axes) + parameters.smooth
    below = torch.sum(masks + probabilities, dim=axes) + parameters.smooth
    nothing = below == 0
    one = torch.ones_like(below)
    return 1 - torch.mean(torch.where(nothing, one, above / torch.where(nothing, one, below)))


def focal(masks: Tensor, probabilities: Tensor, parameters: Focal, known: Tensor | None = None) -> Tensor:
    """Return the mean focal loss."""
    p = _clipped(probabilities)
    crater = masks * parameters.alpha * (1 - p) ** parameters.gamma * torch.log(p)
    other = (1 - masks) * (1 - parameters.alpha) * p**parameters.gamma * torch.log1p(-p)
    return -_mean(crater + other, known)


def bce_dice(masks: Tensor, probabilities: Tensor, parameters: BceDice, known: Tensor | None = None) -> Tensor:
    """Return the weighted sum of binary cross-entropy and Dice loss."""
    of_bce = bce(masks, probabilities, NoParameters(), known)
    return parameters.weight * of_bce + (1 - parameters.weight) * dice(masks, probabilities, parameters)


def weighted_bce(masks: Tensor, probabilities: Tensor, parameters: WeightedBce, known: Tensor | None = None) -> Tensor:
    """Return the mean binary cross-entropy with weighted crater pixels."""
    p = _clipped(probabilities)
    return -_mean(parameters.weight * masks * torch.log(p) + (1 - masks) * torch.log1p(-p), known)


def tversky(masks: Tensor, probabilities: Tensor, parameters: Tversky) -> Tensor:
    """Return one minus the Tversky index."""
    axes = (1, 2, 3) if parameters.per == "image" else (0, 1, 2, 3)
    above = torch.sum(masks * probabilities, dim=axes) + parameters.smooth / 2
    missed = torch.sum(masks * (1 - probabilities), dim=axes)
    false = torch.sum((1 - masks) * probabilities, dim=axes)
    below = above + parameters.missed * missed + parameters.false * false
    nothing = below == 0
    one = torch.ones_like(below)
    return 1 - torch.mean(torch.where(nothing, one, above / torch.where(nothing, one, below)))


def lovasz(masks: Tensor, probabilities: Tensor, parameters: Lovasz) -> Tensor:
    """Return the Lovász extension of the Jaccard loss."""
    rows = (len(masks), -1) if parameters.per == "image" else (1, -1)
    truth = masks.reshape(rows)
    errors, order = torch.sort(torch.abs(truth - probabilities.reshape(rows)), dim=1, descending=True, stable=True)
    ordered = torch.gather(truth, 1, order)
    craters = torch.sum(ordered, dim=1, keepdim=True)
    losses = 1 - (craters - torch.cumsum(ordered, dim=1)) / (craters + torch.cumsum(1 - ordered, dim=1))
    added = torch.diff(losses, dim=1, prepend=torch.zeros_like(craters))
    return torch.mean(torch.sum(errors * added, dim=1))


def _mean(losses: Tensor, known: Tensor | None) -> Tensor:
    """Return the mean over all pixels, or over those that are known; where none is, 0."""
    if known is None:
        return torch.mean(losses)
    pixels = torch.sum(known)
    return torch.sum(losses * known) / torch.clamp(pixels, min=1)


def _clipped(probabilities: Tensor) -> Tensor:
    return torch.clamp(probabilities, 1e-7, 1 - 1e-7)
