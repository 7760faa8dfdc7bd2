"""Changes of grey values, which leave the masks as they are. What leaves [0, 1] is clipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from craterbench_augment import Blur, Brightness, Contrast, Cutout, Gamma, Noise

__all__ = ["blur", "brightness", "contrast", "cutout", "gamma", "noise"]

_Images = npt.NDArray[np.float32]
_Masks = npt.NDArray[np.uint8]


def brightness(
    images: _Images, masks: _Masks, generator: np.random.Generator, parameters: Brightness
) -> tuple[_Images, _Masks]:
    """Add to each image a value uniform in plus or minus ``brightness``."""
    added = generator.uniform(-parameters.brightness, parameters.brightness, len(images))
    return _clipped(images + _each(added)), masks


def contrast(
    images: _Images, masks: _Masks, generator: np.random.Generator, parameters: Contrast
) -> tuple[_Images, _Masks]:
    """Multiply the distance from each image's mean by a factor uniform in 1 plus or minus ``contrast``."""
    factors = generator.uniform(1 - parameters.contrast, 1 + parameters.contrast, len(images))
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    return _clipped(mean + _each(factors) * (images - mean)), masks


def gamma(images: _Images, masks: _Masks, generator: np.random.Generator, parameters: Gamma) -> tuple[_Images, _Masks]:
    """Raise each image to a power, whose logarithm is uniform between those of 1 / ``gamma`` and ``gamma``."""
    bound = np.log(parameters.gamma)
    powers = np.exp(generator.uniform(-bound, bound, len(images)))
    return _clipped(images ** _each(powers)), masks


def noise(images: _Images, masks: _Masks, generator: np.random.Generator, parameters: Noise) -> tuple[_Images, _Masks]:
    """Add normal noise, whose standard deviation is uniform between 0 and ``deviation`` for each image."""
    deviations = generator.uniform(0.0, parameters.deviation, len(images))
    added = generator.standard_normal(images.shape, dtype=np.float32)
    return _clipped(images + _each(deviations) * added), masks


def blur(images: _Images, masks: _Masks, generator: np.random.Generator, parameters: Blur) -> tuple[_Images, _Masks]:
    """Blur by a Gaussian, whose standard deviation is uniform between 0 and ``deviation`` pixels for each image."""
    blurred = np.empty_like(images)
    for row, deviation in enumerate(generator.uniform(0.0, parameters.deviation, len(images))):
        image = images[row, ..., 0]
        # OpenCV takes a deviation of 0 as a wish that it choose one
        blurred[row, ..., 0] = cv2.GaussianBlur(image, (0, 0), deviation) if deviation > 0 else image
    return _clipped(blurred), masks


def cutout(
    images: _Images, masks: _Masks, generator: np.random.Generator, parameters: Cutout
) -> tuple[_Images, _Masks]:
    """Replace a square of each image by the image's mean: DeVries and Taylor 2017 (arXiv:1708.04552).

    Its side is ``side`` of the image's shorter one, its centre any pixel, so that it may reach over the border.
    """
    height, width = images.shape[1:3]
    half = parameters.side * min(height, width) / 2
    cut = images.copy()
    centres = generator.integers((height, width), size=(len(images), 2))
    for row, (y, x) in enumerate(centres):
        rows, columns = (slice(max(round(at - half), 0), max(round(at + half), 0)) for at in (y, x))
        cut[row, rows, columns] = images[row].mean()
    return cut, masks


def _each(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return one value for each image as (N, 1, 1, 1)."""
    return values.astype(np.float32)[:, None, None, None]


def _clipped(images: npt.NDArray[np.float32]) -> _Images:
    return np.clip(images, 0.0, 1.0).astype(np.float32, copy=False)
