"""The U-Net's layers by name, and the NumPy weights that every framework starts from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from craterbench.plugin import UserError

if TYPE_CHECKING:
    from craterbench_unet import UNet

__all__ = ["check_size", "dropouts", "kernels", "multiple_of", "weights"]

#: Standard deviation of a standard normal cut off at two: Keras divides by it to keep the variance of He et al.
_CUT = 2.0
_CUT_DEVIATION = 0.87962566103423978


def kernels(parameters: UNet) -> dict[str, tuple[int, int, int, int]]:
    """Return the shape of each layer's kernel, by the layer's name, from input to output.

    Convolutions have (height, width, in, out), transposed ones, whose name ends in ``up``, (height, width, out, in).
    """
    widths = [parameters.filters * 2**level for level in range(parameters.depth + 1)]
    shapes = {}
    before = 1
    for level, width in enumerate(widths):
        stage = f"down_{level + 1}" if level < parameters.depth else "bottleneck"
        shapes[f"{stage}_conv_1"] = (3, 3, before, width)
        shapes[f"{stage}_conv_2"] = (3, 3, width, width)
        before = width
    for level in reversed(range(parameters.depth)):
        width = widths[level]
        shapes[f"up_{level + 1}_up"] = (2, 2, width, 2 * width)
        shapes[f"up_{level + 1}_conv_1"] = (3, 3, 2 * width, width)
        shapes[f"up_{level + 1}_conv_2"] = (3, 3, width, width)
    shapes["output"] = (1, 1, parameters.filters, 1)
    return shapes


def dropouts(parameters: UNet) -> list[float]:
    """Return the dropout rate of each level and, last, of the bottleneck: 0.1, 0.1, 0.2 and 0.3 as published."""
    levels = [parameters.dropout * (1 if level < 2 else 2) for level in range(parameters.depth)]
    return [*levels, parameters.dropout * 3]


def multiple_of(parameters: UNet) -> int:
    """Return what both sides of an image have to be multiples of, so that every level halves them."""
    return 1 << parameters.depth


def check_size(parameters: UNet, image_shape: tuple[int, int]) -> None:
    """Raise a UserError unless every level can halve the image without a remainder."""
    multiple = multiple_of(parameters)
    if any(side % multiple for side in image_shape):
        raise UserError(
            f"model 'unet' with depth {parameters.depth} needs sides that are multiples of {multiple}, and the images "
            f"are {image_shape[0]}x{image_shape[1]}; pad them with --set training.pad=true, choose another "
            "model.depth, or cut them"
        )


def weights(parameters: UNet, image_shape: tuple[int, int], seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Draw weights as Keras does, in its lay-out: 3x3 kernels truncated He-normal, others Glorot-uniform, biases zero.

    He et al. 2015 (arXiv:1502.01852) and Glorot and Bengio 2010; the normal is cut off at two standard deviations and
    widened to keep its variance, as in ``keras.initializers.HeNormal``.

    Raises:
        UserError: the depth does not divide the image.
    """
    check_size(parameters, image_shape)
    generator = np.random.default_rng(seed)
    drawn = {}
    for name, shape in kernels(parameters).items():
        kernel = _he_normal(generator, shape) if shape[:2] == (3, 3) else _glorot_uniform(generator, shape)
        drawn[f"{name}.kernel"] = kernel.astype(np.float32)
        outputs = shape[2] if name.endswith("_up") else shape[3]
        drawn[f"{name}.bias"] = np.zeros(outputs, np.float32)
    return drawn


def _he_normal(generator: np.random.Generator, shape: tuple[int, int, int, int]) -> npt.NDArray[np.float64]:
    fan_in = shape[0] * shape[1] * shape[2]
    deviation = math.sqrt(2.0 / fan_in) / _CUT_DEVIATION
    low, high = ndtr(-_CUT), ndtr(_CUT)
    normal: npt.NDArray[np.float64] = ndtri(generator.uniform(low, high, shape))
    return deviation * normal


def _glorot_uniform(generator: np.random.Generator, shape: tuple[int, int, int, int]) -> npt.NDArray[np.float64]:
    limit = math.sqrt(6.0 / (shape[0] * shape[1] * (shape[2] + shape[3])))
    return generator.uniform(-limit, limit, shape)
