"""Cut images into a test, a training and a validation part; a group is never cut."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from craterbench.data.dataset import Dataset, Subset, TrainVal
from craterbench.plugin import UserError

__all__ = [
    "Fold",
    "GroupSplit",
    "cut_test",
    "fold_indices",
    "group_split",
    "tail_split_indices",
]

_DRAWS = 64

#: Up to so many groups every choice of them is tried.
_FEW_GROUPS = 16

#: Of more groups, so many random choices are improved, by exchanging so many of the largest groups.
_STARTS, _EXCHANGED = 16, 200

#: A distance that need not become smaller.
_CLOSE = 0.001


@dataclass(frozen=True)
class Fold:
    """Which of how many folds validates, counted from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@dataclass(frozen=True)
class GroupSplit:
    """Images cut in two by group.

    Attributes:
        rest: row numbers of the images that are left, ascending.
        part: row numbers of the images that were cut off for a part, ascending.
        drawn: whether the nearest of the random draws was taken. Earlier versions took it always, however far it was
            from the share; where it is ``False`` they cut the same images otherwise.
        warnings: how far the part is from its share, where it could not be met.
    """

    rest: npt.NDArray[np.intp]
    part: npt.NDArray[np.intp]
    drawn: bool
    warnings: tuple[str, ...] = ()


def group_split(
    groups: npt.NDArray[np.int64],
    crater_pixels: npt.NDArray[np.int64],
    share: float,
    seed: int,
    *,
    part: str = "validation",
    keep: int = 1,
) -> GroupSplit:
    """Cut off a part that holds a share of the images and of their crater pixels, as nearly as whole groups allow.

    Groups differ in size and in how much of them is crater, so of many seeded draws of scikit-learn's GroupShuffleSplit
    the one is taken that is nearest to the share of both. Where even that is far off, as where one group holds most of
    the images, the nearest of all choices of groups is taken instead, to one image: of up to 16 groups all are tried,
    of more some are improved group by group. Both parts have images with craters.

    Args:
        groups: (N,), the group of each image.
        crater_pixels: (N,), the number of crater pixels in each image.
        share: share of the images that the part should have, between 0 and 1.
        part: what it is called in a message.
        keep: how many groups with craters the rest needs: one for each part that is yet to be made of it.

    Raises:
        UserError: there are too few groups to give each part one.
    """
    names, members = np.unique(groups, return_inverse=True)
    found = len(names)
    if found <= keep:
        raise _too_small(len(groups), found, share, part)
    sizes = np.stack([np.bincount(members), np.bincount(members, crater_pixels)], axis=1).astype(np.float64)
    choice = _Choice(sizes, share, keep)
    if choice.with_craters <= keep:
        others = "the training part needs" if keep == 1 else "the training and the validation part need"
        raise UserError(
            f"too few groups with craters: {choice.with_craters} of {found}, and beside the {part} part {others} one "
            "each; give more images with craters, or smaller groups"
        )
    best, drawn = None, True
    if round(share * found) >= 1 and math.ceil(share * found) < found:
        best = _best_draw(groups, crater_pixels, share, seed)
    limit = choice.tolerance if best is None else choice.distance_of(best)
    if best is None or limit > choice.tolerance + 2 / len(groups):  # a draw rounds up to a whole group
        nearest = _nearest(choice, seed)
        if choice.distance_of(nearest) < limit:
            best, drawn = nearest, False
    if best is None or not choice.distance_of(best) < math.inf:
        raise _too_small(len(groups), found, share, part)
    images, craters = best @ choice.shares
    warnings: tuple[str, ...] = ()
    if max(abs(images - share), abs(craters - share)) > choice.tolerance + 1 / len(groups):
        largest = int(sizes[:, 0].max())
        warnings = (
            f"split: the {part} part has {images:.0%} of the images and {craters:.0%} of the crater pixels, where "
            f"{share:.0%} were asked for: {found} groups, the largest of {largest} images, cannot be dealt nearer",
        )
    taken = best[members]
    return GroupSplit(np.flatnonzero(~taken), np.flatnonzero(taken), drawn, warnings)


