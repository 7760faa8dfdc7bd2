from __future__ import annotations

import fractions
import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold

from craterbench.data.chips import Window, crater_mask, deal, overlap_groups, resample, stretch, widest, windows_around
from craterbench.data.split import Fold, fold_indices, group_split, tail_split_indices
from craterbench.data.values import make_subset
from craterbench.plugin import NoParameters, UserError
from craterbench_datasets import File, Synthetic
from craterbench_datasets.files import IMAGES, MASKS, course, npz
from craterbench_datasets.synthetic import synthetic
from craterbench_mars.chips import FILE, mars_hrsc

IMAGE = np.linspace(0, 255, 5 * 8 * 8).reshape(5, 8, 8)
MASK = (IMAGE > 100).astype(np.uint8)


# What enters


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("scale", [1, 255])
def test_any_numeric_type_and_both_ranges_become_the_same_arrays(dtype, scale):
    images = np.array([0, 1, 0, 1] * 16).reshape(1, 8, 8) * scale
    made = make_subset(images.astype(dtype), (images / scale).astype(dtype), source="test")
    assert made.images.dtype == np.float32
    assert made.masks.dtype == np.uint8
    assert made.images.shape == made.masks.shape == (1, 8, 8, 1)
    np.testing.assert_array_equal(made.images[..., 0], images / scale)
    np.testing.assert_array_equal(made.masks, made.images)


def with_nan(array: np.ndarray) -> np.ndarray:
    array = array.astype(float)
    array[3, 0, 0] = np.nan
    return array


@pytest.mark.parametrize(
    ("images", "masks", "groups", "said"),
    [
        (with_nan(IMAGE), MASK, None, "images hold NaN or infinity, first in image 3"),
        (IMAGE, with_nan(MASK), None, "masks hold NaN"),
        (IMAGE / 254, MASK, None, "clip or scale"),
        (IMAGE * 2, MASK, None, "range from 0 to 510"),
        (IMAGE - 1, MASK, None, "range from -1 to 254"),
        (IMAGE, MASK * 0.5, None, "not binary: image 1 holds 0, 0.5; .*mask_threshold"),
        (IMAGE, MASK[:4], None, "5 images but 4 masks"),
        (IMAGE, MASK[:, :4], None, "masks are 4x8, images 8x8"),
        (IMAGE, MASK * 0, None, "no mask has a crater pixel"),
        (IMAGE[0], MASK, None, r"images have shape \(8, 8\)"),
        (IMAGE[:0], MASK, None, r"images have shape \(0, 8, 8\)"),
        (IMAGE.astype(str), MASK, None, "images are of type <U.*give numbers"),
        (IMAGE, MASK, np.arange(4), "groups are int64"),
        (IMAGE, MASK, np.array([1, 2, 3, 4, np.nan]), "groups hold NaN"),
        (IMAGE, MASK, np.array([None] * 5), "groups are object"),
    ],
)
def test_what_is_wrong_with_arrays_is_named_with_their_source(images, masks, groups, said):
    with pytest.raises(UserError, match=f"my data.*{said}"):
        make_subset(images, masks, groups, source="my data")


# The course's files, and npz


def save(folder, images=IMAGE, masks=MASK):
    np.save(folder / IMAGES, images)
    np.save(folder / MASKS, masks)
    return File(path=str(folder))


@pytest.mark.parametrize("shape", [(6, 2304), (6, 48, 48), (6, 48, 48, 1), (6, 1, 48, 48)])
def test_the_course_files_in_each_of_their_shapes(tmp_path, shape):
    images = np.random.default_rng(0).uniform(0, 255, shape)
    dataset = course(save(tmp_path, images, images > 128))
    np.testing.assert_array_equal(dataset.train_val.images.ravel(), (images.astype(np.float32) / 255).ravel())
    assert dataset.train_val.images.shape == (6, 48, 48, 1)
    assert dataset.test is None
    assert dataset.notes == ("not the published files, by their sha256", "scale byte: 0 to 255 became 0 to 1")


def test_the_published_files_are_recognised(tmp_path, monkeypatch):
    images = np.random.default_rng(0).uniform(0, 255, (6, 2304))
    parameters = save(tmp_path, images, images > 128)
    hashes = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in (IMAGES, MASKS)}
    monkeypatch.setattr("craterbench_datasets.files.PUBLISHED", hashes)  # the real ones cannot be had
    assert course(parameters).notes[0] == "the published files, by their sha256"


