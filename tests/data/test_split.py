"""Groups are dealt to the parts so that shares of images and of crater pixels are met, and what was cut stays cut."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from craterbench.data.dataset import IGNORED, Dataset, Subset
from craterbench.data.split import Fold, cut_test, fold_indices, group_split
from craterbench.plugin import NoParameters, UserError
from craterbench_mars.chips import mars_hrsc

ONE_LARGE = np.array([0] * 31 + list(range(1, 10)))


def distance(rows, craters, share) -> float:
    return abs(len(rows) / len(craters) - share) + abs(craters[rows].sum() / craters.sum() - share)


def nearest(groups, craters, share, keep: int) -> float:
    """Return the distance of the nearest of all choices of groups that leave craters in all parts."""
    names = np.unique(groups)
    with_craters = set(groups[craters > 0].tolist())
    choices = itertools.chain(*(itertools.combinations(names.tolist(), number) for number in range(1, len(names))))
    return min(
        distance(np.flatnonzero(np.isin(groups, chosen)), craters, share)
        for chosen in choices
        if with_craters & set(chosen) and len(with_craters - set(chosen)) >= keep
    )


def part(groups, craters=None) -> Subset:
    """Images of 8×8 pixels, told apart by their grey values, each with so many crater pixels."""
    number = len(groups)
    images = np.random.default_rng(0).uniform(size=(number, 8, 8, 1)).astype(np.float32)
    masks = np.arange(64) < np.array([10] * number if craters is None else craters)[:, np.newaxis]
    return Subset(images, masks.reshape(number, 8, 8, 1).astype(np.uint8), np.array(groups))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 200)), min_size=3, max_size=9),
    st.integers(0, 2**31),
    st.sampled_from([0.1, 0.2, 0.5]),
    st.sampled_from([1, 2]),
)
def test_a_split_is_a_good_draw_or_the_nearest_of_all_choices_of_groups(made, seed, share, keep):
    sizes, each = zip(*made, strict=True)
    groups, craters = np.repeat(np.arange(len(sizes)), sizes), np.repeat(each, sizes)
    assume(sum(number > 0 for number in each) > keep)
    best = nearest(groups, craters, share, keep)
    if round(share * len(sizes)) < 1 and best >= min(share, 1 - share) / 4:  # a draw would take no group
        with pytest.raises(UserError, match="too small to split"):
            group_split(groups, craters, share, seed, keep=keep)
        return
    cut = group_split(groups, craters, share, seed, keep=keep)
    assert not set(groups[cut.rest]) & set(groups[cut.part])
    np.testing.assert_array_equal(np.sort(np.concatenate([cut.rest, cut.part])), np.arange(len(groups)))
    assert craters[cut.part].any()
    assert len(set(groups[cut.rest][craters[cut.rest] > 0].tolist())) >= keep
    found = distance(cut.part, craters, share)
    if not cut.drawn or found > min(share, 1 - share) / 4 + 2 / len(groups):
        assert found <= best + 1 / len(groups) + 1e-9  # among those that are as near to one image the seed decides
    off = np.abs(np.array([len(cut.part) / len(groups), craters[cut.part].sum() / craters.sum()]) - share).max()
    assert bool(cut.warnings) == (off > min(share, 1 - share) / 4 + 1 / len(groups))


def test_one_large_group_beside_small_ones_is_no_reason_to_miss_the_share():
    parts = [group_split(ONE_LARGE, np.ones(40, np.int64), 0.2, seed) for seed in range(5)]
    assert [len(cut.part) for cut in parts] == [8] * 5  # where the nearest of 64 draws has 2
    assert not any(cut.drawn or cut.warnings for cut in parts)
    assert len({cut.part.tobytes() for cut in parts}) > 1  # the seed decides among equals


def test_another_seed_gives_another_nearest_choice_also_where_no_two_are_equally_near():
    groups = np.concatenate([np.zeros(30, np.int64), 1 + np.arange(30) // 2])
    craters = np.random.default_rng(0).integers(50, 200, 60)
    cuts = [group_split(groups, craters, 0.2, seed) for seed in range(8)]
    assert not any(cut.drawn for cut in cuts)
    assert len({cut.part.tobytes() for cut in cuts}) > 4
    data = Dataset(part(groups, craters // 4))
    assert set(cut_test(data, 0.2, 0)[1].groups) != set(groups[group_split(groups, craters // 4, 0.2, 0).part])


def test_many_groups_are_dealt_as_near_as_single_images_allow():
    generator = np.random.default_rng(1)
    groups = np.concatenate([np.zeros(300, np.int64), np.repeat(np.arange(1, 61), generator.integers(1, 6, 60))])
    craters = generator.integers(0, 100, len(groups))
    cut = group_split(groups, craters, 0.2, 3)
    assert not cut.drawn
    assert distance(cut.part, craters, 0.2) < 0.005
    again = group_split(groups, craters, 0.2, 3)
    np.testing.assert_array_equal(cut.part, again.part)


def test_a_share_that_whole_groups_cannot_meet_is_said():
    cut = group_split(np.array([0] * 38 + [1, 2]), np.ones(40, np.int64), 0.2, 0)
    assert cut.warnings == (
        "split: the validation part has 5% of the images and 5% of the crater pixels, where 20% were asked for: "
        "3 groups, the largest of 38 images, cannot be dealt nearer",
    )


def test_craters_come_into_both_parts_where_few_groups_have_any():
    craters = np.zeros(40, np.int64)
    craters[[3, 17]] = 9
    for seed in range(5):
        cut = group_split(np.arange(40), craters, 0.2, seed)
        assert craters[cut.part].sum() == craters[cut.rest].sum() == 9


@pytest.mark.parametrize(
    ("groups", "craters", "keep", "cause", "cure"),
    [
        ([0] * 9, [5] * 9, 1, "9 images in 1 group(s) cannot give 20%", "give more images (or groups)"),
        ([0, 1], [5, 5], 1, "2 images in 2 group(s) cannot give 20%", "another split.validation"),
        ([0, 1], [5, 5], 2, "2 images in 2 group(s) cannot give 20%", "another split.validation"),
        (range(9), [0] * 8 + [5], 1, "too few groups with craters: 1 of 9", "more images with craters"),
        (range(9), [0] * 7 + [5, 5], 2, "too few groups with craters: 2 of 9", "more images with craters"),
    ],
    ids=["one group", "two alike", "two for three parts", "craters in one", "craters in two of three parts"],
)
def test_what_cannot_be_split_says_why_and_the_cure(groups, craters, keep, cause, cure):
    with pytest.raises(UserError) as refusal:
        group_split(np.array(groups), np.array(craters), 0.2, 0, keep=keep)
    assert cause in str(refusal.value)
    assert cure in str(refusal.value)


# What was cut before


@pytest.mark.parametrize(
    ("seed", "share", "expected"),
    [
        (42, 0.2, "d44f3bebf831ec51"),
        (42, 0.3, "eb2df40cb9ddf904"),
        (42, 0.1, "9844b2794508d9ac"),
        (1, 0.2, "b321016618ca925d"),
        (7, 0.2, "5ad9e9340eb4609b"),
        (7, 0.1, "6e7259eae3965639"),
    ],
)
def test_the_built_in_data_keep_the_parts_that_they_had_before_shares_were_met_otherwise(seed, share, expected):
    """By the sha256 of the row numbers that validated then."""
    train_val = mars_hrsc(NoParameters()).train_val
    cut = group_split(train_val.groups, train_val.crater_pixels(), share, seed)
    assert hashlib.sha256(cut.part.astype(np.int64).tobytes()).hexdigest()[:16] == expected
    assert cut.drawn
    assert cut.warnings == ()


def test_the_built_in_data_keep_their_folds():
    train_val = mars_hrsc(NoParameters()).train_val
    folds = [fold_indices(train_val.groups, train_val.crater_pixels(), Fold(n, 5), 42)[1] for n in range(1, 6)]
    assert [hashlib.sha256(rows.astype(np.int64).tobytes()).hexdigest()[:16] for rows in folds] == [
        "3a25f4d6f1beed9b",
        "5898d1142d547189",
        "0def566eb68bc0a2",
        "4958a5d9bd4de6ca",
        "91f39efc872008a0",
    ]


# A test part


def test_a_test_part_is_cut_by_group_before_everything_else():
    whole = part(np.arange(60) // 3)
    data = Dataset(whole, notes=("a note",), validation=np.arange(60) % 2 == 0)
    train_val, test = cut_test(data, 0.2, 42)
    assert (len(train_val.part), len(test)) == (48, 12)
    assert not set(train_val.part.groups) & set(test.groups)
    assert sorted([*train_val.part.groups, *test.groups]) == sorted(whole.groups)
    # it is of the whole data set, however it is cut
    assert train_val.digest == data.digest()
    assert train_val.id != data.without_test().id != cut_test(data, 0.2, 43)[0].id
    assert (train_val.notes, train_val.has_test) == (("a note",), True)
    np.testing.assert_array_equal(train_val.validation, np.isin(whole.images[:, 0, 0, 0], whole.images[::2, 0, 0, 0])[
        np.isin(whole.groups, train_val.part.groups)
    ])  # fmt: skip
    # they are not those that would validate without it, which may have chosen something before
    plain = group_split(whole.groups, whole.crater_pixels(), 0.2, 42).part
    assert set(whole.groups[plain]) != set(test.groups)
    for seed in (42, 43):
        again = cut_test(data, 0.2, seed)[1]
        assert (again.images.tobytes() == test.images.tobytes()) == (seed == 42)


def test_without_a_share_the_test_part_is_that_of_the_data():
    with_test, without = Dataset(part(range(9)), part(range(3))), Dataset(part(range(9)))
    train_val, test = cut_test(with_test, 0.0, 42)
    assert train_val == with_test.without_test()
    assert test is with_test.test
    assert train_val.has_test
    assert cut_test(without, 0.0, 42)[1] is None
    assert not without.without_test().has_test


def test_each_part_keeps_a_group_with_craters():
    data = Dataset(part(range(30), [0] * 27 + [10] * 3))
    train_val, test = cut_test(data, 0.2, 0)
    assert np.count_nonzero(test.crater_pixels()) == 1
    assert np.count_nonzero(train_val.part.crater_pixels()) == 2


@pytest.mark.parametrize(
    ("data", "cause", "cure"),
    [
        (Dataset(part(range(9)), part(range(3))), "have a test part of 3 images already", "leave out split.test"),
        (Dataset(part([0] * 9)), "cannot give 20% to the test part", "another split.test"),
        (
            Dataset(part(range(9), [0] * 7 + [10] * 2)),
            "too few groups with craters: 2 of 9",
            "more images with craters",
        ),
    ],
    ids=["there is one", "one group", "few craters"],
)
def test_a_test_part_that_cannot_be_cut_says_why_and_the_cure(data, cause, cure):
    with pytest.raises(UserError) as refusal:
        cut_test(data, 0.2, 42)
    assert cause in str(refusal.value)
    assert cure in str(refusal.value)


def test_pixels_that_nobody_knows_are_no_craters():
    known = part(range(4), [10, 20, 0, 0])
    masks = known.masks.copy()
    masks[:, 7] = IGNORED
    assert Subset(known.images, masks, known.groups).crater_pixels().tolist() == [10, 20, 0, 0]


# Folds


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.sampled_from([0, 0, 0, 5, 50])), min_size=3, max_size=12),
    st.integers(2, 12),
    st.integers(0, 2**31),
)
def test_all_folds_have_craters_or_none_is_cut_and_the_number_that_is_named_can_be(made, folds, seed):
    sizes, each = zip(*made, strict=True)
    groups, craters = np.repeat(np.arange(len(sizes)), sizes), np.repeat(each, sizes)
    assume(craters.any())
    said = set()
    for number in range(1, folds + 1):
        try:
            rest, validation = fold_indices(groups, craters, Fold(number, folds), seed)
        except UserError as refusal:
            said.add(str(refusal))
        else:
            said.add("")
            assert craters[rest].any()
            assert craters[validation].any()
    (refused,) = said  # the same for all folds, or none is refused
    if "ask for --folds" in refused:
        possible = int(refused.partition("ask for --folds ")[2].split()[0])
        assert 2 <= possible < folds
        for number in range(1, possible + 1):
            assert all(craters[rows].any() for rows in fold_indices(groups, craters, Fold(number, possible), seed))
    elif refused:
        assert "leave out --folds, or give more groups with craters" in refused
