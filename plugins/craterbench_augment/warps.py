"""Warps of image and mask by one matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from craterbench_augment import RotateZoom

__all__ = ["rotate_zoom"]


def rotate_zoom(
    images: npt.NDArray[np.float32],
    masks: npt.NDArray[np.uint8],
    generator: np.random.Generator,
    parameters: RotateZoom,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Turn each image and its mask by one angle and scale both by one factor, about the centre.

    The angle is uniform in plus or minus ``rotation`` degrees, the factor in 1 plus or minus ``zoom``. The image is
    interpolated linearly, the mask takes the nearest pixel; what comes in from outside is the mirrored image.
    """
    height, width = images.shape[1:3]
    centre = ((width - 1) / 2, (height - 1) / 2)
    angles = generator.uniform(-parameters.rotation, parameters.rotation, len(images))
    factors = generator.uniform(1 - parameters.zoom, 1 + parameters.zoom, len(images))
    warped_images, warped_masks = np.empty_like(images), np.empty_like(masks)
    for row, (angle, factor) in enumerate(zip(angles, factors, strict=True)):
        matrix = cv2.getRotationMatrix2D(centre, angle, factor)
        for source, target, interpolation in (
            (images, warped_images, cv2.INTER_LINEAR),
            (masks, warped_masks, cv2.INTER_NEAREST),
        ):
            target[row, ..., 0] = cv2.warpAffine(
                source[row, ..., 0], matrix, (width, height), flags=interpolation, borderMode=cv2.BORDER_REFLECT
            )
    return warped_images, warped_masks
