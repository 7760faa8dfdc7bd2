"""Images and masks of any numeric type, checked once where they enter."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from craterbench.data.dataset import Subset
from craterbench.plugin import UserError

__all__ = ["make_images", "make_subset"]


def make_subset(
    images: npt.NDArray[np.generic],
    masks: npt.NDArray[np.generic],
    groups: npt.NDArray[np.generic] | None = None,
    *,
    source: str,
) -> Subset:
    """Check arrays of any numeric type and return them as a part.

    Args:
        images: (N, H, W) or (N, H, W, 1), grey values 0 to 255 or 0 to 1.
        masks: the same shape, 0 and 1 or 0 and 255.
        groups: (N,) integers; without them each image is a group of its own.
        source: what to call the data in an error.

    Raises:
        UserError: naming the source, what is wrong with it and what is wanted.
    """
    grey = make_images(images, source=f"{source}: images")
    binary = _binary(_cube(masks, f"{source}: masks"), f"{source}: masks")
    if len(grey) != len(binary):
        raise UserError(f"{source}: {len(grey)} images but {len(binary)} masks; give one mask for each image")
    if grey.shape != binary.shape:
        size = "x".join(map(str, binary.shape[1:3]))
        raise UserError(f"{source}: masks are {size}, images {'x'.join(map(str, grey.shape[1:3]))}; give one size")
    if not binary.any():
        raise UserError(f"{source}: no mask has a crater pixel; there is nothing to learn or to score")
    if groups is None:
        groups = np.arange(len(grey))
    elif groups.shape != (len(grey),) or groups.dtype.kind not in "iu":
        raise UserError(f"{source}: groups are {groups.dtype} {groups.shape}; give one integer for each image")
    return Subset(grey, binary, groups.astype(np.int64))


def make_images(images: npt.NDArray[np.generic], *, source: str) -> npt.NDArray[np.float32]:
    """Check images as ``make_subset`` does, and return them as float32 (N, H, W, 1) in [0, 1].

    Raises:
        UserError: naming the source and what is wrong with it.
    """
    return _grey(_cube(images, source), source)


def _cube(array: npt.NDArray[np.generic], what: str) -> npt.NDArray[np.generic]:
    """Return (N, H, W, 1)."""
    if array.dtype.kind not in "buif":
        raise UserError(f"{what} are of type {array.dtype}; give numbers")
    cube = array[..., np.newaxis] if array.ndim == 3 else array
    if cube.ndim != 4 or cube.shape[-1] != 1 or 0 in cube.shape:
        raise UserError(f"{what} have shape {array.shape}; give (N, H, W) or (N, H, W, 1)")
    if not np.isfinite(cube).all():
        raise UserError(f"{what} hold NaN or infinity, first in image {int(np.argwhere(~np.isfinite(cube))[0][0])}")
    return cube


def _grey(cube: npt.NDArray[np.generic], what: str) -> npt.NDArray[np.float32]:
    low, high = float(np.min(cube)), float(np.max(cube))
    if low < 0 or high > 255:
        raise UserError(f"{what} range from {low:g} to {high:g}; give grey values 0 to 255 or 0 to 1")
    if cube.dtype.kind == "f" and 1 < high <= 2:
        raise UserError(
            f"{what} reach {high!r}: 0 to 1 and a little over, or dark ones of 0 to 255? clip or scale them"
        )
    return cube.astype(np.float32) / np.float32(255 if high > 1 else 1)


def _binary(cube: npt.NDArray[np.generic], what: str) -> npt.NDArray[np.uint8]:
    values = np.unique(cube)
    if not (np.isin(values, (0, 1)).all() or np.isin(values, (0, 255)).all()):
        some = ", ".join(f"{value:g}" for value in values[:4])
        raise UserError(f"{what} are not binary: they hold {some}{', …' if len(values) > 4 else ''}; give 0 and 1")
    crater: npt.NDArray[np.bool_] = cube != 0
    return crater.astype(np.uint8)
