"""Leakage: images that are scored and were trained on too."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from craterbench.data.dataset import Subset
from craterbench.data.near_copies import find_near_copies

__all__ = ["copied", "find_leaks", "has_groups", "near_copied"]


def find_leaks(
    scored: Subset,
    seen: Subset,
    *,
    names: tuple[str, str],
    derived: npt.NDArray[np.bool_] | None = None,
    share_groups: bool = True,
) -> list[str]:
    """Return a warning for each way in which images that are scored lead to images that were seen before.

    Args:
        names: what to call the scored images and the seen ones.
        derived: (N,), which scored images are known to be made, by augmentation, of an image that was seen or that a
            seen one is made of. A warped copy cannot be recognised by its content, so whoever made it has to say.
        share_groups: whether the two number their groups alike, so that a group can be found in both.
    """
    copies = copied(scored, seen)
    if derived is not None:
        copies |= derived
    near = near_copied(scored, seen, ~copies)
    found = [(copies, "are copies of"), (near, "are slightly changed, shifted, mirrored or turned copies of")]
    if share_groups:
        found.append((np.isin(scored.groups, seen.groups) & ~copies & ~near, "share a group with"))
    return [
        f"leak: {rows.sum()} of {len(scored)} {names[0]} images {how} {names[1]} images"
        for rows, how in found
        if rows.any()
    ]


def has_groups(part: Subset) -> bool:
    """Whether any group has several images, so that groups say more than the number of the image."""
    return len(np.unique(part.groups)) < len(part)


def copied(scored: Subset, seen: Subset) -> npt.NDArray[np.bool_]:
    """Return (N,), which scored images equal a seen one to the last bit; an image of one grey value equals none."""
    known = {_digest(image) for image in seen.images}
    return np.array([np.ptp(image) > 0 and _digest(image) in known for image in scored.images], np.bool_)


def near_copied(scored: Subset, seen: Subset, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return (N,), which of the scored images in some rows, (N,), are near copies of a seen one."""
    near = np.zeros(len(scored), np.bool_)
    wanted = np.flatnonzero(rows)
    if len(wanted):
        images = scored.images if rows.all() else scored.images[wanted]  # large data are not to be held twice
        copies = find_near_copies(images, seen.images)
        near[wanted[[copy.row for copy in copies]]] = True
    return near


def _digest(image: npt.NDArray[np.float32]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data).digest()
