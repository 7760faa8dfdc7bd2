"""Try a data set as a run would, and look for what would spoil its scores: all findings at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.data.alignment import find_misalignment
from craterbench.data.dataset import Dataset, Subset
from craterbench.data.near_copies import NearCopy, find_near_copies
from craterbench.data.split import Fold, cut_test
from craterbench.plugin import UserError
from craterbench.training.audit import find_split_leaks, find_test_leaks
from craterbench.training.augment import make_training_data
from craterbench.training.session import check_ignored, image_multiple

__all__ = ["check_data"]

#: How many pairs of images a finding names.
_NAMED = 5


@dataclass(frozen=True)
class _Pair:
    """A near copy, with the parts and the names of its two images."""

    copy: NearCopy
    parts: tuple[str, str]
    text: str
    one_group: bool
    equal_masks: bool


def check_data(dataset: Dataset, benchmark: BenchmarkConfig, *, folds: int | None = None) -> list[str]:
    """Return all that is wrong with a data set: what a run would refuse, what it would warn of, and which images it is.

    Args:
        benchmark: its split, augmentation and framework.
        folds: into how many folds the images are to be cut, if they are.
    """
    found = list(dataset.warnings)
    try:
        train_val, test = cut_test(dataset, benchmark.split.test, benchmark.split.seed)
        found += train_val.warnings
    except UserError as error:
        found.append(str(error))
        train_val, test = dataset.without_test(), dataset.test
    part = train_val.part
    try:
        check_ignored(benchmark, part.masks)
    except UserError as error:
        found.append(str(error))
    found += _wrong_size(benchmark, part.images.shape[1:3])
    if benchmark.split.when == "before-augmentation":  # what is drawn then changes neither parts nor warnings
        benchmark = replace(benchmark, augmentation=replace(benchmark.augmentation, drawn="every-epoch"))
    for fold in [None] if folds is None else [Fold(number, folds) for number in range(1, folds + 1)]:
        try:
            data = make_training_data(part, benchmark, np.random.default_rng(0), fold, validates=train_val.validation)
        except UserError as error:
            found.append(str(error))
        else:
            found += [*data.warnings, *find_split_leaks(data)]
    found += find_test_leaks(test, train_val)
    parts = {"train_val": part} | ({"test": test} if test is not None else {})
    for name, one in parts.items():
        found += [f"{name}: {warning}" for warning in find_misalignment(one)]
    found += _same_images(parts)
    return list(dict.fromkeys(found))


def _wrong_size(benchmark: BenchmarkConfig, image_shape: tuple[int, ...]) -> Iterator[str]:
    """Say whether the model takes no images of that size, which only a worker that opens it would find."""
    multiple = image_multiple(benchmark)
    if not benchmark.training.pad and any(side % multiple for side in image_shape):
        yield (
            f"size: the images are {image_shape[0]}x{image_shape[1]}, and model {benchmark.model.name!r} of "
            f"{benchmark.name} needs sides that are multiples of {multiple}; pad them with --set training.pad=true, "
            "or cut them"
        )


def _same_images(parts: dict[str, Subset]) -> Iterator[str]:
    """Say which images show the same, as far as that is wrong: in two parts, in two groups, or twice."""
    pairs = list(_pairs(parts))
    between = [pair for pair in pairs if pair.parts[0] != pair.parts[1]]
    inside = [pair for pair in pairs if pair.parts[0] == pair.parts[1]]
    twice = [pair for pair in inside if not pair.copy.how]
    kinds = {
        "leak: {} show what is in another part": between,
        "groups: {} show what is in another group of their part, so that a split may cut them apart": [
            pair for pair in inside if not pair.one_group
        ],
        "images: {} are there twice, with equal masks": [pair for pair in twice if pair.equal_masks],
        "images: {} are there twice, with different masks": [pair for pair in twice if not pair.equal_masks],
    }
    for text, found in kinds.items():
        if found:
            named = "; ".join(pair.text for pair in found[:_NAMED])
            more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            yield f"{text.format(f'{len(found)} image(s)')}: {named}{more}"


def _pairs(parts: dict[str, Subset]) -> Iterator[_Pair]:
    stacks = [part.images for part in parts.values()]
    images = stacks[0] if len(stacks) == 1 else np.concatenate(stacks)  # large data are not to be held twice
    places = [(name, row) for name, part in parts.items() for row in range(len(part))]
    for copy in find_near_copies(images):
        (part, row), (other_part, other_row) = places[copy.row], places[copy.of]
        one, other = _name(parts, part, row), _name(parts, other_part, other_row)
        how = f" ({copy.how})" if copy.how else ""
        yield _Pair(
            copy,
            (part, other_part),
            f"{one} is {other}{how}",
            bool(parts[part].groups[row] == parts[other_part].groups[other_row]),
            bool(np.array_equal(parts[part].masks[row], parts[other_part].masks[other_row])),
        )


def _name(parts: dict[str, Subset], part: str, row: int) -> str:
    names = parts[part].names
    return f"{part} {row}" if names is None else f"{part} {row}, {names[row]}"
