"""The optimizers. What twins share is one of them: a benchmark trains in both, with the same updates."""

from dataclasses import dataclass, field
from typing import Annotated

from craterbench.plugin import ADDED_LATER, NoParameters, OptimizerSpec, Range, hookimpl


@dataclass(frozen=True, kw_only=True)
class AdamW:
    """The parameters of AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101).

    Attributes:
        weight_decay: share of every weight that a step takes off, times the learning rate.
    """

    weight_decay: Annotated[float, Range(0.0, 1.0, search=(1e-5, 0.1), log=True)] = 0.004


@dataclass(frozen=True, kw_only=True)
class Sgd:
    """The parameters of stochastic gradient descent with momentum.

    Attributes:
        momentum: share of the last step that is made again.
        nesterov: whether the gradient is followed from where the momentum leads (Nesterov 1983, as in Sutskever et al.
            2013, On the importance of initialization and momentum in deep learning).
    """

    momentum: Annotated[float, Range(0.0, 0.999, search=(0.5, 0.99))] = 0.9
    nesterov: bool = field(default=False, metadata=ADDED_LATER)


@dataclass(frozen=True, kw_only=True)
class RMSprop:
    """The parameters of RMSprop.

    Attributes:
        rho: share of the mean square of the gradients that a step keeps.
    """

    rho: Annotated[float, Range(0.0, 0.9999, search=(0.8, 0.99))] = 0.9


@hookimpl
def bench_optimizers() -> list[OptimizerSpec]:
    return [
        OptimizerSpec(
            name="adam",
            summary="Adam, with Keras' epsilon",
            target=_targets("adam"),
        ),
        OptimizerSpec(
            name="adamw",
            summary="Adam with decoupled weight decay",
            target=_targets("adamw"),
            parameters=AdamW,
        ),
        OptimizerSpec(
            name="nadam",
            summary="Adam with Nesterov momentum, as Keras has it",
            target=_targets("nadam"),
        ),
        OptimizerSpec(
            name="rmsprop",
            summary="gradients divided by the root of their mean square, with Keras' epsilon",
            target=_targets("rmsprop"),
            parameters=RMSprop,
        ),
        OptimizerSpec(
            name="sgd",
            summary="stochastic gradient descent, in networks with momentum",
            target=_targets("sgd") | {"sklearn": "craterbench_optimizers.sklearn:sgd"},
            parameters=Sgd,
            parameters_in={"sklearn": NoParameters},  # its linear classifiers have no momentum
        ),
    ]


def _targets(name: str) -> dict[str, str]:
    return {framework: f"craterbench_optimizers.{framework}:{name}" for framework in ("keras", "torch")}
