"""Images and masks of any numeric type, checked once where they enter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from craterbench.data.dataset import IGNORED, Dataset, Subset
from craterbench.data.scale import Scale, ScaleName, Stack, decide_scale, name_of
from craterbench.plugin import UserError

__all__ = ["Arrays", "make_dataset", "make_images", "make_subset"]

#: What stands for a crater in a mask that has one other value, 0.
_CRATER = (1, 255, 65535)


@dataclass(frozen=True)
class Arrays:
    """A part as it comes.

    Attributes:
        images: (N, H, W), (N, H, W, 1) or (N, 1, H, W), of any numeric type.
        masks: the same shape, 0 and one of 1, 255 and 65535.
        groups: (N,) integers, floats or texts; without them each image is a group of its own.
        names: what to call each image.
        circles: the craters of each image, float64 (M, 3): x, y and diameter in pixels of the image.
    """

    images: npt.NDArray[np.generic]
    masks: npt.NDArray[np.generic]
    groups: npt.NDArray[np.generic] | None = None
    names: tuple[str, ...] | None = None
    circles: tuple[npt.NDArray[np.float64], ...] | None = None


def make_dataset(
    train_val: Arrays,
    test: Arrays | None = None,
    *,
    source: str,
    scale: ScaleName = "auto",
    mask_threshold: float | None = None,
    ignore: int | None = None,
    notes: Sequence[str] = (),
    validation: npt.NDArray[np.bool_] | None = None,
) -> Dataset:
    """Check the arrays of all parts and return them as a data set on one scale, which is in its notes.

    Args:
        source: what to call the data in an error.
        scale: how grey values become [0, 1], decided over all parts.
        mask_threshold: the least value of a mask that is crater, for masks of more than two values.
        ignore: the value of a mask where nobody knows.
        notes: what else to say of the data.
        validation: bool (N,), which images of ``train_val`` validate, if the data say so.

    Raises:
        UserError: naming the source, what is wrong with it and what is wanted.
    """
    parts = {"": train_val} if test is None else {"": train_val, "test ": test}
    stacks = [
        Stack(f"{source}: {part}images", _cube(arrays.images, f"{source}: {part}images"), arrays.names)
        for part, arrays in parts.items()
    ]
    decided = decide_scale(stacks, scale)
    groups = _groups(list(parts.values()), source)
    made = [
        _subset(stack, arrays, numbers, decided, f"{source}: {part}masks", mask_threshold, ignore)
        for (part, arrays), stack, numbers in zip(parts.items(), stacks, groups, strict=True)
    ]
    said = [str(decided)]
    if mask_threshold is not None:
        said.append(f"masks: crater from {mask_threshold:g} on (mask_threshold)")
    if ignore is not None:
        left_out = sum(np.count_nonzero(part.masks == IGNORED) for part in made) / sum(part.masks.size for part in made)
        said.append(f"masks: {ignore} is ignored ({left_out:.1%} of the pixels)")
    named = dict(zip(("train_val", "test"), made, strict=False))
    return Dataset(
        made[0],
        made[1] if test is not None else None,
        notes=(*notes, *said),
        warnings=tuple(_doubts(named)),
        validation=validation,
    )


def make_subset(
    images: npt.NDArray[np.generic],
    masks: npt.NDArray[np.generic],
    groups: npt.NDArray[np.generic] | None = None,
    *,
    source: str,
    scale: ScaleName = "auto",
) -> Subset:
    """Check arrays of any numeric type and return them as a part, as ``make_dataset`` does.

    Raises:
        UserError: naming the source, what is wrong with it and what is wanted.
    """
    return make_dataset(Arrays(images, masks, groups), source=source, scale=scale).train_val


def make_images(
    images: npt.NDArray[np.generic], *, source: str, scale: ScaleName | Scale = "auto"
) -> npt.NDArray[np.float32]:
    """Check images as ``make_subset`` does, and return them as float32 (N, H, W, 1) in [0, 1].

    Args:
        scale: what becomes 0 and 1, or how that is decided from the images.

    Raises:
        UserError: naming the source and what is wrong with it.
    """
    cube = _cube(images, source)
    return (scale if isinstance(scale, Scale) else decide_scale([Stack(source, cube)], scale)).apply(cube)


def _cube(array: npt.NDArray[np.generic], what: str) -> npt.NDArray[np.generic]:
    """Return (N, H, W, 1)."""
    if array.dtype.kind not in "buif":
        raise UserError(f"{what} are of type {array.dtype}; give numbers")
    cube = array[..., np.newaxis] if array.ndim == 3 else array
    if cube.ndim == 4 and cube.shape[-1] != 1 and cube.shape[1] == 1:
        cube = np.moveaxis(cube, 1, -1)
    if cube.ndim != 4 or cube.shape[-1] != 1 or 0 in cube.shape:
        raise UserError(f"{what} have shape {array.shape}; give grey ones: (N, H, W), (N, H, W, 1) or (N, 1, H, W)")
    return cube


def _groups(parts: list[Arrays], source: str) -> list[npt.NDArray[np.int64]]:
    """Return the groups of each part as numbers, the same for the same group in all parts.

    Integers stay what they are. An image without a group gets a number that no other has.
    """
    given = {row: _checked_groups(part, source) for row, part in enumerate(parts) if part.groups is not None}
    if any(groups.dtype.kind not in "iu" for groups in given.values()):
        numbers = np.unique(np.concatenate(list(given.values())), return_inverse=True)[1]
        given = dict(zip(given, np.split(numbers, np.cumsum([len(groups) for groups in given.values()])), strict=False))
    free = max((int(groups.max()) + 1 for groups in given.values()), default=0)
    found = []
    for row, part in enumerate(parts):
        if row not in given:
            given[row] = np.arange(free, free + len(part.images))
            free += len(part.images)
        found.append(given[row].astype(np.int64))
    return found


def _checked_groups(part: Arrays, source: str) -> npt.NDArray[Any]:
    groups, number = np.asarray(part.groups), len(part.images)
    if groups.shape != (number,) or groups.dtype.kind not in "iufUS":
        raise UserError(
            f"{source}: groups are {groups.dtype} {groups.shape}; give a number or text for each of the {number} images"
        )
    if groups.dtype.kind == "f" and not np.isfinite(groups).all():
        raise UserError(f"{source}: groups hold NaN or infinity; give each image a group")
    return groups


def _subset(
    images: Stack,
    arrays: Arrays,
    groups: npt.NDArray[np.int64],
    scale: Scale,
    what: str,
    threshold: float | None,
    ignore: int | None,
) -> Subset:
    cube = _cube(arrays.masks, what)
    if len(images.images) != len(cube):
        raise UserError(f"{what}: {len(images.images)} images but {len(cube)} masks; give one mask for each image")
    if images.images.shape != cube.shape:
        size, other = ("x".join(map(str, each.shape[1:3])) for each in (cube, images.images))
        raise UserError(f"{what} are {size}, images {other}; give one size")
    names = None if arrays.names is None else [f"the mask of {name}" for name in arrays.names]
    masks = _binary(Stack(what, cube, names), threshold, ignore)
    if not (masks == 1).any():
        at = "" if threshold is None else f" at mask_threshold {threshold:g}; the highest value is {np.max(cube):g}"
        at += "" if ignore is None else f" where {ignore} is ignored"
        raise UserError(f"{what}: no mask has a crater pixel{at}; there is nothing to learn or to score")
    return Subset(scale.apply(images.images), masks, groups, arrays.names, arrays.circles)


def _binary(masks: Stack, threshold: float | None, ignore: int | None) -> npt.NDArray[np.uint8]:
    """Return 1 where there is a crater, 0 where there is none, and IGNORED where nobody knows."""
    cube: npt.NDArray[Any] = masks.images
    if cube.dtype.kind == "f" and not np.isfinite(cube).all():
        first = int(np.argwhere(~np.isfinite(cube))[0][0])
        raise UserError(f"{masks.what} hold NaN or infinity, first in {name_of(masks.names, first)}; give 0 and 1")
    unknown = None if ignore is None else cube == ignore
    if threshold is None:
        top = np.max(cube) if unknown is None else np.max(cube, initial=0, where=~unknown)
        crater = top if top in _CRATER else 0
        for row, mask in enumerate(cube):
            fits = (mask == 0) | (mask == crater)
            if not (fits if unknown is None else fits | unknown[row]).all():
                raise UserError(_not_binary(masks, row, top))
    made = (cube != 0 if threshold is None else cube >= threshold).astype(np.uint8)
    if unknown is not None:
        made[unknown] = IGNORED
    return made


def _not_binary(masks: Stack, row: int, top: np.generic) -> str:
    values = np.unique(masks.images[row])
    some = ", ".join(f"{value:g}" for value in values[:4]) + (", …" if len(values) > 4 else "")
    highest = int(np.argmax((masks.images == top).any(axis=(1, 2, 3))))
    other = f", and {name_of(masks.names, highest)} reaches {top:g}" if top not in values else ""
    return (
        f"{masks.what} are not binary: {name_of(masks.names, row)} holds {some}{other}; give 0 and 1, 0 and 255 or 0 "
        "and 65535, set dataset.mask_threshold for soft masks, or dataset.ignore to the value where nobody knows"
    )


def _doubts(parts: dict[str, Subset]) -> list[str]:
    """Return what makes scores on the parts doubtful."""
    found = []
    for name, part in parts.items():
        known = int(np.count_nonzero(part.masks != IGNORED))
        crater = int(np.count_nonzero(part.masks == 1)) / max(1, known)
        if crater == 1:
            found.append(f"masks: every pixel of {name} is crater, so that every score of it is of no use")
        elif crater > 0.5:
            found.append(f"masks: {crater:.0%} of {name} is crater, more than background; are the masks inverted?")
        flat = [row for row, image in enumerate(part.images) if image.min() == image.max()]
        if flat:
            found.append(f"images: {len(flat)} of {name} show one grey value, first {_name(name, part, flat[0])}")
    return found + _twice(parts)


def _twice(parts: dict[str, Subset]) -> list[str]:
    """Return a warning if an image of more than one grey value, to the last bit, has several masks."""
    seen: dict[int, tuple[str, npt.NDArray[np.float32], npt.NDArray[np.uint8]]] = {}
    pairs = []
    for name, part in parts.items():
        for row, image in enumerate(part.images):
            here = _name(name, part, row)
            first, other, mask = seen.setdefault(hash(image.tobytes()), (here, image, part.masks[row]))
            if (
                first != here
                and not np.array_equal(mask, part.masks[row])
                and np.array_equal(other, image)
                and image.min() < image.max()
            ):
                pairs.append(f"{first} and {here}")
    if not pairs:
        return []
    return [f"masks: {len(pairs)} image(s) come twice with different masks, first {pairs[0]}"]


def _name(part: str, of: Subset, row: int) -> str:
    return name_of(of.names, row) + (" of test" if part == "test" else "")
