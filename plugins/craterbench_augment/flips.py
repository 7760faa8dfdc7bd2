"""Mirror and turn images, exact to the pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from craterbench.plugin import NoParameters

__all__ = ["flips", "quarter_turns"]

_Images = npt.NDArray[np.float32]
_Masks = npt.NDArray[np.uint8]


def flips(
    images: _Images, masks: _Masks, generator: np.random.Generator, parameters: NoParameters
) -> tuple[_Images, _Masks]:
    """Flip each image with its mask left to right and top to bottom, each with probability 1/2."""
    flipped_images, flipped_masks = images.copy(), masks.copy()
    for axis in (1, 2):
        rows = np.flatnonzero(generator.integers(2, size=len(images)))
        for arrays in (flipped_images, flipped_masks):
            arrays[rows] = np.flip(arrays[rows], axis)
    return flipped_images, flipped_masks


def quarter_turns(
    images: _Images, masks: _Masks, generator: np.random.Generator, parameters: NoParameters
) -> tuple[_Images, _Masks]:
    """Turn each image with its mask by 0, 90, 180 or 270 degrees, each as likely; by 0 or 180 if it is not square."""
    square = images.shape[1] == images.shape[2]
    turns = generator.integers(4, size=len(images)) if square else 2 * generator.integers(2, size=len(images))
    turned_images, turned_masks = images.copy(), masks.copy()
    for quarters in (1, 2, 3) if square else (2,):
        rows = np.flatnonzero(turns == quarters)
        for arrays in (turned_images, turned_masks):
            arrays[rows] = np.rot90(arrays[rows], quarters, axes=(1, 2))
    return turned_images, turned_masks
