"""Masks of annotated shapes; all coordinates are in pixels, with (0, 0) at the upper left corner of the first pixel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from craterbench.plugin import UserError

__all__ = ["Mask", "fill_ellipse", "fill_polygon", "fill_segmentation"]

#: bool (H, W).
Mask = npt.NDArray[np.bool_]


def fill_ellipse(x: float, y: float, width: float, height: float, shape: tuple[int, ...]) -> Mask:
    """Return which pixels have their centre within an ellipse, given by its centre and its two diameters."""
    across = (np.arange(shape[1]) + 0.5 - x) / (width / 2)
    down = (np.arange(shape[0]) + 0.5 - y) / (height / 2)
    inside: Mask = across[None, :] ** 2 + down[:, None] ** 2 <= 1
    return inside


def fill_polygon(corners: npt.NDArray[np.float64], shape: tuple[int, ...]) -> Mask:
    """Return which pixels have their centre within a polygon, (M, 2), x and y of each corner."""
    from matplotlib.path import Path  # a third of a second that bench list need not pay

    down, across = np.mgrid[: shape[0], : shape[1]] + 0.5
    centres = np.stack([across.ravel(), down.ravel()], axis=1)
    inside: Mask = Path(corners).contains_points(centres).reshape(shape)
    return inside


def fill_segmentation(segmentation: Any, shape: tuple[int, ...]) -> Mask:
    """Return the mask of a COCO segmentation, polygons or run lengths, as pycocotools has it.

    Raises:
        ValueError: it is none.
        UserError: pycocotools is not installed.
    """
    try:
        from pycocotools import mask as coco_mask
    except ImportError:
        raise UserError(
            "COCO annotations are read by pycocotools, which is not installed; pip install 'craterbench[coco]'"
        ) from None
    height, width = shape
    if isinstance(segmentation, list):
        for polygon in segmentation:
            _check_polygon(polygon, max(shape))
        runs = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation, dict) and segmentation.get("size") == [height, width]:
        counts = segmentation.get("counts")
        if isinstance(counts, str):
            counts = _counts(counts)
        if not isinstance(counts, list):
            raise ValueError("has run lengths without counts; export it again")
        if not all(isinstance(count, int) and count >= 0 for count in counts) or sum(counts) != height * width:
            raise ValueError(f"has run lengths that do not add up to {height}x{width} pixels; export it again")
        runs = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    else:
        size = segmentation.get("size") if isinstance(segmentation, dict) else None
        raise ValueError(f"has run lengths of size {size}, and the image is {height}x{width}; export it again")
    inside: Mask = coco_mask.decode(runs).astype(bool)
    return inside


def _counts(text: str) -> list[int]:
    """Return the run lengths in a text of COCO's, as its ``rleFrString`` does.

    They have to be checked before pycocotools sees them: it writes beyond its memory where they are damaged.

    Raises:
        ValueError: the text is cut short, or holds other characters.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError("has run lengths that are damaged; export it again")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:  # the sign
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("has run lengths that are cut short; export it again")
    return counts


def _check_polygon(polygon: Any, side: int) -> None:
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        count = len(polygon) if isinstance(polygon, list) else "no"
        raise ValueError(f"has a polygon of {count} numbers; give x and y of three corners or more")
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in polygon):
        raise ValueError("has a polygon that holds something else than numbers; export it again")
    farthest = max(polygon, key=abs)
    if abs(farthest) > 10 * side:  # pycocotools walks along every edge
        raise ValueError(f"has a polygon with a corner at {farthest:g}, far outside the image; annotate it again")
