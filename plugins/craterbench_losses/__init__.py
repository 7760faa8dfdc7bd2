"""The losses."""

from dataclasses import dataclass
from typing import Annotated, Literal

from craterbench.plugin import LossSpec, Range, hookimpl


@dataclass(frozen=True, kw_only=True)
class Dice:
    """The parameters of the soft Dice loss.

    Attributes:
        smooth: is added above and below the line, in pixels. At 0 the loss is 0 where there is no crater and none is
            predicted, and 1 where there is none and any is.
        per: over what the sums are taken: each ``image``, whose losses are then averaged, or the ``batch``.
    """

    smooth: Annotated[float, Range(0, 100, search=(0.1, 10), log=True)] = 1.0
    per: Literal["image", "batch"] = "image"


@dataclass(frozen=True, kw_only=True)
class Focal:
    """The parameters of the focal loss.

    Attributes:
        gamma: how much less a pixel counts the better it is predicted; at 0 all count alike.
        alpha: weight of a crater pixel, against 1 - alpha of the others. Where a quarter of the pixels is crater, 0.75
            gives the two classes the same weight in all, as balanced accuracy does; the paper has 0.25.
    """

    gamma: Annotated[float, Range(0, 5)] = 2.0
    alpha: Annotated[float, Range(0, 1, search=(0.25, 0.9))] = 0.75


@dataclass(frozen=True, kw_only=True)
class BceDice(Dice):
    """The parameters of the sum of cross-entropy and Dice loss; those of the Dice loss among them.

    Attributes:
        weight: of the cross-entropy, against 1 - weight of the Dice loss.
    """

    weight: Annotated[float, Range(0, 1)] = 0.5


@dataclass(frozen=True, kw_only=True)
class WeightedBce:
    """The parameters of the weighted cross-entropy.

    Attributes:
        weight: of a crater pixel, against 1 of the others. Where a quarter of the pixels is crater, 3 gives the two
            classes the same weight in all.
    """

    weight: Annotated[float, Range(0.01, 1000, search=(0.5, 8), log=True)] = 3.0


@dataclass(frozen=True, kw_only=True)
class Tversky(Dice):
    """The parameters of the Tversky loss; those of the Dice loss among them, which it is with both weights at 0.5.

    Attributes:
        missed: weight of crater that is not found.
        false: weight of what is found where no crater is.
    """

    missed: Annotated[float, Range(0, 1, search=(0.3, 0.9))] = 0.7
    false: Annotated[float, Range(0, 1, search=(0.1, 0.7))] = 0.3


@dataclass(frozen=True, kw_only=True)
class Lovasz:
    """The parameters of the Lovász loss.

    Attributes:
        per: over what it is taken: each ``image``, whose losses are then averaged, or the ``batch``.
    """

    per: Literal["image", "batch"] = "image"


@hookimpl
def bench_losses() -> list[LossSpec]:
    return [
        LossSpec(
            name="bce",
            version=2,  # until 2 Keras went back to the logits in training, and clipped nothing
            summary="binary cross-entropy, the mean over all pixels",
            target=_targets("bce") | {"sklearn": "craterbench_losses.sklearn:bce"},
        ),
        LossSpec(
            name="dice",
            summary="one minus the soft Dice coefficient, of each image or of the batch",
            target=_targets("dice"),
            parameters=Dice,
        ),
        LossSpec(
            name="focal",
            summary="focal loss: cross-entropy that counts well predicted pixels less, and weighs the classes",
            target=_targets("focal"),
            parameters=Focal,
        ),
        LossSpec(
            name="bce-dice",
            summary="a weighted sum of binary cross-entropy and Dice loss",
            target=_targets("bce_dice"),
            parameters=BceDice,
        ),
        LossSpec(
            name="weighted-bce",
            summary="binary cross-entropy in which a crater pixel has a weight of its own",
            target=_targets("weighted_bce"),
            parameters=WeightedBce,
        ),
        LossSpec(
            name="tversky",
            summary="Dice loss that weighs crater which is missed against what is falsely found",
            target=_targets("tversky"),
            parameters=Tversky,
        ),
        LossSpec(
            name="lovasz",
            summary="Lovász extension of one minus the intersection over union",
            target=_targets("lovasz"),
            parameters=Lovasz,
        ),
    ]


def _targets(name: str) -> dict[str, str]:
    return {framework: f"craterbench_losses.{framework}:{name}" for framework in ("keras", "torch")}