class _Choice:
    """How near a choice of groups comes to a share of the images and of the crater pixels.

    Attributes:
        image: the share of one image.
        shares: (G, 2), the share of each group in the images and in the crater pixels.
        with_craters: how many groups have craters.
        tolerance: a distance that is near enough, a quarter of the share or of the rest.
    """

    def __init__(self, sizes: npt.NDArray[np.float64], share: float, keep: int) -> None:
        self.image = 1 / sizes[:, 0].sum()
        self.shares = sizes / np.maximum(sizes.sum(axis=0), 1)
        self.has_craters = sizes[:, 1] > 0
        self.with_craters = int(self.has_craters.sum())
        self.tolerance = min(share, 1 - share) / 4
        self.summands = np.column_stack([self.shares, self.has_craters])
        self.share, self._keep = share, keep

    def distance(self, sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return (M,) of (M, 3), sums of ``summands``: how far they are, infinitely where a part would lack craters."""
        away = np.abs(sums[:, :2] - self.share).sum(axis=1).round(12)
        possible = (sums[:, 2] >= 1) & (sums[:, 2] <= self.with_craters - self._keep)
        return np.where(possible, away, np.inf)

    def distance_of(self, chosen: npt.NDArray[np.bool_]) -> float:
        """Return the distance of a choice of groups, (G,)."""
        return float(self.distance((chosen @ self.summands)[np.newaxis])[0])


def _best_draw(
    groups: npt.NDArray[np.int64], crater_pixels: npt.NDArray[np.int64], share: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Return (G,), the groups of the nearest of many seeded draws."""
    from sklearn.model_selection import GroupShuffleSplit  # half a second that bench --help need not pay

    splitter = GroupShuffleSplit(n_splits=_DRAWS, test_size=share, random_state=seed)
    draws = splitter.split(groups, groups=groups)

    def distance(draw: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]) -> float:
        rows = draw[1]
        off_craters = crater_pixels[rows].sum() / crater_pixels.sum() - share
        return abs(len(rows) / len(groups) - share) + abs(float(off_craters))

    _, rows = min(draws, key=distance)
    return np.isin(np.unique(groups), groups[rows])


def _nearest(choice: _Choice, seed: int) -> npt.NDArray[np.bool_]:
    """Return (G,), the choice of groups that is nearest; among those that are so to one image the seed decides."""
    number, generator = len(choice.shares), np.random.default_rng(seed)
    if number <= _FEW_GROUPS:
        codes = np.arange(1, 2**number - 1)
        choices = (codes[:, np.newaxis] >> np.arange(number) & 1).astype(np.bool_)
        away = choice.distance(choices @ choice.summands)
        near = np.flatnonzero(away <= away.min() + choice.image)
        drawn: npt.NDArray[np.bool_] = choices[generator.choice(near)]
        return drawn
    order = generator.permutation(number)
    found: list[npt.NDArray[np.bool_]] = []
    for _ in range(_STARTS):
        found.append(_improved(choice, _filled(choice, generator.permutation(number)), order))
        if choice.distance_of(found[-1]) < _CLOSE:
            break
    return min(found, key=choice.distance_of)


