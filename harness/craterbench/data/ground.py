"""Which windows of several tiles show the same ground of a body."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from craterbench.data.chips import Window
from craterbench.data.georeference import Georeference

__all__ = ["Ground"]

Floats = npt.NDArray[np.float64]

#: By how much of a pixel a window is narrower than its box.
_GRAIN = 1e-3


class Ground:
    """Which windows of several tiles share ground, by the georeferences of the tiles.

    A window is the box, along three axes of the body, around nine of its points; where tiles are turned against each
    other boxes may overlap and their windows not.
    """

    def __init__(self, tiles: Sequence[Georeference | None], windows: Sequence[tuple[int, Window]]) -> None:
        """Take the georeferences of tiles, and windows, each with the number of its tile."""
        self._known = [number for number, tile in enumerate(tiles) if tile is not None]
        self._tiles = tiles
        self._axes = _axes(tiles[self._known[0]]) if self._known else np.eye(3)
        self._of = np.array([tile for tile, _ in windows], np.intp)
        self._boxes = np.full((len(windows), 2, 3), np.nan)  # overlaps nothing
        if len(self._known) > 1:
            for number in self._known:
                rows = [row for row, (tile, _) in enumerate(windows) if tile == number]
                self._boxes[rows] = self._around(number, [windows[row][1] for row in rows])

    def shared(self, tile: int, window: Window) -> bool:
        """Return whether a window shares ground with those of other tiles."""
        others = self._of != tile
        if tile not in self._known or not others.any():
            return False
        return bool(_overlap(self._around(tile, [window]), self._boxes[others]).any())

    def pairs(self) -> npt.NDArray[np.bool_]:
        """Return (N, N), which windows of different tiles share ground."""
        shared = _overlap(self._boxes, self._boxes)
        shared[self._of[:, None] == self._of[None, :]] = False
        return shared

    def _around(self, tile: int, windows: Sequence[Window]) -> Floats:
        """Return the boxes of windows, (N, 2, 3): least and greatest values along each axis, in kilometres."""
        georeference = self._tiles[tile]
        assert georeference is not None
        corner = np.array([(window.x, window.y) for window in windows], np.float64).reshape(-1, 2, 1, 1)
        side = np.array([window.side for window in windows], np.float64).reshape(-1, 1, 1)
        down, across = np.meshgrid([0.0, 0.5, 1.0], [0.0, 0.5, 1.0], indexing="ij")
        points = georeference.on_body(corner[:, 0] + across * side, corner[:, 1] + down * side) @ self._axes
        low, high = points.min(axis=(1, 2)), points.max(axis=(1, 2))
        width = (high - low).max(axis=1)
        # Side by side is not on top of each other, whatever the last digits of a projection say.
        grain = (width / side[:, 0, 0] * _GRAIN)[:, None]
        low, high = low + grain, high - grain
        # Upwards the boxes are as flat as the ground: only the far side of the body is apart.
        low[:, 2] -= width
        high[:, 2] += width
        return np.stack([low, high], axis=1)


def _overlap(one: Floats, other: Floats) -> npt.NDArray[np.bool_]:
    """Return (N, M), which boxes, (N, 2, 3) and (M, 2, 3), have something in common."""
    found = np.ones((len(one), len(other)), np.bool_)
    for axis in range(3):
        found &= one[:, None, 0, axis] < other[None, :, 1, axis]
        found &= other[None, :, 0, axis] < one[:, None, 1, axis]
    return found


def _axes(georeference: Georeference | None) -> Floats:
    """Return axes, (3, 3), of which two lie in the ground at the middle of a tile, eastwards and northwards."""
    assert georeference is not None
    lon, lat = np.radians(georeference.to_lonlat(georeference.width / 2, georeference.height / 2))
    east = [-np.sin(lon), np.cos(lon), 0.0]
    up = [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
    return np.stack([east, np.cross(up, east), up], axis=1)