def truncate(path, share=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def test_course_files_that_cannot_be_used(tmp_path):
    parameters = File(path=str(tmp_path))
    with pytest.raises(UserError, match=r"Xtrain2_b.npy: there is no such file"):
        course(parameters)
    good = np.random.default_rng(0).uniform(0, 255, (6, 2304))
    save(tmp_path, good, good > 128)
    truncate(tmp_path / MASKS)
    with pytest.raises(UserError, match=r"Ytrain2_b.npy: is cut short or damaged"):
        course(parameters)
    (tmp_path / IMAGES).write_bytes(b"")
    with pytest.raises(UserError, match=r"Xtrain2_b.npy: is cut short or damaged"):
        course(parameters)
    np.save(tmp_path / IMAGES, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"Xtrain2_b.npy: is pickled"):
        course(parameters)
    with pytest.raises(UserError, match=r"shape \(5, 8, 8\); give \(N, 2304\)"):
        course(save(tmp_path))


def test_npz_with_and_without_groups(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, images=IMAGE, masks=MASK)
    np.testing.assert_array_equal(npz(File(path=str(path))).train_val.groups, np.arange(5))
    np.savez(path, images=IMAGE, masks=MASK, groups=[7, 7, 8, 8, 9])
    np.testing.assert_array_equal(npz(File(path=str(path))).train_val.groups, [7, 7, 8, 8, 9])


def test_npz_files_that_cannot_be_used(tmp_path):
    path = tmp_path / "data.npz"
    parameters = File(path=str(path))
    with pytest.raises(UserError, match="no such file"):
        npz(parameters)
    np.savez(path, images=IMAGE, labels=MASK)
    with pytest.raises(UserError, match="has no array masks; its arrays: images, labels; rename"):
        npz(parameters)
    np.savez(path, images=IMAGE, masks=np.array([None, {}]))
    with pytest.raises(UserError, match="is pickled"):
        npz(parameters)
    np.savez(path, images=IMAGE, masks=MASK)
    truncate(path)
    with pytest.raises(UserError, match=r"data.npz: is "):
        npz(parameters)
    with path.open("wb") as file:
        np.save(file, IMAGE)
    with pytest.raises(UserError, match="holds one array"):
        npz(parameters)
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        npz(File(path=str(tmp_path)))


# Splits


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 30), min_size=40, max_size=200).filter(lambda g: len(set(g)) > 4),
    st.integers(0, 2**31),
    st.sampled_from([0.2, 0.3]),
)
def test_a_group_is_never_cut_and_every_row_is_in_one_part(groups, seed, share):
    groups = np.array(groups)
    cut = group_split(groups, np.ones(len(groups), np.int64), share, seed)
    training, validation = cut.rest, cut.part
    assert not set(groups[training]) & set(groups[validation])
    np.testing.assert_array_equal(np.sort(np.concatenate([training, validation])), np.arange(len(groups)))
    assert len(training) > 0
    assert len(validation) > 0


