"""Cut images into a training and a validation part; a group is never cut."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from craterbench.plugin import UserError

__all__ = ["rows_by_group", "rows_from_the_end"]

_DRAWS = 64


def rows_by_group(
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


def rows_from_the_end(num_rows: int, share: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
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
