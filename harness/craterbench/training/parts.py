"""The data of a benchmark: read, cut into parts, and described; no framework is needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.data.dataset import Dataset, Subset, TrainVal
from craterbench.data.split import Fold, cut_test, fold_indices
from craterbench.plugin import UserError
from craterbench.plugin.components import load
from craterbench.training.augment import check_given, is_drawn, make_training_data

__all__ = ["DataInfo", "ScoredParts", "describe_data", "read_dataset", "read_parts", "scored_parts", "train_val"]


@dataclass(frozen=True)
class DataInfo:
    """What is known of a run's data before it is trained.

    Attributes:
        digest: of the complete data set.
        drawn: as that of ``craterbench.training.experiment.RunInfo``, where the share of the config cuts them.
        folds_problem: why the images cannot be cut into the folds that are wanted, if so.
    """

    digest: str
    drawn: bool
    folds_problem: str | None


@dataclass(frozen=True)
class ScoredParts:
    """What is scored of a benchmark's data.

    Attributes:
        digest: of the complete data set.
        parts: the validation part and, where there is one, the test part.
        drawn: as that of ``craterbench.training.experiment.RunInfo``.
    """

    digest: str
    parts: dict[str, Subset]
    drawn: bool


def read_dataset(benchmark: BenchmarkConfig) -> Dataset:
    """Return the data set of a benchmark as its plugin gives it.

    Raises:
        UserError: it cannot be had.
    """
    dataset: Dataset = load(benchmark.dataset.target)(benchmark.dataset.parameters)
    return dataset


def read_parts(benchmark: BenchmarkConfig) -> tuple[TrainVal, Subset | None]:
    """Return what trains and validates of a benchmark's data, and their test part, if there is one.

    Raises:
        UserError: the data cannot be had, or no test part can be cut from them.
    """
    return cut_test(read_dataset(benchmark), benchmark.split.test, benchmark.split.seed)


def train_val(benchmark: BenchmarkConfig) -> TrainVal:
    """Return a benchmark's data without their test part, as ``read_parts`` does."""
    return read_parts(benchmark)[0]


def scored_parts(benchmark: BenchmarkConfig, fold: Fold | None = None) -> ScoredParts:
    """Return what is scored of a benchmark's data.

    Args:
        fold: the fold that validates, or ``None`` for the share that the config says.

    Raises:
        UserError: the data cannot be had, or be cut so.
    """
    train_val, test = read_parts(benchmark)
    drawing = np.random.default_rng(0)
    data = make_training_data(train_val.part, benchmark, drawing, fold, validates=train_val.validation)
    parts = {"validation": data.validation} | ({"test": test} if test is not None else {})
    return ScoredParts(train_val.digest, parts, data.drawn)


def describe_data(benchmark: BenchmarkConfig, *, folds: int | None = None) -> DataInfo:
    """Return what is known of a benchmark's data.

    Args:
        folds: into how many folds they are to be cut, if they are.

    Raises:
        UserError: the data cannot be had.
    """
    train_val = read_parts(benchmark)[0]
    part, problem = train_val.part, None
    if folds is not None:
        try:
            if train_val.validation is not None:
                check_given(train_val.validation, len(part), benchmark, Fold(1, folds))
            fold_indices(part.groups, part.crater_pixels(), Fold(1, folds), benchmark.split.seed)
        except UserError as error:
            problem = str(error)
    return DataInfo(train_val.digest, folds is not None or is_drawn(train_val, benchmark), problem)