def test_a_split_repeats_and_another_seed_gives_another():
    groups, pixels = np.arange(100) // 3, np.arange(100)
    first, again, other = (group_split(groups, pixels, 0.2, seed).part for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.tolist() != other.tolist()


def test_the_validation_part_of_the_built_in_data_has_its_share_of_images_and_of_craters():
    train_val = mars_hrsc(NoParameters()).train_val
    pixels = train_val.masks.sum(axis=(1, 2, 3))
    validation = group_split(train_val.groups, pixels, 0.2, 42).part
    assert len(validation) / len(train_val) == pytest.approx(0.2, abs=0.01)
    assert pixels[validation].sum() / pixels.sum() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(("number", "share"), [(1, 0.5), (2, 0.2), (2, 0.6), (4, 0.8), (5, 0.85)])
def test_too_small_to_split(number, share):
    with pytest.raises(UserError, match="too small to split"):
        group_split(np.arange(number), np.ones(number, np.int64), share, 0)


@pytest.mark.parametrize(("number", "share"), [(1, 0.2), (4, 0.9)])
def test_too_small_to_cut_from_the_end(number, share):
    with pytest.raises(UserError, match="too small to split"):
        tail_split_indices(number, share)


def test_rows_from_the_end_are_those_of_validation_split_in_keras():
    training, validation = tail_split_indices(1641, 0.2)
    assert (len(training), len(validation)) == (1312, 329)  # published.md counts 329
    assert validation[-1] == 1640


# Chips


def test_resampling_is_the_exact_mean_of_the_area_that_a_pixel_covers():
    pixels = np.random.default_rng(0).integers(0, 256, (36, 36)).astype(np.uint8)
    made = resample(pixels, 48)

    def share(new: int, old: int) -> fractions.Fraction:
        """How much of an old pixel's width a new one covers, as a fraction."""
        scale = fractions.Fraction(36, 48)
        return max(fractions.Fraction(0), min((new + 1) * scale, fractions.Fraction(old + 1)) - max(new * scale, old))

    for row, column in [(0, 0), (1, 2), (17, 30), (47, 47)]:
        total = sum(
            share(row, i) * share(column, j) * int(pixels[i, j])
            for i in range(36)
            for j in range(36)
            if share(row, i) and share(column, j)
        )
        mean = total / fractions.Fraction(36, 48) ** 2
        assert made[row, column] == int(mean + fractions.Fraction(1, 2))


def test_resampling_to_the_same_size_changes_nothing():
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48)).astype(np.uint8)
    np.testing.assert_array_equal(resample(pixels, 48), pixels)


def test_every_chip_is_stretched_to_the_whole_range():
    chips = np.array([[[10, 20], [30, 60]], [[7, 7], [7, 7]]], np.uint8)
    np.testing.assert_array_equal(stretch(chips), [[[0, 51], [102, 255]], [[0, 0], [0, 0]]])
    images = mars_hrsc(NoParameters()).train_val.images
    assert (images.min(axis=(1, 2, 3)) == 0).all()
    assert (images.max(axis=(1, 2, 3)) == 1).all()


def test_the_widest_crater_that_a_window_shows_a_part_of():
    craters = np.array([[5.0, 5.0, 4.0], [30.0, 5.0, 42.0], [100.0, 5.0, 90.0]])
    assert widest(craters, Window(0, 0, 10)) == 42.0  # its centre is outside, its rim is not
    assert widest(craters, Window(0, 0, 8)) == 4.0
    assert widest(craters[:0], Window(0, 0, 8)) == 0.0


def test_a_crater_mask_is_the_disc_it_should_be():
    mask = crater_mask(np.array([[100.0, 200.0, 24.0]]), Window(76, 176, 48), 48)
    assert mask.sum() == pytest.approx(np.pi * 12**2, rel=0.02)
    rows, columns = np.nonzero(mask)
    assert (rows.mean(), columns.mean()) == (23.5, 23.5)
    half = crater_mask(np.array([[100.0, 200.0, 24.0]]), Window(76, 176, 24), 48)  # twice as large, a quarter of it
    assert half.sum() == pytest.approx(np.pi * 24**2 / 4, rel=0.02)


def test_windows_around_a_crater_show_it_and_keep_inside_the_tile():
    windows = windows_around(np.array([30.0, 60.0, 20.0]), sides=(24, 32, 48, 96), extent=(100, 100))
    assert {window.side for window in windows} == {32, 48}
    for window in windows:
        assert 0 <= window.x <= 100 - window.side
        assert 0 <= window.y <= 100 - window.side
        assert window.x <= 30 < window.x + window.side


def test_dealing_gives_each_crater_its_turn_and_no_window_twice():
    shared = Window(9, 9, 9)
    choices = [[Window(x, y, 5) for y in range(3)] + [shared] for x in range(4)]
    dealt = deal(choices, 8, seed=0)
    assert len(set(dealt)) == 8
    assert dealt == deal(choices, 8, seed=0)
    assert len(deal(choices, 100, seed=0)) == 13
    apart = [[Window(x, y, 5) for y in range(3)] for x in range(4)]
    assert {window.x for window in deal(apart, 4, seed=0)} == {0, 1, 2, 3}


def test_windows_that_overlap_through_others_are_one_group():
    windows = [Window(0, 0, 10), Window(9, 9, 10), Window(18, 18, 10), Window(28, 0, 5), Window(10, 0, 9)]
    groups = overlap_groups(windows).tolist()
    assert groups[0] == groups[1] == groups[2]  # each shares one pixel with the next
    assert len({groups[0], groups[3], groups[4]}) == 3  # side by side is not on top of each other


