"""The cheap part of the audit, before every training: images in two parts, and masks that do not fit their images."""

from __future__ import annotations

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.data.alignment import find_misalignment
from craterbench.data.dataset import Subset, TrainVal
from craterbench.data.leakage import find_leaks, has_groups
from craterbench.data.split import Fold
from craterbench.training.augment import TrainingData

__all__ = ["audit", "find_split_leaks", "find_test_leaks"]

#: What was found in this process: the trials of a search are on the same parts.
_found: dict[str, tuple[str, ...]] = {}


def audit(
    benchmark: BenchmarkConfig, train_val: TrainVal, fold: Fold | None, data: TrainingData, test: Subset | None
) -> tuple[str, ...]:
    """Return what makes scores on the parts of a run doubtful, without looking again at parts that were looked at.

    Args:
        benchmark: what the parts were made by.
        fold: the fold that validates, or ``None``.
        data: the training and the validation part.
        test: the test part, if there is one and it is to be seen.
    """
    of_augmented = benchmark.augmentation if benchmark.split.when == "after-augmentation" else None
    key = repr((train_val.id, benchmark.split, of_augmented, fold, test is not None))
    if key not in _found:
        found = find_split_leaks(data), find_test_leaks(test, train_val), find_misalignment(train_val.part)
        _found[key] = tuple(warning for each in found for warning in each)
    return _found[key]


def find_split_leaks(data: TrainingData) -> list[str]:
    """Return a warning for each way in which images of the validation part lead to those that train."""
    return find_leaks(data.validation, data.training, names=("validation", "training"), derived=data.derived)


def find_test_leaks(test: Subset | None, train_val: TrainVal) -> list[str]:
    """Return a warning for each way in which images of the test part lead to those that train or validate."""
    if test is None:
        return []
    # Where each image is a group of its own, a test part that the data bring may count them from 0.
    share_groups = bool(train_val.cut) or any(map(has_groups, (test, train_val.part)))
    return find_leaks(test, train_val.part, names=("test", "training or validation"), share_groups=share_groups)
