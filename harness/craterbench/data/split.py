"""Cut images into a training and a validation part; a group is never cut."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from craterbench.plugin import UserError

__all__ = ["Fold", "fold_indices", "group_split_indices", "tail_split_indices"]

_DRAWS = 64


@dataclass(frozen=True)
class Fold:
    """Which of how many folds validates, counted from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def group_split_indices(
    groups: npt.NDArray[np.int64], crater_pixels: npt.NDArray[np.int64], share: float, seed: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the row numbers that train and those that validate, each ascending, no group in both.

    Groups differ in size and in how much of them is crater, so of many seeded draws of scikit-learn's GroupShuffleSplit
    the one is taken whose validation part holds nearest to the share of both the images and the crater pixels.

    Args:
        groups: (N,), the group of each image.
        crater_pixels: (N,), the number of crater pixels in each image.
        share: share of the images that should validate, between 0 and 1.

    Raises:
        UserError: there are too few groups to give each part one.
    """
    from sklearn.model_selection import GroupShuffleSplit  # half a second that bench --help need not pay

    found = len(np.unique(groups))
    if found < 2 or not round(share * found) >= 1 or math.ceil(share * found) >= found:
        raise _too_small(len(groups), found, share)
    splitter = GroupShuffleSplit(n_splits=_DRAWS, test_size=share, random_state=seed)
    draws = splitter.split(groups, groups=groups)

    def distance(draw: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]) -> float:
        rows = draw[1]
        off_craters = crater_pixels[rows].sum() / crater_pixels.sum() - share
        return abs(len(rows) / len(groups) - share) + abs(float(off_craters))

    training, validation = min(draws, key=distance)
    return np.sort(training), np.sort(validation)


def fold_indices(
    groups: npt.NDArray[np.int64], crater_pixels: npt.NDArray[np.int64], fold: Fold, seed: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the row numbers that train and those that validate in a fold, each ascending, no group in both.

    Over all folds every image validates once. The groups are dealt to the folds one after the other, the largest first
    and equals in a seeded order, each to the fold that has least of what the group brings: images and crater pixels,
    both as shares of all.

    Args:
        groups: (N,), the group of each image.
        crater_pixels: (N,), the number of crater pixels in each image.

    Raises:
        UserError: there are fewer groups than folds.
    """
    names, members = np.unique(groups, return_inverse=True)
    found = len(names)
    if found < fold.of:
        raise UserError(
            f"{found} group(s) of images cannot be cut into {fold.of} folds; ask for --folds {found} or fewer"
        )
    sizes = np.stack([np.bincount(members), np.bincount(members, crater_pixels)], axis=1)
    shares = sizes / sizes.sum(axis=0)
    shuffled = np.random.default_rng(seed).permutation(found)
    held = np.zeros((fold.of, 2))
    fold_of = np.empty(found, np.intp)
    for group in shuffled[np.argsort(-shares[shuffled].sum(axis=1), kind="stable")]:
        fold_of[group] = np.argmin(held @ shares[group])
        held[fold_of[group]] += shares[group]
    validates = fold_of[members] == fold.number - 1
    return np.flatnonzero(~validates), np.flatnonzero(validates)


def tail_split_indices(num_rows: int, share: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the first rows to train and the last to validate, as ``validation_split`` of Keras' ``fit`` cuts them.

    Raises:
        UserError: a part would have no row.
    """
    first = int(num_rows * (1 - share))
    if not 0 < first < num_rows:
        raise _too_small(num_rows, num_rows, share)
    return np.arange(first), np.arange(first, num_rows)


def _too_small(num_images: int, num_groups: int, share: float) -> UserError:
    return UserError(
        f"too small to split: {num_images} images in {num_groups} group(s) cannot give {share:.0%} to the validation "
        "part; give more images (or groups), or another split.validation"
    )
