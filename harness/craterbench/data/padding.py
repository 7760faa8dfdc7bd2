"""Images padded to sizes that a network takes, by reflection."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["pad_to_multiple"]


def pad_to_multiple(
    images: npt.NDArray[Any], multiple: int, *, value: int | None = None
) -> tuple[npt.NDArray[Any], tuple[slice, slice, slice]]:
    """Pad images so that both of their sides are multiples of a number, half of it on either side.

    What is added is the reflected image, without its border (``numpy.pad`` with ``mode="reflect"``).

    Args:
        images: (N, H, W, 1), of any type.
        value: what to add instead, such as ``IGNORED`` to masks.

    Returns:
        The padded images, the same array if there is nothing to add; and what cuts the images out of an array of the
        padded size: ``padded[crop]`` equals ``images``.
    """
    sides = images.shape[1:3]
    before = [-side % multiple // 2 for side in sides]
    after = [-side % multiple - first for side, first in zip(sides, before, strict=True)]
    rows, columns = (slice(first, first + side) for first, side in zip(before, sides, strict=True))
    crop = (slice(None), rows, columns)
    if not any(after):
        return images, crop
    widths = [(0, 0), *zip(before, after, strict=True), (0, 0)]
    if value is not None:
        return np.pad(images, widths, constant_values=value), crop
    return np.pad(images, widths, mode="reflect"), crop
