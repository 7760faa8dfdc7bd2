"""Cut chips with circular crater masks from a tile and its catalogue, in integer arithmetic.

Everything here is exact, so that a data set can be rebuilt bit for bit on any machine: chips are resampled by area in
integers, never by a floating-point interpolation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = [
    "Window",
    "crater_mask",
    "cut",
    "deal",
    "overlap_groups",
    "resample",
    "shown",
    "stretch",
    "widest",
    "windows_around",
]

Integers = npt.NDArray[Any]

Choice = TypeVar("Choice", bound=Hashable)

#: A crater is shown at a diameter between these shares of a window's side,
_NARROW, _WIDE = 0.4, 0.7

#: and with its centre at these shares of it, from the left and from the top.
_PLACES = (0.3, 0.5, 0.7)


@dataclass(frozen=True, order=True)
class Window:
    """A square of the tile: its upper left pixel and its side, in pixels of the tile."""

    x: int
    y: int
    side: int


def windows_around(crater: npt.NDArray[np.float64], *, sides: tuple[int, ...], extent: tuple[int, int]) -> list[Window]:
    """Return windows of several scales and places that show a crater, sorted, all inside the tile.

    The crater's diameter is between 0.4 and 0.7 of the side, and its centre 0.3, 0.5 or 0.7 of the side from the left
    and from the top.

    Args:
        crater: x, y and diameter in pixels of the tile.
        sides: the sides to try, in pixels of the tile.
        extent: (height, width) of the tile, in pixels.
    """
    x, y, diameter = crater
    found = set()
    fitting = [side for side in sides if _NARROW <= diameter / side <= _WIDE]
    for side, across, down in itertools.product(fitting, _PLACES, _PLACES):
        left, top = math.floor(x - across * side), math.floor(y - down * side)
        inside = left >= 0 and top >= 0 and left + side <= extent[1] and top + side <= extent[0]
        if inside:
            found.add(Window(left, top, side))
    return sorted(found)


def deal(choices: Sequence[Sequence[Choice]], number: int | None, *, seed: int) -> list[Choice]:
    """Return windows, one of each crater's choices in turn, in a seeded order, so that no crater is shown much more.

    Args:
        choices: for each crater, the windows that show it.
        number: how many windows to return, fewer if the choices run out; ``None`` is all.
        seed: of numpy's RandomState, the generator whose stream never changes.
    """
    random = np.random.RandomState(seed)
    shuffled = [[windows[row] for row in random.permutation(len(windows))] for windows in choices]
    turns = [shuffled[row] for row in random.permutation(len(shuffled))]
    dealt = (window for hand in itertools.zip_longest(*turns) for window in hand if window is not None)
    return list(itertools.islice(dict.fromkeys(dealt), number))


def resample(pixels: Integers, size: int) -> Integers:
    """Resample a square of pixels to (size, size) by area: each new pixel is the rounded mean of what it covers.

    Lengths are counted in such parts of a pixel that both sides are whole. All sums are integers below 2**53, which
    double precision holds exactly in whatever order they are added; halves are rounded up.

    Args:
        pixels: (side, side), integers of at most 16 bits.
    """
    side = pixels.shape[0]
    new, old = np.arange(size)[:, None] * side, np.arange(side)[None, :] * size
    covered = np.clip(np.minimum(new + side, old + size) - np.maximum(new, old), 0, None).astype(np.float64)
    total = (covered @ pixels.astype(np.float64) @ covered.T).astype(np.int64)
    area = side * side
    means: npt.NDArray[np.int64] = (2 * total + area) // (2 * area)
    return means.astype(pixels.dtype)


def stretch(chips: Integers) -> npt.NDArray[np.uint8]:
    """Stretch the grey values of each chip, (N, H, W), to 0 to 255, in integers, halves rounded up."""
    low = chips.min(axis=(1, 2), keepdims=True).astype(np.int64)
    span = np.maximum(chips.max(axis=(1, 2), keepdims=True) - low, 1)
    stretched: npt.NDArray[np.int64] = (2 * 255 * (chips - low) + span) // (2 * span)
    return stretched.astype(np.uint8)


def shown(craters: npt.NDArray[np.float64], window: Window) -> npt.NDArray[np.bool_]:
    """Return (M,), of which craters a window shows a part.

    Args:
        craters: (M, 3), x, y and diameter in pixels of the tile.
    """
    x, y, diameter = craters.T
    across = x - np.clip(x, window.x, window.x + window.side)
    down = y - np.clip(y, window.y, window.y + window.side)
    found: npt.NDArray[np.bool_] = across**2 + down**2 < (diameter / 2) ** 2
    return found


def widest(craters: npt.NDArray[np.float64], window: Window) -> float:
    """Return the diameter of the widest crater of which a window shows a part, 0 if it shows none.

    Args:
        craters: (M, 3), x, y and diameter in pixels of the tile.
    """
    return float(craters[:, 2].max(initial=0.0, where=shown(craters, window)))


def crater_mask(craters: npt.NDArray[np.float64], window: Window, size: int) -> npt.NDArray[np.uint8]:
    """Return the (size, size) mask of a window: 1 where a pixel's centre lies within a crater's circle.

    Args:
        craters: (M, 3), x, y and diameter in pixels of the tile.
    """
    centres = (np.arange(size) + 0.5) * window.side / size
    across = window.x + centres
    down = window.y + centres
    mask = np.zeros((size, size), np.uint8)
    for x, y, diameter in craters:
        mask |= ((across[None, :] - x) ** 2 + (down[:, None] - y) ** 2 <= (diameter / 2) ** 2).astype(np.uint8)
    return mask


def cut(
    tile: npt.NDArray[np.uint8], craters: npt.NDArray[np.float64], windows: list[Window], *, size: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return the images and masks of the windows, each uint8 (N, size, size); every image is stretched to 0 to 255."""
    images = np.stack([resample(tile[w.y : w.y + w.side, w.x : w.x + w.side], size) for w in windows])
    masks = np.stack([crater_mask(craters, window, size) for window in windows])
    return stretch(images), masks


def overlap_groups(windows: list[Window]) -> npt.NDArray[np.int64]:
    """Return a group number for each window: windows that share a pixel, directly or through others, share a group."""
    x, y, side = (np.array([getattr(window, field) for window in windows]) for field in ("x", "y", "side"))
    beside = (x[:, None] < (x + side)[None, :]) & (x[None, :] < (x + side)[:, None])
    level = (y[:, None] < (y + side)[None, :]) & (y[None, :] < (y + side)[:, None])
    groups: npt.NDArray[np.int32]
    _, groups = connected_components(coo_array(beside & level), directed=False)
    return groups.astype(np.int64)
