"""Mirror images, exact to the pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from craterbench.plugin import NoParameters

__all__ = ["flips"]


def flips(
    images: npt.NDArray[np.float32],
    masks: npt.NDArray[np.uint8],
    generator: np.random.Generator,
    parameters: NoParameters,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Flip each image with its mask left to right and top to bottom, each with probability 1/2."""
    flipped_images, flipped_masks = images.copy(), masks.copy()
    for axis in (1, 2):
        rows = np.flatnonzero(generator.integers(2, size=len(images)))
        for arrays in (flipped_images, flipped_masks):
            arrays[rows] = np.flip(arrays[rows], axis)
    return flipped_images, flipped_masks
