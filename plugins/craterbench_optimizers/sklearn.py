"""Optimizers in scikit-learn, whose classifiers step by themselves: all that there is to say is at what rate."""

from __future__ import annotations

from typing import Any

from craterbench.plugin import NoParameters

__all__ = ["sgd"]


def sgd(parameters: NoParameters, classifier: Any, rate: float) -> None:
    """Let a classifier make its next step at a rate, if it makes any."""
    if hasattr(classifier, "eta0"):
        classifier.eta0 = rate
