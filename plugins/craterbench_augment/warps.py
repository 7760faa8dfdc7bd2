"""Warps of image and mask by one map: the image is interpolated linearly, the mask takes the nearest pixel.

What comes in from outside is the mirrored image.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from craterbench_augment import Elastic, RotateZoom, Shear, Shift

__all__ = ["elastic", "rotate_zoom", "shear", "shift"]

_Images = npt.NDArray[np.float32]
_Masks = npt.NDArray[np.uint8]


def rotate_zoom(
    images: _Images, masks: _Masks, generator: np.random.Generator, parameters: RotateZoom
) -> tuple[_Images, _Masks]:
    """Turn each image and its mask by one angle and scale both by one factor, about the centre.

    The angle is uniform in plus or minus ``rotation`` degrees, the factor in 1 plus or minus ``zoom``.
    """
    height, width = images.shape[1:3]
    centre = ((width - 1) / 2, (height - 1) / 2)
    angles = generator.uniform(-parameters.rotation, parameters.rotation, len(images))
    factors = generator.uniform(1 - parameters.zoom, 1 + parameters.zoom, len(images))
    matrices = (cv2.getRotationMatrix2D(centre, angle, factor) for angle, factor in zip(angles, factors, strict=True))
    return _affine(images, masks, matrices)


def shift(images: _Images, masks: _Masks, generator: np.random.Generator, parameters: Shift) -> tuple[_Images, _Masks]:
    """Move each image and its mask across and down, by distances uniform in plus or minus ``shift`` of the sides."""
    height, width = images.shape[1:3]
    moved = generator.uniform(-parameters.shift, parameters.shift, (len(images), 2)) * (width, height)
    return _affine(images, masks, (np.array([[1.0, 0.0, across], [0.0, 1.0, down]]) for across, down in moved))


def shear(images: _Images, masks: _Masks, generator: np.random.Generator, parameters: Shear) -> tuple[_Images, _Masks]:
    """Shear each image and its mask along the rows, about the centre, by an angle in plus or minus ``angle``."""
    middle = (images.shape[1] - 1) / 2
    slopes = np.tan(np.deg2rad(generator.uniform(-parameters.angle, parameters.angle, len(images))))
    return _affine(images, masks, (np.array([[1.0, slope, -slope * middle], [0.0, 1.0, 0.0]]) for slope in slopes))


def elastic(
    images: _Images, masks: _Masks, generator: np.random.Generator, parameters: Elastic
) -> tuple[_Images, _Masks]:
    """Move every pixel by a smooth random field, one for each image and its mask.

    The field is noise, uniform in plus or minus 1, smoothed by a Gaussian of standard deviation ``smoothness``, and
    scaled so that its root mean square is ``displacement``: as in Simard, Steinkraus and Platt 2003 (Best practices
    for convolutional neural networks, ICDAR), who give the factor before the smoothing.
    """
    height, width = images.shape[1:3]
    down, across = np.mgrid[:height, :width].astype(np.float32)
    warped_images, warped_masks = np.empty_like(images), np.empty_like(masks)
    for row in range(len(images)):
        noise = generator.uniform(-1.0, 1.0, (2, height, width)).astype(np.float32)
        fields = [cv2.GaussianBlur(each, (0, 0), parameters.smoothness) for each in noise]
        size = max(float(np.sqrt(np.mean([field**2 for field in fields]))), 1e-12)
        x, y = (at + field * (parameters.displacement / size) for at, field in zip((across, down), fields, strict=True))
        for source, target, interpolation in _both(images, masks, warped_images, warped_masks):
            target[row, ..., 0] = cv2.remap(source[row, ..., 0], x, y, interpolation, borderMode=cv2.BORDER_REFLECT)
    return warped_images, warped_masks


def _affine(images: _Images, masks: _Masks, matrices: Iterable[npt.NDArray[np.float64]]) -> tuple[_Images, _Masks]:
    """Warp each image with its mask by a matrix (2, 3), which takes x, y and 1 to where the pixel goes."""
    height, width = images.shape[1:3]
    warped_images, warped_masks = np.empty_like(images), np.empty_like(masks)
    for row, matrix in enumerate(matrices):
        for source, target, interpolation in _both(images, masks, warped_images, warped_masks):
            target[row, ..., 0] = cv2.warpAffine(
                source[row, ..., 0], matrix, (width, height), flags=interpolation, borderMode=cv2.BORDER_REFLECT
            )
    return warped_images, warped_masks


def _both(images: Any, masks: Any, warped_images: Any, warped_masks: Any) -> tuple[tuple[Any, Any, int], ...]:
    return (images, warped_images, cv2.INTER_LINEAR), (masks, warped_masks, cv2.INTER_NEAREST)
