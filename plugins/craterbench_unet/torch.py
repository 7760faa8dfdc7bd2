"""The reference U-Net in PyTorch, the twin of the one in Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from craterbench_frameworks.torch_dropout import dropout
from craterbench_unet.initial import dropouts, kernels

if TYPE_CHECKING:
    from collections.abc import Callable

    from craterbench_unet import UNet

__all__ = ["build"]


class Convolution(nn.Conv2d):  # type: ignore[misc]
    """A convolution with its activation, which is what a layer of Keras returns."""

    def __init__(self, shape: tuple[int, ...], activation: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__(shape[2], shape[3], shape[0], padding=shape[0] // 2)
        self._activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activation of the convolution, in whose place it may lie: nothing else reads that."""
        return self._activation(super().forward(x))


class UNetModule(nn.Module):  # type: ignore[misc]
    """Images (N, 1, H, W) in [0, 1] to probabilities (N, 1, H, W). Layers have the names that they have in Keras."""

    def __init__(self, parameters: UNet) -> None:
        super().__init__()
        *self._level_rates, self._bottleneck_rate = dropouts(parameters)
        for name, shape in kernels(parameters).items():
            if name.endswith("_up"):
                layer: nn.Module = nn.ConvTranspose2d(shape[3], shape[2], 2, stride=2)
            else:
                layer = Convolution(shape, _sigmoid if name == "output" else torch.relu_)
            self.add_module(name, layer)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the probabilities."""
        x = image
        skips = []
        for level, rate in enumerate(self._level_rates, start=1):
            x = self._stage(f"down_{level}", x, rate)
            skips.append(x)
            x = nn.functional.max_pool2d(x, 2)
        x = self._stage("bottleneck", x, self._bottleneck_rate)
        for level, rate in reversed(list(enumerate(self._level_rates, start=1))):
            x = self.get_submodule(f"up_{level}_up")(x)
            x = torch.cat([x, skips.pop()], dim=1)
            x = self._stage(f"up_{level}", x, rate)
        probability: torch.Tensor = self.get_submodule("output")(x)
        return probability

    def _stage(self, name: str, x: torch.Tensor, rate: float) -> torch.Tensor:
        x = self.get_submodule(f"{name}_conv_1")(x)
        x = dropout(x, rate, self.training)
        return self.get_submodule(f"{name}_conv_2")(x)


def build(parameters: UNet, image_shape: tuple[int, int], seed: int) -> nn.Module:
    """Return the network; it takes its dropout from PyTorch's own generator."""
    return UNetModule(parameters)


def _sigmoid(logits: torch.Tensor) -> torch.Tensor:
    """Return probabilities in at least single precision: in half of it they are 1 from a logit of 6 on."""
    return torch.sigmoid(logits.float() if logits.dtype == torch.bfloat16 else logits)
