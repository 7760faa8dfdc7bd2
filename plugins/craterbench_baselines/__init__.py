"""The floor of every table: models that see no shape."""

from dataclasses import dataclass
from typing import Annotated

from craterbench.plugin import ModelSpec, Range, hookimpl


@dataclass(frozen=True, kw_only=True)
class Logistic:
    """The parameters of the logistic model.

    Attributes:
        scales: number of smoothed copies of the image, each twice as smooth as the one before, from sigma 1 pixel.
    """

    scales: Annotated[int, Range(0, 6)] = 4


@hookimpl
def bench_models() -> list[ModelSpec]:
    return [
        ModelSpec(
            name="constant",
            summary="the share of crater pixels in the training part, everywhere",
            target={"sklearn": "craterbench_baselines.sklearn:constant"},
        ),
        ModelSpec(
            name="logistic",
            summary="logistic regression on a pixel's intensity and a few smoothed copies of it",
            target={"sklearn": "craterbench_baselines.sklearn:logistic"},
            parameters=Logistic,
        ),
    ]
