"""What a network is shown: the images of each epoch, and the parts that are scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, repeat

import numpy as np
import numpy.typing as npt

from craterbench.config.benchmark import AugmentationConfig, AugmentationStep, BenchmarkConfig
from craterbench.data.dataset import Subset, TrainVal
from craterbench.data.split import (
    Fold,
    GroupSplit,
    fold_indices,
    group_split,
    tail_split_indices,
)
from craterbench.plugin import UserError
from craterbench.plugin.components import load

__all__ = [
    "TrainingData",
    "augmented",
    "check_folds",
    "check_given",
    "is_drawn",
    "make_training_data",
    "validation_split",
]


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The images of a run.

    Attributes:
        epochs: gives the images to train on, an epoch at a time, without end.
        training: what trains, in which leaks are looked for: the training part, and where the images were split after
            the augmentation its augmented copies, too.
        originals: the images of the training part as they are.
        sampled: the row numbers of those that are the sample.
        validation: the validation part.
        warnings: what makes its scores doubtful, as far as the config and the shares of the parts tell.
        derived: bool (N,), which images of the validation part are made of one that trains, or that trains a copy;
            ``None`` where no augmentation could make them so.
        drawn: whether its parts are those that earlier versions drew (see ``craterbench.data.split.GroupSplit``).
    """

    epochs: Iterator[Subset]
    training: Subset
    originals: Subset
    sampled: npt.NDArray[np.intp]
    validation: Subset
    warnings: tuple[str, ...] = ()
    derived: npt.NDArray[np.bool_] | None = None
    drawn: bool = True

    @property
    def sample(self) -> Subset:
        """Images of the training part, at most as many as validate; the same for every seed. Copied when asked for."""
        return self.originals.take(self.sampled)


def check_folds(benchmark: BenchmarkConfig) -> None:
    """Raise a UserError unless a benchmark's images can be cut into folds."""
    if benchmark.split.when != "before-augmentation":
        raise UserError(
            f"benchmark {benchmark.name!r} splits after the augmentation, where there are no groups to cut into folds; "
            "leave out --folds, or set split.when=before-augmentation"
        )


def validation_split(train_val: Subset, benchmark: BenchmarkConfig) -> GroupSplit:
    """Return which images validate by the share of the config.

    Raises:
        UserError: there is too little to split.
    """
    split = benchmark.split
    return group_split(train_val.groups, train_val.crater_pixels(), split.validation, split.seed)


def is_drawn(train_val: TrainVal, benchmark: BenchmarkConfig) -> bool:
    """Whether the share of the config cuts the images as earlier versions did (see ``GroupSplit``).

    Images that cannot be split are for whoever trains on them to refuse.
    """
    if train_val.validation is not None or benchmark.split.when != "before-augmentation":
        return True
    try:
        return validation_split(train_val.part, benchmark).drawn
    except UserError:
        return True


def make_training_data(
    train_val: Subset,
    benchmark: BenchmarkConfig,
    generator: np.random.Generator,
    fold: Fold | None = None,
    *,
    validates: npt.NDArray[np.bool_] | None = None,
) -> TrainingData:
    """Split the images, then augment the training part; or the other way round, where the config says so.

    Args:
        generator: what augmentation is drawn from.
        fold: the fold that validates, instead of the share that the config says.
        validates: bool (N,), the images that validate, where the data say so, instead of that share.

    Raises:
        UserError: there is too little to split, a part would have no crater, or the data say what validates and the
            benchmark says otherwise.
    """
    if fold is not None:
        check_folds(benchmark)
    if validates is not None:
        check_given(validates, len(train_val), benchmark, fold)
    split, augmentation = benchmark.split, benchmark.augmentation
    fixed = np.random.default_rng(split.seed)
    drawn, derived, warnings = True, None, list[str]()
    if split.when == "before-augmentation":
        if validates is not None:
            rows = np.flatnonzero(~validates), np.flatnonzero(validates)
        elif fold is None:
            cut = validation_split(train_val, benchmark)
            rows, drawn = (cut.rest, cut.part), cut.drawn
            warnings += cut.warnings
        else:
            groups, craters = train_val.groups, train_val.crater_pixels()
            rows = fold_indices(groups, craters, fold, split.seed)
        originals, validation = (train_val.take(chosen) for chosen in rows)
        training, epochs = originals, _epochs(originals, augmentation, generator)
    else:
        # What validates here depends on the augmentation, so that is drawn from the split's seed, not from the run's.
        everything = augmented(train_val, augmentation, fixed)
        training_rows, validation_rows = tail_split_indices(len(everything), split.validation)
        training, validation = everything.take(training_rows), everything.take(validation_rows)
        epochs = repeat(training)
        derived = np.isin(validation_rows % len(train_val), training_rows % len(train_val))
        originals = train_val.take(training_rows[training_rows < len(train_val)])
    for name, part in (("training", originals), ("validation", validation)):
        if not (part.masks == 1).any():
            cure = "try another split.seed, or give more images" if validates is None else "the data say what is in it"
            raise UserError(f"the {name} part has no crater pixel; {cure}")
    size = min(len(validation), len(originals))
    sampled = np.sort(fixed.choice(len(originals), size, replace=False))
    if augmentation.warp == "image" and augmentation.copies and any(step.geometric for step in augmentation.steps):
        # Known from the config alone: its images do not show for certain whether a step moves anything.
        warnings.append("alignment: the masks of augmented images were not warped with them")
    return TrainingData(
        epochs=epochs,
        training=training,
        originals=originals,
        sampled=sampled,
        validation=validation,
        warnings=tuple(warnings),
        derived=derived,
        drawn=drawn,
    )


