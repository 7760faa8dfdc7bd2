"""Whether the rims of craters are where a catalogue has them, or twice as far out: radii taken for diameters."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from craterbench.data.raster import Raster

__all__ = ["doubt_diameters"]

#: Craters narrower than this have no rim to speak of; wider ones cost much to read.
_NARROWEST, _WIDEST = 8.0, 200.0

_MOST = 200  # craters that are looked at
_FEWEST = 10

#: By how much stronger edges must be on circles of two diameters, or of half a one, than on those of one. On two tiles
#: of HRSC they are 0.4 and 0.5 times as strong at two diameters, and 1.3 times where the catalogue has radii; at half a
#: diameter 0.7 and 0.9 times, and 1.8 times where it has what is twice too wide.
_STRONGER_OUTSIDE, _STRONGER_INSIDE = 1.15, 1.4


def doubt_diameters(raster: Raster, craters: npt.NDArray[np.float64]) -> str | None:
    """Return what seems to be wrong with the diameters of a catalogue, or ``None``.

    The strength of edges (the gradient of grey values smoothed by a pixel) is averaged over circles of half, one and
    two times the diameter, each crater relative to what is around it.

    Args:
        craters: (M, 3), x, y and diameter in pixels.
    """
    strengths = [found for crater in _inside(raster, craters) if (found := _edges(raster, *crater)) is not None]
    if len(strengths) < _FEWEST:
        return None
    half, one, two = np.mean(strengths, axis=0)
    if two > _STRONGER_OUTSIDE * one:
        return (
            f"rims seem to lie twice as far out as the catalogue says, for edges are {two / one:.1f} times as strong "
            "there: are its diameters radii? name the columns x, y and radius"
        )
    if half > _STRONGER_INSIDE * one:
        return (
            f"rims seem to lie half as far out as the catalogue says, for edges are {half / one:.1f} times as strong "
            "there: are its radii diameters?"
        )
    return None


def _inside(raster: Raster, craters: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return craters that have room around them, from all over the catalogue."""
    x, y, diameter = craters.T
    reach = diameter + 2
    room = (x >= reach) & (y >= reach) & (x + reach <= raster.width) & (y + reach <= raster.height)
    fit = craters[room & (diameter >= _NARROWEST) & (diameter <= _WIDEST)]
    chosen: npt.NDArray[np.float64] = fit[:: -(-len(fit) // _MOST) or 1]
    return chosen


def _edges(raster: Raster, x: float, y: float, diameter: float) -> npt.NDArray[np.float64] | None:
    """Return how strong edges are on circles of half, one and two diameters, relative to what is around."""
    from scipy.ndimage import gaussian_gradient_magnitude, map_coordinates

    reach = diameter + 2
    left, top = math.floor(x - reach), math.floor(y - reach)
    width, height = min(math.ceil(x + reach), raster.width) - left, min(math.ceil(y + reach), raster.height) - top
    pixels = raster.read(left, top, width, height)
    if raster.missing(pixels).any() or pixels.min() == pixels.max():
        return None
    gradient = gaussian_gradient_magnitude(pixels.astype(np.float64), 1.0)
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    found = []
    for radius in (diameter / 4, diameter / 2, diameter):
        # A pixel's value is that at its centre.
        across, down = x - left + radius * np.cos(angle) - 0.5, y - top + radius * np.sin(angle) - 0.5
        found.append(map_coordinates(gradient, [down, across], order=1, mode="nearest").mean() / gradient.mean())
    return np.array(found)
