"""The frameworks that train: Keras, its twin PyTorch, and scikit-learn, which is always there."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

from craterbench.plugin import FrameworkSpec, NoParameters, Range, hookimpl


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
    """

    momentum: Annotated[float, Range(0.0, 0.999, search=(0.5, 0.99))] = 0.9


#: What twins share: one definition trains in both, with the same updates.
OPTIMIZERS: Mapping[str, type] = MappingProxyType({"adam": NoParameters, "adamw": AdamW, "sgd": Sgd})


@hookimpl
def bench_frameworks() -> list[FrameworkSpec]:
    return [
        FrameworkSpec(
            name="keras",
            summary="Keras 3 on TensorFlow",
            target="craterbench_frameworks.keras:KerasSession",
            optimizers=OPTIMIZERS,
            precisions=("float32", "float64"),
            requires=("tensorflow", "keras"),
            extra="keras",
            distributions=("tensorflow", "keras"),
            environment={
                "KERAS_BACKEND": "tensorflow",
                "TF_CPP_MIN_LOG_LEVEL": "2",
                "TF_NUM_INTRAOP_THREADS": "{threads}",
                "TF_NUM_INTEROP_THREADS": "{threads}",
            },
        ),
        FrameworkSpec(
            name="torch",
            summary="PyTorch, with Keras' updates",
            version=2,  # since dropout is drawn by torch_dropout
            target="craterbench_frameworks.torch:TorchSession",
            optimizers=OPTIMIZERS,
            precisions=("float32", "bfloat16", "float64"),
            requires=("torch",),
            extra="torch",
            distributions=("torch",),
        ),
        FrameworkSpec(
            name="sklearn",
            summary="scikit-learn, a classifier of single pixels trained batch by batch",
            target="craterbench_frameworks.sklearn:SklearnSession",
            optimizers={"sgd": NoParameters},
        ),
    ]
