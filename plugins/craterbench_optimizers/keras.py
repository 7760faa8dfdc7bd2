"""Optimizers in Keras: parameters in, a ``keras.optimizers.Optimizer`` out; the session sets its rate at each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras

from craterbench.plugin import NoParameters

if TYPE_CHECKING:
    from craterbench_optimizers import AdamW, RMSprop, Sgd

__all__ = ["adam", "adamw", "nadam", "rmsprop", "sgd"]

#: Keras' own defaults, written out because they are part of what a benchmark means.
ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}


def adam(parameters: NoParameters) -> keras.optimizers.Optimizer:
    """Return Adam (Kingma and Ba 2015, arXiv:1412.6980)."""
    return keras.optimizers.Adam(**ADAM)


def adamw(parameters: AdamW) -> keras.optimizers.Optimizer:
    """Return Adam with decoupled weight decay."""
    return keras.optimizers.AdamW(weight_decay=parameters.weight_decay, **ADAM)


def nadam(parameters: NoParameters) -> keras.optimizers.Optimizer:
    """Return Adam with Nesterov momentum (Dozat 2016, Incorporating Nesterov momentum into Adam)."""
    return keras.optimizers.Nadam(**ADAM)


def rmsprop(parameters: RMSprop) -> keras.optimizers.Optimizer:
    """Return RMSprop (Tieleman and Hinton 2012, Neural networks for machine learning, lecture 6.5)."""
    return keras.optimizers.RMSprop(rho=parameters.rho, epsilon=1e-7)


def sgd(parameters: Sgd) -> keras.optimizers.Optimizer:
    """Return stochastic gradient descent with momentum."""
    return keras.optimizers.SGD(momentum=parameters.momentum, nesterov=parameters.nesterov)
