"""Which windows of several tiles show the same ground of a body."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from craterbench.data.chips import Window
from craterbench.data.georeference import Georeference

__all__ = ["Ground"]

Floats = npt.NDArray[np.float64]


class Ground:
    """Which windows of several tiles share ground, by the georeferences of the tiles.

    A window is the box, along three axes of the body, around nine of its points; boxes may overlap a little where
    windows lie side by side.
    """

    def __init__(self, tiles: Sequence[Georeference | None], windows: Sequence[tuple[int, Window]]) -> None:
        """Take the georeferences of tiles, and windows, each with the number of its tile."""
        self._tiles = tiles
        self._axes = _axes(next((each for each in self._tiles if each is not None), None))
        self._of = [(tile, *self._box(tile, window)) for tile, window in windows]

    def shared(self, tile: int, window: Window) -> bool:
        """Return whether a window shares ground with those of other tiles."""
        if all(other == tile for other, _, _ in self._of):
            return False
        low, high = self._box(tile, window)
        return any(
            other != tile and bool((low < top).all() and (bottom < high).all()) for other, bottom, top in self._of
        )

    def pairs(self) -> npt.NDArray[np.bool_]:
        """Return (N, N), which windows of different tiles share ground."""
        tiles = np.array([tile for tile, _, _ in self._of])
        low, high = (np.array([each[place] for each in self._of]) for place in (1, 2))
        found: npt.NDArray[np.bool_] = tiles[:, None] != tiles[None, :]
        for axis in range(3):
            found &= low[:, None, axis] < high[None, :, axis]
            found &= low[None, :, axis] < high[:, None, axis]
        return found

    def _box(self, tile: int, window: Window) -> tuple[Floats, Floats]:
        georeference = self._tiles[tile]
        if georeference is None:
            return np.full(3, np.nan), np.full(3, np.nan)  # overlaps nothing
        shares = np.array([0.0, 0.5, 1.0]) * window.side
        across, down = np.meshgrid(window.x + shares, window.y + shares)
        points = georeference.on_body(across, down).reshape(-1, 3) @ self._axes
        grain = 1e-3 * georeference.kilometres_per_pixel(across, down).min()
        return points.min(axis=0) + grain, points.max(axis=0) - grain


def _axes(georeference: Georeference | None) -> Floats:
    """Return axes, (3, 3), of which two lie in the ground at the middle of a tile, eastwards and northwards."""
    if georeference is None:
        return np.eye(3)
    lon, lat = np.radians(georeference.to_lonlat(georeference.width / 2, georeference.height / 2))
    east = [-np.sin(lon), np.cos(lon), 0.0]
    up = [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
    return np.stack([east, np.cross(up, east), up], axis=1)
