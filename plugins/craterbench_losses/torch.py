"""Losses in PyTorch: masks and probabilities (N, H, W, 1), both float, in; a scalar out.

The formulas and where they are from: ``craterbench_losses.numpy``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from craterbench.plugin import NoParameters

if TYPE_CHECKING:
    from craterbench_losses import BceDice, Dice, Focal

__all__ = ["bce", "bce_dice", "dice", "focal"]


def bce(masks: Tensor, probabilities: Tensor, parameters: NoParameters) -> Tensor:
    """Return the mean binary cross-entropy."""
    p = _clipped(probabilities)
    return -torch.mean(masks * torch.log(p) + (1 - masks) * torch.log1p(-p))


def dice(masks: Tensor, probabilities: Tensor, parameters: Dice) -> Tensor:
    """Return one minus the soft Dice coefficient."""
    axes = (1, 2, 3) if parameters.per == "image" else (0, 1, 2, 3)
    above = 2 * torch.sum(masks * probabilities, dim=axes) + parameters.smooth
    below = torch.sum(masks + probabilities, dim=axes) + parameters.smooth
    nothing = below == 0
    one = torch.ones_like(below)
    return 1 - torch.mean(torch.where(nothing, one, above / torch.where(nothing, one, below)))


def focal(masks: Tensor, probabilities: Tensor, parameters: Focal) -> Tensor:
    """Return the mean focal loss."""
    p = _clipped(probabilities)
    crater = masks * parameters.alpha * (1 - p) ** parameters.gamma * torch.log(p)
    other = (1 - masks) * (1 - parameters.alpha) * p**parameters.gamma * torch.log1p(-p)
    return -torch.mean(crater + other)


def bce_dice(masks: Tensor, probabilities: Tensor, parameters: BceDice) -> Tensor:
    """Return the weighted sum of binary cross-entropy and Dice loss."""
    of_bce = bce(masks, probabilities, NoParameters())
    return parameters.weight * of_bce + (1 - parameters.weight) * dice(masks, probabilities, parameters)


def _clipped(probabilities: Tensor) -> Tensor:
    return torch.clamp(probabilities, 1e-7, 1 - 1e-7)
