"""Optimizers in PyTorch, whose updates are those of Keras.

Parameters and weights in, a ``torch.optim.Optimizer`` out. Before each step the session sets ``lr`` of its groups to
the rate of the step, and ``number`` to which step it is, the first being 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from craterbench.plugin import NoParameters

if TYPE_CHECKING:
    from craterbench_optimizers import AdamW, RMSprop, Sgd

__all__ = ["adam", "adamw", "nadam", "rmsprop", "sgd"]

#: Keras' defaults.
BETAS = (0.9, 0.999)
EPSILON = 1e-7


class KerasAdam(torch.optim.AdamW):  # type: ignore[misc]
    """PyTorch's Adam with Keras' update; with ``weight_decay``, AdamW.

    Keras adds epsilon to the root of the second moment before that is corrected for its bias, PyTorch after: the same
    once epsilon is divided by the correction, again at each step. And Keras rounds to single precision, in double
    precision too, both the betas, of which the corrections are made, and one minus the betas, which the moments are
    made of. The two do not agree, by 1e-5, so a step's rate is multiplied by the quotient of the corrections.
    """

    def __init__(self, weights: list[nn.Parameter], weight_decay: float = 0.0) -> None:
        self._rounded = [float(np.float32(beta)) for beta in BETAS]
        self._moving = [1.0 - float(np.float32(1.0 - beta)) for beta in BETAS]
        super().__init__(weights, betas=tuple(self._moving), weight_decay=weight_decay, fused=True)

    def step(self, closure: Any = None) -> None:
        """Make a step."""
        (group,) = self.param_groups
        keras, torchs = (_corrections(betas, group["number"]) for betas in (self._rounded, self._moving))
        group["lr"] = group["lr"] * (keras[1] / keras[0]) / (torchs[1] / torchs[0])
        group["eps"] = EPSILON / torchs[1]
        super().step(closure)


def _corrections(betas: Sequence[float], number: int) -> tuple[float, float]:
    """Return what the first moment, and the root of the second, are divided by in a step."""
    return 1.0 - betas[0] ** number, math.sqrt(1.0 - betas[1] ** number)


class KerasSGD(torch.optim.SGD):  # type: ignore[misc]
    """Stochastic gradient descent with Keras' momentum, which remembers steps, where PyTorch remembers gradients.

    The two differ once the rate moves. So the gradient is multiplied by the rate first, and the step is made at rate 1.
    Keras rounds the momentum to single precision, in double precision too.
    """

    def __init__(self, weights: list[nn.Parameter], momentum: float, nesterov: bool) -> None:
        moving = {"momentum": float(np.float32(momentum)), "nesterov": nesterov and momentum > 0}
        super().__init__(weights, lr=1.0, **moving, fused=True)

    def step(self, closure: Any = None) -> None:
        """Make a step."""
        (group,) = self.param_groups
        gradients = [weight.grad for weight in group["params"] if weight.grad is not None]
        torch._foreach_mul_(gradients, group["lr"])
        group["lr"] = 1.0
        super().step(closure)


class KerasRMSprop(torch.optim.Optimizer):  # type: ignore[misc]
    """RMSprop with Keras' update, which adds epsilon below the root, where PyTorch adds it to the root."""

    def __init__(self, weights: list[nn.Parameter], rho: float) -> None:
        super().__init__(weights, {"lr": 1e-3, "rho": rho})

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: Any = None) -> None:
        """Make a step."""
        (group,) = self.param_groups
        moved = [weight for weight in group["params"] if weight.grad is not None]
        for weight in moved:
            if "square" not in self.state[weight]:
                self.state[weight]["square"] = torch.zeros_like(weight)
        gradients = [weight.grad for weight in moved]
        squares = [self.state[weight]["square"] for weight in moved]
        torch._foreach_mul_(squares, group["rho"])
        torch._foreach_addcmul_(squares, gradients, gradients, value=1.0 - group["rho"])
        roots = torch._foreach_add(squares, EPSILON)
        torch._foreach_sqrt_(roots)
        torch._foreach_addcdiv_(moved, gradients, roots, value=-group["lr"])


def adam(parameters: NoParameters, weights: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Return Adam (Kingma and Ba 2015, arXiv:1412.6980)."""
    return KerasAdam(weights)


def adamw(parameters: AdamW, weights: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Return Adam with decoupled weight decay."""
    return KerasAdam(weights, parameters.weight_decay)


def nadam(parameters: NoParameters, weights: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Return Adam with Nesterov momentum; a decay of 1 a step makes PyTorch's momentum move as Keras' does."""
    return torch.optim.NAdam(weights, betas=BETAS, eps=EPSILON, momentum_decay=1.0)


def rmsprop(parameters: RMSprop, weights: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Return RMSprop (Tieleman and Hinton 2012, Neural networks for machine learning, lecture 6.5)."""
    return KerasRMSprop(weights, parameters.rho)


def sgd(parameters: Sgd, weights: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Return stochastic gradient descent with momentum."""
    return KerasSGD(weights, parameters.momentum, parameters.nesterov)
