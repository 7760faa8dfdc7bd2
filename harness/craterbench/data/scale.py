"""From grey values to [0, 1]: one scale for a whole data set, decided once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from craterbench.plugin import UserError

__all__ = ["Scale", "ScaleName", "Stack", "decide_scale", "name_of"]

#: How grey values become [0, 1]: ``auto`` finds out which of the others it is, but for ``minmax``, or refuses.
ScaleName = Literal["auto", "unit", "byte", "uint16", "minmax"]

#: The grey value that is 1 in each scale that starts at 0.
_TOPS = {"unit": 1.0, "byte": 255.0, "uint16": 65535.0}

#: Fractions that reach more than 1 and no more than this may be of 0 to 1 and a little over, or dark ones of 0 to 255.
_DOUBTFUL = 10

#: Fractions in an image that reaches no more than this are of 0 to 1, resampled at worst, where others go to 255.
_UNIT = 2


#: What ``str`` makes of a scale.
_TOLD = re.compile(r"scale (\w+): (\S+) to (\S+) became 0 to 1")


class Stack(NamedTuple):
    """Images of one part, (N, H, W, 1), with what to call them all and each of them in an error."""

    what: str
    images: npt.NDArray[np.generic]
    names: Sequence[str] | None = None


@dataclass(frozen=True)
class Scale:
    """What becomes 0, and what becomes 1."""

    name: str
    low: float
    high: float

    def __str__(self) -> str:
        return f"scale {self.name}: {self.low:.12g} to {self.high:.12g} became 0 to 1"

    @classmethod
    def parse(cls, text: str) -> Scale | None:
        """Return the scale that a text such as a note of a record tells, or ``None`` if it tells of none."""
        found = _TOLD.fullmatch(text)
        return None if found is None else cls(found[1], float(found[2]), float(found[3]))

    def apply(self, images: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Return the images as float32, scaled."""
        if self.name != "minmax":
            grey = images.astype(np.float32)
            grey /= np.float32(self.high)
            return grey
        grey = np.empty(images.shape, np.float32)
        for row, image in enumerate(images):  # in float64, which large whole numbers need, but not all at once
            grey[row] = (image.astype(np.float64) - self.low) / (self.high - self.low)
        return grey


class _Extremes(NamedTuple):
    """The lowest and the highest value of one image, and what to call it."""

    low: float
    high: float
    name: str
    image: npt.NDArray[np.generic]


def decide_scale(stacks: Sequence[Stack], scale: ScaleName) -> Scale:
    """Return the one scale of all the images.

    Raises:
        UserError: they hold NaN or infinity, are outside the scale that is asked for, or none or several fit.
    """
    found = [each for stack in stacks for each in _extremes(stack)]
    lowest, highest = min(found, key=lambda each: each.low), max(found, key=lambda each: each.high)
    low, high, what = lowest.low, highest.high, stacks[0].what
    if scale == "minmax":
        if low == high:
            raise UserError(f"{what} all have the grey value {low:g}; give images that show something")
        return Scale(scale, low, high)
    if scale == "auto":
        scale = _guess(found, what, lowest, highest)
    top = _TOPS[scale]
    if low < 0 or high > top:
        worst = lowest if low < 0 else highest
        raise UserError(
            f"{what} range from {low:g} to {high:g}, first in {worst.name}, which is outside 0 to {top:g} "
            f"(scale {scale}); set another dataset.scale: {', '.join(_TOPS)} or minmax"
        )
    return Scale(scale, 0.0, top)


def name_of(names: Sequence[str] | None, row: int) -> str:
    """Return what to call an image in a message."""
    return f"image {row}" if names is None else names[row]


def _extremes(stack: Stack) -> list[_Extremes]:
    lows, highs = (np.array([by(image) for image in stack.images]) for by in (np.min, np.max))
    finite = np.isfinite(lows) & np.isfinite(highs)  # NaN is both the least and the greatest to NumPy
    if not finite.all():
        first = int(np.argmin(finite))
        raise UserError(
            f"{stack.what} hold NaN or infinity, first in {name_of(stack.names, first)}; fill or leave out such pixels"
        )
    return [
        _Extremes(float(low), float(high), name_of(stack.names, row), stack.images[row])
        for row, (low, high) in enumerate(zip(lows, highs, strict=True))
    ]


def _guess(found: list[_Extremes], what: str, lowest: _Extremes, highest: _Extremes) -> ScaleName:
    """Return the scale that all images fit.

    Raises:
        UserError: they fit none, or it cannot be told which.
    """
    high = highest.high
    if lowest.low < 0 or (high > 255 and highest.image.dtype != np.uint16):
        worst = lowest if lowest.low < 0 else highest
        more = ", uint16 for 0 to 65535" if lowest.low >= 0 and high <= _TOPS["uint16"] else ""
        raise UserError(
            f"{what} range from {lowest.low:g} to {high:g}, first in {worst.name}; give grey values 0 to 255 or 0 to "
            f"1, or set dataset.scale: minmax for the lowest to the highest of all images{more}"
        )
    if highest.image.dtype.kind == "f" and 1 < high <= _DOUBTFUL and (high <= _UNIT or any(map(_has_fractions, found))):
        raise UserError(
            f"{what} reach {high!r} in {highest.name}: 0 to 1 and a little over, or dark ones of 0 to 255? clip or "
            "scale them, or set dataset.scale=byte or minmax"
        )
    scale: ScaleName = "unit" if high <= 1 else "byte" if high <= 255 else "uint16"
    other = next((each for each in found if _is_of_less(each, scale)), None)
    if other is not None:
        raise UserError(
            f"{what} mix scales: {other.name} reaches {other.high:.3g}, {highest.name} reaches {high:.4g}; bring them "
            f"all to one, or say with dataset.scale={scale} that the former are so dark"
        )
    return scale


def _is_of_less(each: _Extremes, scale: ScaleName) -> bool:
    """Whether an image is of a scale that ends lower: of fractions below that of bytes, or of bytes below 16 bits."""
    if scale == "byte":
        return each.high <= _UNIT and _has_fractions(each)
    return scale == "uint16" and each.high <= _TOPS["byte"] and each.low < each.high


def _has_fractions(each: _Extremes) -> bool:
    return each.image.dtype.kind == "f" and bool((each.image % 1 != 0).any())
