"""A plugin with a U-Net whose twin in PyTorch can be given one fault at a time."""

from dataclasses import dataclass
from typing import Literal

from craterbench.plugin import ModelSpec, hookimpl
from craterbench_unet import UNet


@dataclass(frozen=True, kw_only=True)
class FaultyUNet(UNet):
    fault: Literal["none", "own-adam", "equal-epsilons", "concatenation", "kernel", "dropout", "raises"] = "none"


@hookimpl
def bench_models() -> list[ModelSpec]:
    return [
        ModelSpec(
            name="faulty",
            summary="the U-Net, with a fault in its twin",
            target={"keras": "craterbench_unet.keras:build", "torch": "faults.torch:build"},
            initial="craterbench_unet.initial:weights",
            parameters=FaultyUNet,
        )
    ]
