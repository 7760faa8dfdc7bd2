"""Which images train, which validate and which are the test part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from craterbench.config.resolve import parse_override, resolve
from craterbench.data.dataset import Dataset, Subset
from craterbench.data.split import Fold
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry
from craterbench.training.audit import find_split_leaks
from craterbench.training.augment import TrainingData, make_training_data


def benchmark(*settings: str):
    common = ["dataset.name=synthetic", "augmentation.copies=0", "framework=sklearn", "model.name=constant"]
    overrides = [parse_override(setting) for setting in (*common, *settings)]
    return resolve(Registry.installed(), "logistic", overrides).benchmark


def numbered(groups: list[int], craters: list[int] | None = None) -> Subset:
    """Images of 8×8 pixels, told apart by their grey value, each with so many crater pixels."""
    number = len(groups)
    images = np.broadcast_to(np.linspace(0, 1, number)[:, None, None, None], (number, 8, 8, 1)).astype(np.float32)
    images = images * np.linspace(0.5, 1, 8, dtype=np.float32)[:, None]
    masks = np.arange(64) < np.array([10] * number if craters is None else craters)[:, None]
    return Subset(images, masks.reshape(number, 8, 8, 1).astype(np.uint8), np.array(groups))


def made(part: Subset, *settings: str, fold: Fold | None = None, validates=None) -> TrainingData:
    generator = np.random.default_rng(0)
    return make_training_data(part, benchmark(*settings), generator, fold, validates=validates)


def test_where_the_data_say_which_images_validate_these_do():
    part, validates = numbered(list(range(10))), np.arange(10) % 3 == 0
    data = made(part, validates=validates)
    np.testing.assert_array_equal(data.validation.groups, [0, 3, 6, 9])
    np.testing.assert_array_equal(next(data.epochs).groups, [1, 2, 4, 5, 7, 8])
    assert not find_split_leaks(data)
    cut = made(replace(part, groups=np.arange(10) // 2), validates=validates)
    assert [warning for warning in find_split_leaks(cut) if "share a group" in warning]


@pytest.mark.parametrize(
    ("validates", "settings", "fold", "cause", "cure"),
    [
        ([True] * 4, (), None, "none of their images trains", "give each part some"),
        ([False] * 4, (), None, "none of their images validates", "give each part some"),
        ([True, False] * 2, (), Fold(1, 2), "the data say which images validate", "leave out --folds"),
        (
            [True, False] * 2,
            ("split.when=after-augmentation",),
            None,
            "splits after the augmentation",
            "split.when=before-augmentation",
        ),
        ([True, False, False, False], (), None, "the validation part has no crater pixel", "the data say"),
    ],
    ids=["all", "none", "folds", "after augmentation", "no crater"],
)
def test_what_validates_cannot_be_as_the_data_say(validates, settings, fold, cause, cure):
    part = numbered([0, 1, 2, 3], [0, 9, 9, 9])
    with pytest.raises(UserError, match=cause) as refusal:
        made(part, *settings, fold=fold, validates=np.array(validates))
    assert cure in str(refusal.value)


def test_which_images_validate_is_in_the_digest_of_the_data():
    part = numbered([0, 1, 2, 3])
    given = [Dataset(part, validation=np.array(rows)) for rows in ([True, False] * 2, [False, True] * 2)]
    assert len({data.digest() for data in (Dataset(part), *given)}) == 3
    np.testing.assert_array_equal(given[0].without_test().validation, [True, False] * 2)
