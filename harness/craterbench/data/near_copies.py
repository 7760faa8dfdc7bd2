"""Near copies: images that show what another shows, shifted by a little, mirrored, turned or with other grey values.

Candidates are found by a perceptual hash, and the correlation of the pixels decides. The hash is made of the amplitudes
of the lowest frequencies: they stay as they are where an image is shifted, and change places where it is turned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["CORRELATION", "NearCopy", "find_near_copies"]

#: From which correlation, at the best shift, of all their pixels and of two thirds of their blocks, two images are
#: copies of each other. Different places of one surface under one sun, as in mars-hrsc, come to 0.63 at the most.
CORRELATION = 0.8

#: The longer side of what is compared, in pixels; larger images are made as small.
_SIDE = 64

#: Shifts are tried up to this share of the shorter side.
_SHIFT = 1 / 8

#: The frequencies of the hash, in periods over the image.
_FREQUENCIES = 8

#: With how many others an image is compared: those whose hashes are the likest.
_CANDIDATES = 4

#: Images whose hashes are compared with all others at once, so that memory stays small.
_BLOCK = 256

#: (name, mirrored, quarter turns), in pairs that are half a turn apart, which amplitudes cannot tell from each other.
_SYMMETRIES: tuple[tuple[tuple[str, bool, int], ...], ...] = (
    (("", False, 0), ("turned by 180 degrees", False, 2)),
    (("mirrored", True, 0), ("mirrored", True, 2)),
    (("turned by 90 degrees", False, 1), ("turned by 90 degrees", False, 3)),
    (("mirrored and turned by 90 degrees", True, 1), ("mirrored and turned by 90 degrees", True, 3)),
)


@dataclass(frozen=True)
class NearCopy:
    """An image that shows what another shows.

    Attributes:
        row: of the image.
        of: row of the other.
        how: what was done to it, such as ``mirrored, shifted by 2 pixels``; empty where only grey values differ.
        correlation: of the two, at the best shift.
    """

    row: int
    of: int
    how: str
    correlation: float


def find_near_copies(scored: npt.NDArray[np.generic], seen: npt.NDArray[np.generic] | None = None) -> list[NearCopy]:
    """Return for each image that is a near copy of a seen one of which: the likest.

    What is not found: images that were turned by other angles than 90, 180 and 270 degrees or enlarged, by more than
    about 2 degrees or 5 %, those that are shifted by more than an eighth of their side, and images under 16 pixels.

    Args:
        scored: (N, H, W, 1), of any numeric type.
        seen: (M, H, W, 1); without it each of the scored images is compared with those before it.
    """
    if min(scored.shape[1:3]) < 2 * _FREQUENCIES:
        return []  # so few pixels are alike by chance
    images = _details(scored)
    others = images if seen is None else _details(seen)
    reduction = scored.shape[1] / images.shape[1]
    found: dict[int, NearCopy] = {}
    for row, of, symmetries in _candidates(images, others, before=seen is None):
        for name, mirrored, turns in symmetries:
            turned = np.rot90(images[row][:, ::-1] if mirrored else images[row], turns)
            correlation, shift = _correlation(turned, others[of])
            if correlation >= max(CORRELATION, found[row].correlation if row in found else 0.0):
                shifted = f"shifted by {shift * reduction:.0f} pixels" if shift else ""
                found[row] = NearCopy(row, of, ", ".join(filter(None, (name, shifted))), correlation)
    return [found[row] for row in sorted(found)]


def _details(images: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Return (N, h, w), float32: small, without what changes slowly over the image, nor noise of single pixels."""
    height, width = images.shape[1:3]
    scale = min(1.0, _SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    reduced = np.empty((len(images), size[1], size[0]), np.float32)
    for row, image in enumerate(images):
        small = cv2.resize(np.asarray(image[..., 0], np.float32), size, interpolation=cv2.INTER_AREA)
        reduced[row] = cv2.GaussianBlur(small, (0, 0), 0.7) - cv2.GaussianBlur(small, (0, 0), 2.0)
    return reduced


def _candidates(
    images: npt.NDArray[np.float32], others: npt.NDArray[np.float32], *, before: bool
) -> Iterator[tuple[int, int, tuple[tuple[str, bool, int], ...]]]:
    """Yield pairs of rows whose hashes are alike, with the symmetries under which they are."""
    hashes, other_hashes = _hashes(images), _hashes(others)
    usual = np.mean([turned.mean(axis=0) for turned in _turned(other_hashes)], axis=0)
    symmetries = _SYMMETRIES if images.shape[1] == images.shape[2] else _SYMMETRIES[:2]
    known = _directions(other_hashes - usual)
    for start in range(0, len(hashes), _BLOCK):
        block = hashes[start : start + _BLOCK] - usual
        alike = np.stack([_directions(turned) @ known.T for turned in _turned(block)[: len(symmetries)]], axis=1)
        if before:
            later = np.arange(len(others)) >= np.arange(start, start + len(block))[:, np.newaxis]
            alike[np.broadcast_to(later[:, np.newaxis], alike.shape)] = -np.inf
        flat = alike.reshape(len(block), -1)
        likest = np.argpartition(-flat, min(_CANDIDATES, flat.shape[1] - 1), axis=1)[:, :_CANDIDATES]
        for offset, position in np.ndindex(likest.shape):
            place = likest[offset, position]
            if np.isfinite(flat[offset, place]):
                yield start + offset, int(place % len(others)), symmetries[place // len(others)]


def _hashes(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return (N, 17, 17): the logarithms of the amplitudes at the lowest frequencies, from negative to positive."""
    frequencies = np.arange(-_FREQUENCIES, _FREQUENCIES + 1)
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in images.shape[1:])).astype(np.float32)
    hashes = np.empty((len(images), len(frequencies), len(frequencies)), np.float32)
    for row, image in enumerate(images):
        amplitudes = np.abs(np.fft.fft2(image * window))[frequencies[:, np.newaxis], frequencies]
        hashes[row] = np.log(amplitudes + 1e-3 * amplitudes.mean() + np.finfo(np.float32).tiny)
    return hashes


def _turned(hashes: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
    """Return hashes as those of images mirrored, turned, and both, in the order of ``_SYMMETRIES``."""
    mirrored = hashes[..., ::-1]
    return hashes, mirrored, np.rot90(hashes, 1, (1, 2)), np.rot90(mirrored, 1, (1, 2))


def _directions(hashes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return (N, 289), each of length 1, so that products are cosines."""
    flat = hashes.reshape(len(hashes), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    directions: npt.NDArray[np.float32] = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    return directions


def _correlation(image: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> tuple[float, int]:
    """Return how alike an image and another are at the best shift, and that shift.

    They are cut into nine blocks, and the third of them that is least alike says how alike the images are: else a
    strong edge, such as that of a shadow or of what the camera has seen, would decide alone.
    """
    margin = int(min(image.shape) * _SHIFT)
    height, width = (side - 2 * margin for side in image.shape)
    middle = np.ascontiguousarray(image[margin:-margin, margin:-margin])
    correlations = cv2.matchTemplate(other, middle, cv2.TM_CCOEFF_NORMED)
    top, left = np.unravel_index(np.argmax(correlations), correlations.shape)
    if not correlations[top, left] >= CORRELATION:
        return 0.0, 0
    beside = other[top : top + height, left : left + width]
    blocks = (np.ix_(rows, columns) for rows in _thirds(height) for columns in _thirds(width))
    flat = 0.01 * float(middle.std())
    alike = [
        float(np.corrcoef(middle[block].ravel(), beside[block].ravel())[0, 1])
        for block in blocks
        if np.median(np.abs(middle[block])) > flat and np.ptp(beside[block]) > 0
    ]
    if len(alike) < 5:
        return 0.0, 0  # so little to see is alike by chance
    return sorted(alike)[(len(alike) - 1) // 3], int(max(abs(top - margin), abs(left - margin)))


def _thirds(side: int) -> list[npt.NDArray[np.intp]]:
    return np.array_split(np.arange(side), 3)
