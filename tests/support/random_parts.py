"""Parts drawn at random: masks and probabilities of blobs, noise, nothing and everything."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import uniform_filter


def random_parts(number: int, seed: int = 12) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield masks uint8 (N, H, W, 1) and probabilities float32 of the same shape, N, H and W others each time."""
    generator = np.random.default_rng(seed)
    for _ in range(number):
        shape = (int(generator.integers(1, 5)), *(int(side) for side in generator.integers(1, 17, size=2)))
        masks = np.stack([_image(generator, shape[1:]) for _ in range(shape[0])]) > 0.5
        found = np.stack([_image(generator, shape[1:]) for _ in range(shape[0])])
        moved = generator.random(shape[0]) < 0.5  # of these the prediction resembles the mask
        noisy = np.abs(masks - 0.6 * (generator.random(shape) < 0.1))
        found = np.where(moved[:, None, None], np.roll(noisy, int(generator.integers(-1, 2)), axis=1), found)
        yield masks.astype(np.uint8)[..., None], found.astype(np.float32)[..., None]


def _image(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    kind = generator.integers(5)
    if kind < 2:
        return np.full(shape, float(kind))
    noise = generator.random(shape)
    if kind == 2:
        return noise * generator.random()
    smooth = uniform_filter(noise, size=3, mode="nearest")
    return np.asarray(smooth > np.quantile(smooth, generator.uniform(0.3, 0.9)), dtype=float)
