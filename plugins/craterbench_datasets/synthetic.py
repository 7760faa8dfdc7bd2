"""Made-up craters: a height map with bowls and rims, lit from the side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from craterbench.data.dataset import Dataset, Subset

if TYPE_CHECKING:
    from craterbench_datasets import Synthetic

__all__ = ["synthetic"]

#: Exponent of the cumulative size-frequency distribution: the number of craters wider than D falls as D**-2, about as
#: for craters in production (Melosh 1989, Impact Cratering, chapter 10).
SLOPE = 2.0

#: Depth and height of the rim in diameters, as in fresh simple craters (Pike 1977).
DEPTH, RIM = 0.2, 0.04

SUN_ELEVATION = np.deg2rad(30.0)


def synthetic(parameters: Synthetic) -> Dataset:
    """Make the images; each is a scene of its own, and so a group of its own."""
    generator = np.random.default_rng(parameters.seed)
    scenes = [_scene(generator, parameters.size) for _ in range(parameters.images + parameters.test_images)]
    images = np.stack([image for image, _ in scenes])[..., np.newaxis]
    masks = np.stack([mask for _, mask in scenes])[..., np.newaxis]
    everything = Subset(images, masks, np.arange(len(scenes), dtype=np.int64))
    rows = np.arange(len(scenes))
    return Dataset(everything.take(rows[: parameters.images]), everything.take(rows[parameters.images :]))


def _scene(generator: np.random.Generator, size: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Return a float32 image in [0, 1] and its mask, both (size, size)."""
    rows, columns = np.mgrid[:size, :size]
    height = gaussian_filter(generator.normal(size=(size, size)), 3.0) * 2.0
    mask = np.zeros((size, size), np.uint8)
    for _ in range(generator.integers(1, 6)):
        # By inversion: the widest are cut off at 0.6 of the image, the narrowest at 0.12.
        share = generator.uniform(0.12**SLOPE / 0.6**SLOPE, 1.0)
        diameter = size * 0.12 * share ** (-1.0 / SLOPE)
        centre = generator.uniform(0.0, size, 2)
        distance = np.hypot(rows - centre[0], columns - centre[1]) / (diameter / 2)
        bowl = DEPTH * (np.minimum(distance, 1.0) ** 2 - 1.0)
        rim = RIM * np.exp(-(((distance - 1.0) / 0.25) ** 2))
        height += diameter * (bowl + rim) * generator.uniform(0.4, 1.0)  # old craters are shallow
        mask |= (distance <= 1.0).astype(np.uint8)
    image = _lit(height, azimuth=generator.uniform(0.0, 2 * np.pi))
    image = image + generator.normal(scale=0.03, size=image.shape)
    return np.clip(image, 0.0, 1.0).astype(np.float32), mask


def _lit(height: npt.NDArray[np.float64], *, azimuth: float) -> npt.NDArray[np.float64]:
    """Shade a surface as Lambert has it: brightness is the cosine between its normal and the sun."""
    down, right = np.gradient(height)
    toward = (np.cos(azimuth) * right + np.sin(azimuth) * down) * np.cos(SUN_ELEVATION)
    shade: npt.NDArray[np.float64] = (np.sin(SUN_ELEVATION) - toward) / np.sqrt(1.0 + down**2 + right**2)
    return shade