def check_given(
    validates: npt.NDArray[np.bool_], num_images: int, benchmark: BenchmarkConfig, fold: Fold | None
) -> None:
    """Check that images can validate as the data say.

    Raises:
        UserError: the benchmark asks for another way, or all of the images train or validate.
    """
    if fold is not None:
        raise UserError("the data say which images validate, and so cannot be cut into folds; leave out --folds")
    if benchmark.split.when != "before-augmentation":
        raise UserError(
            f"benchmark {benchmark.name!r} splits after the augmentation, and the data say which images validate; "
            "set split.when=before-augmentation"
        )
    if validates.shape != (num_images,) or validates.dtype != np.bool_:
        raise ValueError(
            f"the data set gives {validates.dtype} {validates.shape} for what validates; bool ({num_images},) is wanted"
        )
    if validates.all() or not validates.any():
        missing = "trains" if validates.all() else "validates"
        raise UserError(f"by what the data say, none of their images {missing}; give each part some")


def augmented(part: Subset, augmentation: AugmentationConfig, generator: np.random.Generator) -> Subset:
    """Return the images as they are, unless only their copies train, followed by each of their augmented copies.

    Raises:
        ValueError: an augmentation changed the shape or the type of the arrays.
    """
    if not augmentation.copies:
        return part
    first = 1 if augmentation.originals else 0
    number, times = len(part), first + augmentation.copies
    images, masks = np.tile(part.images, (times, 1, 1, 1)), np.tile(part.masks, (times, 1, 1, 1))
    for copy in range(first, times):
        image, mask = part.images, part.masks
        for step in augmentation.steps:
            image, mask = _applied(step, image, mask, generator)
        images[copy * number : (copy + 1) * number] = image
        if augmentation.warp == "both":
            masks[copy * number : (copy + 1) * number] = mask
    return Subset(images, masks, np.tile(part.groups, times))


def _applied(
    step: AugmentationStep,
    images: npt.NDArray[np.float32],
    masks: npt.NDArray[np.uint8],
    generator: np.random.Generator,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Return images and masks with an augmentation applied, to each with its probability."""
    if step.probability < 1:
        rows = np.flatnonzero(generator.random(len(images)) < step.probability)
        if not len(rows):
            return images, masks
        made_images, made_masks = _applied(replace(step, probability=1.0), images[rows], masks[rows], generator)
        images, masks = images.copy(), masks.copy()
        images[rows], masks[rows] = made_images, made_masks
        return images, masks
    made, warped = load(step.target)(images, masks, generator, step.parameters)
    if made.shape != images.shape or warped.shape != masks.shape:
        raise ValueError(f"augmentation {step.name!r} changed the shape of the images or masks")
    if made.dtype != np.float32 or warped.dtype != np.uint8:
        raise ValueError(f"augmentation {step.name!r} returned {made.dtype} images and {warped.dtype} masks")
    return made, warped if step.geometric else masks


def _epochs(training: Subset, augmentation: AugmentationConfig, generator: np.random.Generator) -> Iterator[Subset]:
    if augmentation.drawn == "once":
        return repeat(augmented(training, augmentation, generator))
    return (augmented(training, augmentation, generator) for _ in count())
