"""An image of any size, predicted in overlapping windows of the size that a network was trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Windows", "predict_bands", "predict_windows"]

Floats = npt.NDArray[np.float32]

#: How many windows are predicted at once.
_BATCH = 512


def _noop(done: int) -> None:
    pass


@dataclass(frozen=True)
class Windows:
    """How windows are laid over an image; neighbours share a third of their side.

    Attributes:
        side: of a window, in pixels.
    """

    side: int

    def starts(self, length: int) -> list[int]:
        """Return where windows start along a side of an image; the last one ends where the image does."""
        step = max(1, 2 * self.side // 3)
        return [*range(0, length - self.side, step), max(length - self.side, 0)]

    def number(self, shape: tuple[int, int]) -> int:
        """Return how many windows an image of a shape (H, W) takes."""
        return len(self.starts(shape[0])) * len(self.starts(shape[1]))


def predict_windows(
    images: Floats, predict: Callable[[Floats], Floats], windows: Windows, *, advance: Callable[[int], None] = _noop
) -> Floats:
    """Return the probabilities of images that fit into a window, both float32 (N, H, W).

    Smaller ones are padded by reflection. Where nothing is known, which is NaN, the probability is 0.

    Args:
        predict: returns the probabilities of windows, both float32 (N, side, side, 1).
        advance: called with the number of windows that have been predicted since.
    """
    height, width = images.shape[1:]
    (above, below), (left, right) = (_halves(windows.side - length) for length in (height, width))
    padding = ((0, 0), (above, below), (left, right))
    found = np.empty(images.shape, np.float32)
    for first in range(0, len(images), _BATCH):
        batch = slice(first, first + _BATCH)
        shown = np.pad(images[batch], padding, mode="reflect")
        probabilities = predict(np.nan_to_num(shown)[..., np.newaxis])[..., 0]
        found[batch] = probabilities[:, above : above + height, left : left + width]
        advance(len(shown))
    return np.where(np.isnan(images), np.float32(0), found)


def predict_bands(
    shape: tuple[int, int],
    read: Callable[[int, int], Floats],
    predict: Callable[[Floats], Floats],
    windows: Windows,
    *,
    advance: Callable[[int], None] = _noop,
) -> Iterator[Floats]:
    """Yield the probabilities of an image from top to bottom, a band of rows at a time, each float32 (rows, W).

    Where windows overlap, the mean of what they say is taken, weighted by how far a pixel is from the border of each: a
    network knows least of what is at the border. No more than a band as high as a window is held. An image that is
    smaller than a window is padded by reflection.

    Args:
        shape: (H, W) of the image.
        read: returns the rows from one number up to another, float32 (rows, W) in [0, 1]; NaN where nothing is known.
        predict: returns the probabilities of windows, both float32 (N, side, side, 1).
        advance: called with the number of windows that have been predicted since.
    """
    height, width = shape
    side = windows.side
    rows, columns = windows.starts(height), windows.starts(width)
    (above, below), (left, right) = padding = [_halves(side - length) for length in shape]
    slope = np.minimum(np.arange(1, side + 1), np.arange(side, 0, -1)).astype(np.float32) / np.float32(side)
    weight = np.outer(slope, slope)
    total, weights = (np.zeros((side, max(width, side)), np.float32) for _ in range(2))
    for top, following in zip(rows, [*rows[1:], None], strict=True):
        band = read(top, min(top + side, height))
        padded = np.pad(band, padding, mode="reflect")
        shown = np.stack([padded[:, column : column + side] for column in columns])
        found = predict_windows(shown, predict, windows, advance=advance)
        for column, probabilities in zip(columns, found, strict=True):
            total[:, column : column + side] += weight * probabilities
            weights[:, column : column + side] += weight
        done = side if following is None else following - top
        ready = total[above : done - below, left : total.shape[1] - right]
        ready = ready / weights[above : done - below, left : total.shape[1] - right]
        yield np.where(np.isnan(band[: len(ready)]), np.float32(0), np.minimum(ready, 1))  # which rounding exceeds
        for kept in (total, weights):
            kept[: side - done] = kept[done:]
            kept[side - done :] = 0


def _halves(missing: int) -> tuple[int, int]:
    """Return what to add before and after."""
    return max(missing, 0) // 2, -(-max(missing, 0) // 2)
