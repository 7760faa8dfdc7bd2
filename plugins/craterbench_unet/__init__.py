"""The reference U-Net."""

from dataclasses import dataclass
from typing import Annotated

from craterbench.plugin import ModelSpec, Range, hookimpl


@dataclass(frozen=True, kw_only=True)
class UNet:
    """The parameters of the U-Net; the defaults are the published ones.

    Attributes:
        depth: number of levels, each of which halves the image.
        filters: filters of the first level; each further level, and then the bottleneck, has twice as many.
        dropout: rate in the first two levels; twice that in deeper ones, three times that in the bottleneck.
    """

    depth: Annotated[int, Range(1, 6, search=(2, 4))] = 3
    filters: Annotated[int, Range(1, 256, search=(8, 24), log=True)] = 16
    dropout: Annotated[float, Range(0.0, 0.3)] = 0.1


@hookimpl
def bench_models() -> list[ModelSpec]:
    return [
        ModelSpec(
            name="unet",
            summary="the published U-Net: convolutions with dropout, transposed convolutions, skips",
            target={"keras": "craterbench_unet.keras:build", "torch": "craterbench_unet.torch:build"},
            initial="craterbench_unet.initial:weights",
            multiple_of="craterbench_unet.initial:multiple_of",
            parameters=UNet,
        )
    ]
