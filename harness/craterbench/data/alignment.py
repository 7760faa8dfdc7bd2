"""Whether masks lie where the images have edges: moved by some pixels, turned, or those of other images."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from craterbench.data.chips import Window, crater_mask
from craterbench.data.dataset import IGNORED, Subset

__all__ = ["find_misalignment"]

#: The furthest that masks are moved to see whether they fit better, in pixels each way.
_SHIFT = 5

#: The shortest move that is news: circles of a catalogue are off by a pixel now and then.
_SHORTEST = 2

#: Of fewer images nothing can be said; of more pixels than that it is said no more surely.
_FEWEST, _PIXELS = 20, 2**22

#: What is called better: by how many standard errors of the mean over images, at most which share of it the masks reach
#: as they are, and from which correlation on, for those of less than that are of nothing.
_ERRORS, _SHARE, _LEAST = 5.0, 0.85, 0.1

#: From how many standard errors on masks fit their own images better than they fit others.
_OWN = 3.0

_Array = npt.NDArray[np.float32]


def find_misalignment(part: Subset) -> list[str]:
    """Return a warning if masks do not lie where their images have edges, by the correlation of their outlines.

    It is a verdict on all of the images, and needs 20 that have a crater and some background. Masks that are moved by
    one pixel and single masks of other images are not found.
    """
    rows = np.flatnonzero((part.masks == 1).any(axis=(1, 2, 3)) & (part.masks == 0).any(axis=(1, 2, 3)))
    if len(rows) < _FEWEST or min(part.images.shape[1:3]) < 4 * _SHIFT:
        return []
    most = max(2 * _FEWEST, _PIXELS // part.masks[0].size)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int))]
    edges = np.stack([_edges(part.images[row, ..., 0]) for row in rows])
    outlines = np.stack([_outline(part.masks[row, ..., 0]) for row in rows])
    as_they_are = _fit(outlines, edges)
    kinds = [[(how, scores, as_they_are) for how, scores in _turned(outlines, edges)] + _moved(outlines, edges)]
    if part.circles is not None:
        resized = _resized([part.circles[row] for row in rows], edges)
        kinds.append([(how, scores, as_they_are) for how, scores in resized])
    warnings = []
    for otherwise in kinds:
        better = [
            (float(scores.mean()), float(before.mean()), how)
            for how, scores, before in otherwise
            if _is_better(scores, before)
        ]
        if better:
            score, before, how = max(better)
            figures = f"correlation with the edges of the images {score:.2f} instead of {before:.2f}"
            warnings.append(f"alignment: the masks would fit the images better {how} ({figures})")
    if warnings:
        return warnings
    others = _fit_of_others(outlines, edges)
    own = as_they_are - others
    errors = own.mean() / max(float(own.std()) / np.sqrt(len(own)), 1e-12)
    if errors < _OWN and not _are_alike(part.masks[rows]):
        return [
            "alignment: the masks fit their own images no better than other images "
            f"(correlation with the edges {as_they_are.mean():.2f} and {others.mean():.2f}); are they in another order?"
        ]
    return []


def _turned(outlines: _Array, edges: _Array) -> list[tuple[str, _Array]]:
    """Return how masks might be meant to be turned or ordered, and how well each fits then."""
    found = [("mirrored left to right", outlines[:, :, ::-1]), ("mirrored upside down", outlines[:, ::-1])]
    found.append(("turned by 180 degrees", outlines[:, ::-1, ::-1]))
    if outlines.shape[1] == outlines.shape[2]:
        swapped = outlines.swapaxes(1, 2)
        found += [
            ("with rows and columns swapped", swapped),
            ("with both axes swapped and turned", swapped[:, ::-1, ::-1]),
        ]
        found += [("turned by 90 degrees", swapped[:, ::-1]), ("turned by 270 degrees", swapped[:, :, ::-1])]
    for step in (1, 2, 3):
        found += [(f"on the image {step} before", np.roll(outlines, -step, 0))]
        found += [(f"on the image {step} after", np.roll(outlines, step, 0))]
    return [(how, _fit(turned, edges)) for how, turned in found]


def _resized(circles: list[npt.NDArray[np.float64]], edges: _Array) -> list[tuple[str, _Array]]:
    """Return how well masks fit whose circles are twice or half as wide, as if diameter and radius were mistaken."""
    found = []
    height, width = edges.shape[1:]
    for factor, how in (
        (2.0, "with circles twice as wide, as if their diameters were radii"),
        (0.5, "with circles half as wide"),
    ):
        whole = Window(0, 0, max(height, width))
        masks = [crater_mask(of * (1, 1, factor), whole, whole.side)[:height, :width] for of in circles]
        found.append((how, _fit(np.stack([_outline(mask) for mask in masks]), edges)))
    return found


def _moved(outlines: _Array, edges: _Array) -> list[tuple[str, _Array, _Array]]:
    """Return the best way to move masks by some pixels, how well each fits then, and how well as it is.

    Nothing, if they are best as they are or next to that. The fit is that of the middles of the images.
    """
    inside = (slice(None), slice(_SHIFT, -_SHIFT), slice(_SHIFT, -_SHIFT))
    middles = np.ascontiguousarray(edges[inside])
    scores = np.stack(
        [cv2.matchTemplate(of, to, cv2.TM_CCOEFF_NORMED) for of, to in zip(outlines, middles, strict=True)]
    )
    scores = np.where(np.isfinite(scores), scores, 0).astype(np.float32)
    place = np.unravel_index(np.argmax(scores.mean(axis=0)), scores.shape[1:])
    down, right = (int(offset) - _SHIFT for offset in place)
    if max(abs(down), abs(right)) < _SHORTEST:
        return []
    upwards = f"{abs(down)} {'up' if down > 0 else 'down'}"
    sideways = f"{abs(right)} {'left' if right > 0 else 'right'}"
    return [(f"moved by {upwards} and {sideways}, in pixels", scores[:, place[0], place[1]], scores[:, _SHIFT, _SHIFT])]


def _is_better(scores: _Array, before: _Array) -> bool:
    gain = scores - before
    error = float(gain.std()) / np.sqrt(len(gain))
    better, best = gain.mean() > _ERRORS * error, scores.mean()
    return bool(better and best >= _LEAST and before.mean() < _SHARE * best)


def _edges(image: npt.NDArray[np.generic]) -> _Array:
    """Return the strength of the gradient at each pixel, (H, W)."""
    smooth = cv2.GaussianBlur(np.asarray(image, np.float32), (0, 0), 1.0)
    right, down = (cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=3) for order in ((1, 0), (0, 1)))
    strength: _Array = np.hypot(right, down)
    return strength


def _outline(mask: npt.NDArray[np.uint8]) -> _Array:
    """Return 1 at the pixels of a mask beside which it changes, (H, W); an ignored pixel has no outline."""
    kernel = np.ones((3, 3), np.uint8)
    crater = (mask == 1).astype(np.uint8)
    outline = cv2.dilate(crater, kernel) - cv2.erode(crater, kernel)
    outline[cv2.dilate((mask == IGNORED).astype(np.uint8), kernel) > 0] = 0
    return np.asarray(outline, np.float32)


def _fit(outlines: _Array, edges: _Array) -> _Array:
    """Return (N,), the correlation of each outline with the edges of its image."""
    fit: _Array = np.einsum("nk,nk->n", _normal(outlines), _normal(edges))
    return fit


def _fit_of_others(outlines: _Array, edges: _Array) -> _Array:
    """Return (N,), the mean correlation of the outlines of all other images with the edges of each."""
    of, to = _normal(outlines), _normal(edges)
    total = to @ of.sum(axis=0)
    others: _Array = (total - np.einsum("nk,nk->n", of, to)) / (len(of) - 1)
    return others


def _normal(fields: _Array) -> _Array:
    """Return (N, H * W), each with mean 0 and length 1."""
    flat = fields.reshape(len(fields), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    normal: _Array = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    return normal


def _are_alike(masks: npt.NDArray[np.uint8]) -> bool:
    """Whether masks of different images are so alike that none can be told from others."""
    crater = masks == 1
    beside = np.roll(crater, 1, axis=0)
    return bool((crater & beside).sum() > 0.5 * (crater | beside).sum())
