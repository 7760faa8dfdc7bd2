"""One scale for a whole data set, masks of every kind, and what makes a data set doubtful."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from craterbench.data.dataset import IGNORED
from craterbench.data.scale import Scale
from craterbench.data.values import Arrays, make_dataset, make_images, make_subset
from craterbench.plugin import UserError

RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (6, 8, 8), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65536, (6, 8, 8), dtype=np.uint16)
UNIT = RANDOM.uniform(0, 1, (6, 8, 8))
MASK = (np.arange(64).reshape(8, 8) < 20).astype(np.uint8)[np.newaxis].repeat(6, axis=0)


def made(images, masks=MASK, test=None, **options):
    return make_dataset(Arrays(images, masks), test, source="my data", **options)


def scaled(images, **options):
    return made(images, **options).train_val.images[..., 0]


# Scales


@pytest.mark.parametrize(
    ("images", "scale", "expected"),
    [
        (BYTES, "byte", BYTES.astype(np.float32) / np.float32(255)),
        (BYTES.astype(float), "byte", BYTES.astype(np.float32) / np.float32(255)),
        (UNIT, "unit", UNIT.astype(np.float32)),
        (MASK, "unit", MASK.astype(np.float32)),
        (DEEP, "uint16", DEEP.astype(np.float32) / np.float32(65535)),
    ],
)
def test_auto_finds_the_scale_and_says_it(images, scale, expected):
    dataset = made(images)
    np.testing.assert_array_equal(dataset.train_val.images[..., 0], expected)
    np.testing.assert_array_equal(scaled(images, scale=scale), expected)
    assert dataset.notes[0].startswith(f"scale {scale}: 0 to ")


def test_the_digest_of_data_that_could_be_read_before_is_what_it_was():
    """The arrays and digests are those of the version before scales could be chosen."""
    before = np.arange(2 * 4 * 4).reshape(2, 4, 4)
    grey = before[..., np.newaxis].astype(np.float32) / np.float32(255)
    binary = (before[..., np.newaxis] > 9).astype(np.uint8)
    piece = hashlib.sha256(repr(grey.shape).encode())
    piece.update(grey.tobytes())
    piece.update(binary.tobytes())
    content = hashlib.sha256(piece.hexdigest().encode())
    content.update(np.arange(2).tobytes())
    assert made(before, (before > 9) * 255).digest() == content.hexdigest()


def test_a_scale_from_the_lowest_to_the_highest_is_that_of_all_parts():
    heights = RANDOM.normal(-3000, 500, (6, 8, 8))
    test = Arrays(heights * 2, MASK)
    dataset = made(heights, test=test, scale="minmax")
    low, high = min(heights.min(), (heights * 2).min()), max(heights.max(), (heights * 2).max())
    np.testing.assert_allclose(dataset.train_val.images[..., 0], (heights - low) / (high - low), atol=1e-6)
    np.testing.assert_allclose(dataset.test.images[..., 0], (heights * 2 - low) / (high - low), atol=1e-6)
    assert dataset.test.images.min() == 0
    assert dataset.notes == (f"scale minmax: {low:.12g} to {high:.12g} became 0 to 1",)


def test_what_a_note_says_of_a_scale_is_that_scale():
    for scale in (Scale("byte", 0.0, 255.0), Scale("minmax", -3.25, 70000.0)):
        assert Scale.parse(str(scale)) == scale
    assert Scale.parse("4 images: colour, turned to grey") is None


def test_large_whole_numbers_keep_their_differences():
    images = 2**30 + np.arange(64).reshape(1, 8, 8)
    np.testing.assert_allclose(make_images(images, source="", scale="minmax").ravel(), np.arange(64) / 63, atol=1e-7)


def test_dark_bytes_are_no_mixture():
    dark = BYTES.copy()
    dark[2] = MASK[0]
    np.testing.assert_array_equal(scaled(dark), dark.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(scaled(dark.astype(float)), scaled(dark))
    np.testing.assert_array_equal(scaled(BYTES % 8.0), scaled(BYTES % 8))


def alternating(dark, bright):
    images = bright.astype(np.result_type(dark, bright))
    images[::2] = dark[::2]
    return images


MIXED = {
    "0 to 1 among 0 to 255": (
        alternating(UNIT, BYTES),
        r"mix scales: image 0 reaches 0\.9\d+, image \d reaches 2\d\d; ",
    ),
    "8 bits among 16": (
        alternating(BYTES, DEEP),
        r"mix scales: image 0 reaches 2\d\d, image \d reaches 6.* or say with dataset.scale=uint16",
    ),
    "floats a little over 1": (UNIT * 1.1, r"reach 1\.\d+ in image \d: 0 to 1 and a little over.*dataset.scale=byte"),
    "floats up to 10": (UNIT * 10, r"reach 9\.\d+ in image \d: .* or dark ones.*dataset.scale=byte or minmax"),
    "floats above 255": (UNIT * 1000, "range from 0.* to 99.*; give grey values 0 to 255.*, uint16 for 0 to 65535"),
    "negative": (UNIT - 0.5, "range from -0.4.*, first in image .*minmax for the lowest to the highest"),
    "wide integers": (DEEP.astype(np.int64) * 2, "range from .*minmax for the lowest"),
}


@pytest.mark.parametrize("what", MIXED)
def test_grey_values_whose_scale_cannot_be_told_are_refused(what):
    images, said = MIXED[what]
    with pytest.raises(UserError, match=f"my data: images .*{said}"):
        made(images)


def test_parts_that_mix_scales_are_refused_and_scaled_together_if_the_scale_is_said():
    test = Arrays(UNIT, MASK, names=tuple(f"{row}.png" for row in range(6)))
    with pytest.raises(UserError, match=r"mix scales: 0\.png reaches 0\.9\d+, image \d reaches 25\d; .*scale=byte"):
        made(BYTES, test=test)
    np.testing.assert_array_equal(
        made(BYTES, test=test, scale="byte").test.images[..., 0], UNIT.astype(np.float32) / np.float32(255)
    )


@pytest.mark.parametrize(
    ("images", "scale", "said"),
    [
        (
            BYTES,
            "unit",
            r"range from 0 to 25\d, first in image \d, which is outside 0 to 1 \(scale unit\); set another",
        ),
        (DEEP, "byte", r"outside 0 to 255 \(scale byte\)"),
        (UNIT - 1, "uint16", r"outside 0 to 65535 \(scale uint16\)"),
        (MASK * 0, "minmax", r"all have the grey value 0; give images"),
    ],
)
def test_grey_values_outside_the_scale_that_is_set(images, scale, said):
    with pytest.raises(UserError, match=f"my data: images .*{said}"):
        made(images, scale=scale)


# Shapes and groups


@pytest.mark.parametrize("shape", [(6, 8, 8), (6, 8, 8, 1), (6, 1, 8, 8)])
def test_one_channel_may_be_first_or_last(shape):
    subset = make_subset(BYTES.reshape(shape), MASK.reshape(shape), source="")
    np.testing.assert_array_equal(subset.images, made(BYTES).train_val.images)
    np.testing.assert_array_equal(subset.masks[..., 0], MASK)


@pytest.mark.parametrize("shape", [(6, 3, 8, 8), (6, 8, 8, 3), (6, 64)])
def test_other_channels_are_refused(shape):
    with pytest.raises(UserError, match=r"images have shape .*; give grey ones: \(N, H, W\)"):
        make_subset(np.zeros(shape), MASK, source="")


@pytest.mark.parametrize("groups", [["b", "a", "b", "c"], [2.5, 1.0, 2.5, 3.0], [b"y", b"x", b"y", b"z"]])
def test_groups_may_be_texts_or_floats(groups):
    subset = make_subset(BYTES[:4], MASK[:4], np.array(groups), source="")
    np.testing.assert_array_equal(subset.groups, [1, 0, 1, 2])


def test_integers_stay_the_groups_that_they_are_and_texts_mean_the_same_in_all_parts():
    assert make_subset(BYTES[:4], MASK[:4], np.array([9, 7, 7, 9], np.uint8), source="").groups.tolist() == [9, 7, 7, 9]
    parts = [Arrays(BYTES[:2], MASK[:2], np.array(each)) for each in (["b", "c"], ["a", "c"])]
    dataset = make_dataset(*parts, source="")
    assert dataset.train_val.groups[1] == dataset.test.groups[1]
    assert len({*dataset.train_val.groups.tolist(), *dataset.test.groups.tolist()}) == 3


def test_an_image_without_a_group_shares_none_with_any_part():
    parts = [Arrays(BYTES[:3], MASK[:3]), Arrays(BYTES[3:], MASK[3:])]
    dataset = make_dataset(*parts, source="")
    assert dataset.train_val.groups.tolist() == [0, 1, 2]
    assert dataset.test.groups.tolist() == [3, 4, 5]
    dataset = make_dataset(replace(parts[0], groups=np.array([5, 5, 9])), parts[1], source="")
    assert dataset.test.groups.tolist() == [10, 11, 12]
    dataset = make_dataset(parts[0], replace(parts[1], groups=np.array(["a", "b", "a"])), source="")
    assert len({*dataset.train_val.groups.tolist(), *dataset.test.groups.tolist()}) == 5


# Masks


@pytest.mark.parametrize("top", [1, 255, 65535])
@pytest.mark.parametrize("dtype", [np.uint16, np.int64, np.float32])
def test_masks_of_0_and_one_other_value(top, dtype):
    np.testing.assert_array_equal(made(BYTES, MASK.astype(dtype) * dtype(top)).train_val.masks[..., 0], MASK)


def test_soft_masks_are_crater_from_the_threshold_on():
    soft = np.linspace(0, 1, 6 * 64).reshape(6, 8, 8)
    dataset = made(BYTES, soft, mask_threshold=0.4)
    np.testing.assert_array_equal(dataset.train_val.masks[..., 0], soft >= 0.4)
    assert dataset.notes[1] == "masks: crater from 0.4 on (mask_threshold)"


@pytest.mark.parametrize(("value", "top"), [(255, 1), (7, 255), (2, 1)])
def test_the_value_where_nobody_knows_is_ignored(value, top):
    masks = MASK.astype(int) * top
    masks[0, 7, 7] = value
    dataset = made(BYTES, masks, ignore=value)
    assert dataset.train_val.masks[0, 7, 7, 0] == IGNORED
    assert (dataset.train_val.masks == IGNORED).sum() == 1
    assert (dataset.train_val.masks == 1).sum() == MASK.sum()
    assert dataset.notes[1] == f"masks: {value} is ignored (0.3% of the pixels)"


def with_255():
    masks = MASK.copy()
    masks[3] *= 255
    return masks


UNUSABLE = {
    "0/1 among 0/255": (
        with_255(),
        {},
        r"not binary: image 0 holds 0, 1, and image 3 reaches 255; give.*dataset\.ignore",
    ),
    "many values": (BYTES, {}, r"not binary: image 0 holds \d+, \d+, \d+, \d+, ….*dataset.mask_threshold"),
    "0 and 2": (MASK * 2, {}, "not binary: image 0 holds 0, 2; give 0 and 1, 0 and 255 or 0 and 65535"),
    "negative": (-MASK.astype(int), {}, "not binary: image 0 holds -1, 0; give 0 and 1"),
    "above all": (
        MASK,
        {"mask_threshold": 2.0},
        "no mask has a crater pixel at mask_threshold 2; the highest value is 1",
    ),
    "all ignored": (MASK * 255, {"ignore": 255}, "no mask has a crater pixel where 255 is ignored"),
    "infinite": (np.where(MASK, np.inf, 0), {}, "masks hold NaN or infinity, first in image 0; give 0 and 1"),
    "text": (MASK.astype(str), {}, "masks are of type <U.; give numbers"),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_masks_that_cannot_be_used(what):
    masks, options, said = UNUSABLE[what]
    with pytest.raises(UserError, match=f"my data: .*{said}"):
        made(BYTES, masks, **options)


# Doubts


def test_nothing_is_doubtful_about_good_data():
    assert made(BYTES).warnings == ()


def test_what_makes_a_data_set_doubtful_is_said():
    assert (
        "69% of train_val is crater, more than background; are the masks inverted" in made(BYTES, 1 - MASK).warnings[0]
    )
    (everything,) = made(BYTES, test=Arrays(DEEP[:2] % 256, MASK[:2] | 1)).warnings
    assert everything.startswith("masks: every pixel of test is crater")
    flat = BYTES.copy()
    flat[[2, 4]] = 9
    assert made(flat).warnings == ("images: 2 of train_val show one grey value, first image 2",)


def test_an_image_that_comes_twice_is_doubtful_if_its_masks_differ():
    twice = BYTES.copy()
    twice[5] = twice[1]
    assert made(twice).warnings == ()
    masks = MASK.copy()
    masks[5, 0, 0] = 0
    assert made(twice, masks).warnings == (
        "masks: 1 image(s) come twice with different masks, first image 1 and image 5",
    )
    test = Arrays(BYTES[:1], 1 - MASK[:1].repeat(1, axis=0), names=("a.png",))
    assert any("first image 0 and a.png of test" in warning for warning in made(BYTES, test=test).warnings)
