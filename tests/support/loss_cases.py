"""The losses and the hard cases on which every framework is compared with the oracle, and the file of its answers."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from craterbench.plugin import NoParameters
from craterbench.plugin.components import load
from craterbench.plugin.registry import Registry
from craterbench.training.session import SessionConfig, batch_loss
from craterbench_losses import BceDice, Dice, Focal, Lovasz, Tversky, WeightedBce

GOLDEN = Path(__file__).parent / "golden" / "losses.npz"

#: The name of the loss and its parameters, by what the tests call the pair.
LOSSES: dict[str, tuple[str, Any]] = {
    "bce": ("bce", NoParameters()),
    "dice": ("dice", Dice()),
    "dice-batch": ("dice", Dice(per="batch", smooth=0.5)),
    "dice-unsmoothed": ("dice", Dice(smooth=0)),
    "dice-batch-unsmoothed": ("dice", Dice(per="batch", smooth=0)),
    "focal": ("focal", Focal()),
    "focal-gentle": ("focal", Focal(gamma=0.5, alpha=0.25)),
    "focal-unfocused": ("focal", Focal(gamma=0)),
    "bce-dice": ("bce-dice", BceDice()),
    "bce-dice-batch": ("bce-dice", BceDice(weight=0.2, per="batch", smooth=3)),
    "weighted-bce": ("weighted-bce", WeightedBce(weight=4)),
    "tversky": ("tversky", Tversky()),
    "tversky-batch": ("tversky", Tversky(missed=0.4, false=0.8, per="batch", smooth=3)),
    "tversky-unsmoothed": ("tversky", Tversky(smooth=0)),
    "lovasz": ("lovasz", Lovasz()),
    "lovasz-batch": ("lovasz", Lovasz(per="batch")),
}


def loss_in(framework: str, label: str) -> Any:
    """Return ``loss(masks, probabilities, known=None)`` as a session of that framework computes it."""
    name, parameters = LOSSES[label]
    function = load(Registry.installed().get("loss", name).target_for(framework))
    unused = dict.fromkeys(("model", "model_parameters", "initial", "optimizer", "optimizer_parameters"))
    task = SessionConfig(
        **unused,
        image_shape=(3, 4),
        loss=function,
        loss_parameters=parameters,
        precision="float32",
        seed=0,
        device="cpu",
    )
    return functools.partial(batch_loss, task)


def oracle(label: str) -> Any:
    """Return ``loss(masks, probabilities) -> (value, gradient)`` in NumPy."""
    name, parameters = LOSSES[label]
    function = load(f"craterbench_losses.numpy:{name.replace('-', '_')}")
    return lambda masks, probabilities: function(masks, probabilities, parameters)


def cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return masks and probabilities, float64, by the name of the case."""
    generator = np.random.default_rng(0)
    shape = (2, 3, 4, 1)
    p = generator.uniform(0.001, 0.999, shape)
    mixed = (generator.uniform(size=shape) < 0.25).astype(np.float64)
    single = np.zeros(shape)
    single[1, 2, 3] = 1
    with_empty = mixed * (np.arange(2) != 1).reshape(2, 1, 1, 1)
    return {
        "mixed": (mixed, p),
        "all background": (np.zeros(shape), p),
        "all crater": (np.ones(shape), p),
        "a single crater pixel": (single, p),
        "an image without crater": (with_empty, p),
        "sure and right": (mixed, mixed.copy()),
        "sure and wrong": (mixed, 1 - mixed),
        "nothing, and nothing found": (np.zeros(shape), np.zeros(shape)),
        "nothing, and all found": (np.zeros(shape), np.ones(shape)),
        "at and beside the clip": (mixed, generator.choice([0, 9e-8, 1.1e-7, 0.5, 1 - 1.1e-7, 1 - 9e-8, 1], shape)),
        "a batch of one": (mixed[:1], p[:1]),
    }


def ignored() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return masks, probabilities and which pixels are known, some of each image and all but one of the second."""
    masks, probabilities = cases()["mixed"]
    known = (np.random.default_rng(1).uniform(size=masks.shape) < 0.6).astype(np.float64)
    known[1] = 0
    known[1, 0, 0] = 1
    return masks, probabilities, known


def of_known(label: str) -> tuple[float, np.ndarray]:
    """Return loss and gradient of ``ignored()`` by the oracle: of an image of the known pixels, or of each image."""
    masks, probabilities, known = ignored()
    kept = known.astype(bool)
    name, parameters = LOSSES[label]

    def of(name: str, parameters: Any, chosen: np.ndarray) -> tuple[float, np.ndarray]:
        function = load(f"craterbench_losses.numpy:{name.replace('-', '_')}")
        value, slopes = function(*(array[chosen].reshape(1, -1, 1, 1) for array in (masks, probabilities)), parameters)
        full = np.zeros_like(probabilities)
        full[chosen] = slopes.ravel()
        return value, full

    def overlap(name: str, parameters: Any) -> tuple[float, np.ndarray]:
        if parameters.per == "batch":
            return of(name, parameters, kept)
        each = [of(name, parameters, kept & (np.arange(2) == image).reshape(2, 1, 1, 1)) for image in range(2)]
        return (each[0][0] + each[1][0]) / 2, (each[0][1] + each[1][1]) / 2

    if name == "bce-dice":
        (one, first), (other, second) = of("bce", NoParameters(), kept), overlap("dice", parameters)
        weight = parameters.weight
        return weight * one + (1 - weight) * other, weight * first + (1 - weight) * second
    return overlap(name, parameters) if hasattr(parameters, "per") else of(name, parameters, kept)


def unclipped(probabilities: np.ndarray) -> bool:
    """Return whether every probability is far enough from 0 and 1 for the clip to matter in no precision."""
    return bool(probabilities.min() >= 0.001 and probabilities.max() <= 0.999)


def answers() -> dict[str, np.ndarray]:
    """Return what the oracle says now: for each loss, case after case, the value followed by the gradient."""
    return {
        label: np.concatenate([np.append(*oracle(label)(*arrays)) for arrays in cases().values()]) for label in LOSSES
    }


def golden(label: str) -> list[tuple[str, np.ndarray, np.ndarray, float, np.ndarray]]:
    """Return case, masks, probabilities, value and gradient of a loss, as the committed file has them."""
    found = []
    with np.load(GOLDEN) as file:
        answer = file[label]
    for case, (masks, probabilities) in cases().items():
        (value, *gradient), answer = np.split(answer, [1 + masks.size])
        found.append((case, masks, probabilities, float(value), np.reshape(gradient, masks.shape)))
    return found
