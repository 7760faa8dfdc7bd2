"""The twin, with the fault that its parameters name."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import craterbench_optimizers.torch
import craterbench_unet.torch
from faults import FaultyUNet


class Swapping:
    """PyTorch, but that it concatenates in the other order."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def cat(self, tensors: list[torch.Tensor], dim: int) -> torch.Tensor:
        return torch.cat(tensors[::-1], dim)


def build(parameters: FaultyUNet, image_shape: tuple[int, int], seed: int) -> nn.Module:
    if parameters.fault == "raises":
        raise RuntimeError("no such layer")
    epsilons = {"own-adam": 1e-8, "equal-epsilons": 1e-7}
    if parameters.fault in epsilons:
        sound_adam = craterbench_optimizers.torch.KerasAdam

        def adam(weights: list[nn.Parameter], weight_decay: float = 0.0) -> torch.optim.Optimizer:
            """Return Adam as PyTorch makes it; AdamW is left alone."""
            if weight_decay:
                return sound_adam(weights, weight_decay)
            return torch.optim.Adam(weights, eps=epsilons[parameters.fault])

        craterbench_optimizers.torch.KerasAdam = adam
    if parameters.fault == "concatenation":
        craterbench_unet.torch.torch = Swapping()
    model = craterbench_unet.torch.build(parameters, image_shape, seed)
    if parameters.fault == "kernel":
        layer = model.get_submodule("down_2_conv_1")
        sound = layer._conv_forward
        layer._conv_forward = lambda x, weight, bias: sound(x, weight.transpose(2, 3), bias)
    if parameters.fault == "dropout":
        model.get_submodule("up_1_conv_2").register_forward_pre_hook(
            lambda module, inputs: nn.functional.dropout(inputs[0], 0.1, module.training)
        )
    return model