def _filled(choice: _Choice, order: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Return the groups that fill the share one after the other, each unless it is too much."""
    chosen = np.zeros(len(order), np.bool_)
    room = np.array([choice.share, choice.share]) + choice.tolerance / 2
    for group in order:
        if (choice.shares[group] <= room).all():
            chosen[group] = True
            room -= choice.shares[group]
    return chosen


def _improved(choice: _Choice, chosen: npt.NDArray[np.bool_], order: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Move single groups, and where that does not help exchange two, as long as it comes nearer to the share."""
    large = order[np.argsort(-choice.shares[order].sum(axis=1), kind="stable")][:_EXCHANGED]
    now = choice.distance_of(chosen)
    while True:
        sums = chosen @ choice.summands
        moved = sums + np.where(chosen[order], -1, 1)[:, np.newaxis] * choice.summands[order]
        away = choice.distance(moved)
        if away.min() < now:
            chosen[order[np.argmin(away)]] ^= True
            now = float(away.min())
            continue
        inside, outside = large[chosen[large]], large[~chosen[large]]
        exchanged = sums - choice.summands[inside][:, np.newaxis] + choice.summands[outside]
        away = choice.distance(exchanged.reshape(-1, 3))
        if not away.min(initial=np.inf) < now:
            return chosen
        pair = np.unravel_index(np.argmin(away), exchanged.shape[:2])
        chosen[[inside[pair[0]], outside[pair[1]]]] ^= True
        now = float(away.min())


def cut_test(dataset: Dataset, share: float, seed: int) -> tuple[TrainVal, Subset | None]:
    """Return what trains and validates, and the test part: that of the data, or a share of them, cut by group.

    Args:
        share: share of the images for the test, between 0 and 1; 0 takes the test part as the data have it.

    Raises:
        UserError: the data have a test part already, or too few groups for one.
    """
    if share == 0:
        return dataset.without_test(), dataset.test
    if dataset.test is not None:
        raise UserError(
            f"the data have a test part of {len(dataset.test)} images already, and keep it; leave out split.test"
        )
    whole = dataset.train_val
    # not the draws of the validation part: else the test part would be the images that validate where none is cut
    own_seed = int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])
    split = group_split(whole.groups, whole.crater_pixels(), share, own_seed, part="test", keep=2)
    train_val = TrainVal(
        whole.take(split.rest),
        dataset.notes,
        dataset.digest(),
        (*dataset.warnings, *split.warnings),
        None if dataset.validation is None else dataset.validation[split.rest],
        has_test=True,
        cut=f"test {share}, seed {seed}",
    )
    return train_val, whole.take(split.part)


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
        UserError: there are fewer groups than folds, or any of the folds, not only this one, has no craters to validate
            on or to train on; it says how many folds are possible.
    """
    found = len(np.unique(groups))
    problem = f"{found} group(s) of images cannot be cut into {fold.of} folds" if found < fold.of else None
    if problem is None and (lacking := _folds_without(groups, crater_pixels, fold.of, seed)):
        with_craters = len(np.unique(groups[crater_pixels > 0]))
        problem = (
            f"of {fold.of} folds {lacking} would have no craters to validate on or to train on: "
            f"{with_craters} of {found} groups have craters"
        )
    if problem is not None:
        raise UserError(f"{problem}; {_fewer_folds(groups, crater_pixels, fold.of, seed)}")
    validates = _dealt(groups, crater_pixels, fold.of, seed) == fold.number - 1
    return np.flatnonzero(~validates), np.flatnonzero(validates)


def _folds_without(groups: npt.NDArray[np.int64], crater_pixels: npt.NDArray[np.int64], folds: int, seed: int) -> int:
    """Return how many folds would lack craters in one of their parts."""
    held = np.bincount(_dealt(groups, crater_pixels, folds, seed), crater_pixels, minlength=folds)
    return int(np.count_nonzero((held == 0) | (held == held.sum())))


def _fewer_folds(groups: npt.NDArray[np.int64], crater_pixels: npt.NDArray[np.int64], folds: int, seed: int) -> str:
    most = min(folds - 1, len(np.unique(groups[crater_pixels > 0])))
    for fewer in range(most, 1, -1):
        if not _folds_without(groups, crater_pixels, fewer, seed):
            return f"ask for --folds {fewer}" + (" or fewer" if fewer > 2 else "")
    return "leave out --folds, or give more groups with craters"


def _dealt(
    groups: npt.NDArray[np.int64], crater_pixels: npt.NDArray[np.int64], folds: int, seed: int
) -> npt.NDArray[np.intp]:
    """Return (N,), the fold of each image, counted from 0."""
    names, members = np.unique(groups, return_inverse=True)
    sizes = np.stack([np.bincount(members), np.bincount(members, crater_pixels)], axis=1)
    shares = sizes / np.maximum(sizes.sum(axis=0), 1)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    held = np.zeros((folds, 2))
    fold_of = np.empty(len(names), np.intp)
    for group in shuffled[np.argsort(-shares[shuffled].sum(axis=1), kind="stable")]:
        fold_of[group] = np.argmin(held @ shares[group])
        held[fold_of[group]] += shares[group]
    return fold_of[members]


def tail_split_indices(num_rows: int, share: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the first rows to train and the last to validate, as ``validation_split`` of Keras' ``fit`` cuts them.

    Raises:
        UserError: a part would have no row.
    """
    first = int(num_rows * (1 - share))
    if not 0 < first < num_rows:
        raise _too_small(num_rows, num_rows, share, "validation")
    return np.arange(first), np.arange(first, num_rows)


def _too_small(num_images: int, num_groups: int, share: float, part: str) -> UserError:
    return UserError(
        f"too small to split: {num_images} images in {num_groups} group(s) cannot give {share:.0%} to the {part} "
        f"part; give more images (or groups), or another split.{part}"
    )