# The built-in data


@pytest.fixture(scope="module")
def chips():
    with np.load(FILE, allow_pickle=False) as arrays:
        return dict(arrays)


def test_the_built_in_data_is_what_it_says(chips):
    dataset = mars_hrsc(NoParameters())
    assert (len(dataset.train_val), len(dataset.test)) == (547, 150)
    assert dataset.train_val.images.shape[1:] == (48, 48, 1)
    for piece in (dataset.train_val, dataset.test):
        assert 0.2 <= piece.masks.mean() <= 0.3
        assert piece.images.std() > 0.05
    assert FILE.stat().st_size <= 2_000_000


def test_no_pixel_of_the_tile_is_in_two_parts(chips):
    train_val = mars_hrsc(NoParameters()).train_val
    validation = group_split(train_val.groups, train_val.crater_pixels(), 0.2, 42).part
    owner = np.full((1700, 1700), -1)
    parts = np.where(chips["test"], 2, 0)
    parts[validation] = 1
    for (x, y, side), number in zip(chips["windows"], parts, strict=True):
        window = owner[y : y + side, x : x + side]
        assert np.isin(window, (-1, number)).all()
        window[:] = number


def test_chips_that_overlap_are_one_group(chips):
    covered: dict[tuple[int, int], int] = {}
    for (x, y, side), group in zip(chips["windows"].tolist(), chips["groups"].tolist(), strict=True):
        for pixel in ((row, column) for row in range(y, y + side) for column in range(x, x + side)):
            assert covered.setdefault(pixel, group) == group


@pytest.mark.network
def test_the_built_in_data_can_be_rebuilt_bit_for_bit(tmp_path):
    rebuilt = tmp_path / "rebuilt.npz"
    subprocess.run([sys.executable, "-m", "craterbench_mars.build", "--out", str(rebuilt)], check=True)
    assert rebuilt.read_bytes() == FILE.read_bytes()


# Synthetic data


def test_synthetic_images_repeat_by_seed_and_show_craters():
    small = Synthetic(images=12, test_images=4, size=32)
    made, again, other = synthetic(small), synthetic(small), synthetic(Synthetic(images=12, size=32, seed=1))
    assert made.digest() == again.digest() != other.digest()
    assert made.train_val.images.shape == (12, 32, 32, 1)
    assert made.train_val.images.dtype == np.float32
    assert (made.train_val.images >= 0).all()
    assert (made.train_val.images <= 1).all()
    assert 0.02 < made.train_val.masks.mean() < 0.6
    # relief is what shows a crater: a slope is brighter or darker than level ground
    inside = made.train_val.masks == 1
    assert made.train_val.images[inside].std() > 1.2 * made.train_val.images[~inside].std()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 7))
def test_every_image_validates_in_one_fold_and_no_group_is_cut(seed, folds):
    generator = np.random.default_rng(seed)
    groups, craters = generator.integers(0, 30, 200), generator.integers(0, 500, 200)
    cut = [fold_indices(groups, craters, Fold(number, folds), seed) for number in range(1, folds + 1)]
    np.testing.assert_array_equal(np.sort(np.concatenate([validation for _, validation in cut])), np.arange(200))
    for training, validation in cut:
        np.testing.assert_array_equal(np.sort(np.concatenate([training, validation])), np.arange(200))
        assert not set(groups[training]) & set(groups[validation])


def test_folds_of_the_built_in_data_are_nearer_to_their_share_than_those_of_scikit_learn():
    train_val = mars_hrsc(NoParameters()).train_val
    craters = train_val.masks.sum(axis=(1, 2, 3), dtype=np.int64)

    def furthest(folds):
        shares = [(len(rows) / len(craters), craters[rows].sum() / craters.sum()) for rows in folds]
        return np.abs(np.array(shares) - 0.2).max()

    ours = [fold_indices(train_val.groups, craters, Fold(number, 5), 42)[1] for number in range(1, 6)]
    theirs = [rows for _, rows in GroupKFold(5).split(craters, groups=train_val.groups)]
    assert furthest(ours) < 0.01 < furthest(theirs)
    others = [fold_indices(train_val.groups, craters, Fold(number, 5), 43)[1] for number in range(1, 6)]
    assert furthest(others) < 0.01
    assert {rows.tobytes() for rows in ours} != {rows.tobytes() for rows in others}
