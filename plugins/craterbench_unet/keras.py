"""The reference U-Net in Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from craterbench_unet.initial import dropouts, kernels

if TYPE_CHECKING:
    from craterbench_unet import UNet

__all__ = ["build"]


def build(parameters: UNet, image_shape: tuple[int, int], seed: int) -> keras.Model:
    """Return the network: images (N, H, W, 1) in [0, 1] to probabilities (N, H, W, 1)."""
    shapes = kernels(parameters)
    *level_rates, bottleneck_rate = dropouts(parameters)

    def convolution(name: str, x: Any) -> Any:
        return layers.Conv2D(shapes[name][3], 3, padding="same", activation="relu", name=name)(x)

    def stage(name: str, x: Any, rate: float) -> Any:
        x = convolution(f"{name}_conv_1", x)
        x = layers.Dropout(rate, seed=seed + len(seeded), name=f"{name}_dropout")(x)
        seeded.append(name)
        return convolution(f"{name}_conv_2", x)

    seeded: list[str] = []  # a seed for each dropout, or all would drop the same pixels
    image = x = keras.Input((*image_shape, 1), name="image")
    skips = []
    for level, rate in enumerate(level_rates, start=1):
        x = stage(f"down_{level}", x, rate)
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"down_{level}_pool")(x)
    x = stage("bottleneck", x, bottleneck_rate)
    for level, rate in reversed(list(enumerate(level_rates, start=1))):
        name = f"up_{level}_up"
        x = layers.Conv2DTranspose(shapes[name][2], 2, strides=2, padding="same", name=name)(x)
        x = layers.Concatenate(name=f"up_{level}_concatenate")([x, skips.pop()])
        x = stage(f"up_{level}", x, rate)
    probability = layers.Conv2D(1, 1, activation="sigmoid", name="output")(x)
    return keras.Model(image, probability, name="unet")
