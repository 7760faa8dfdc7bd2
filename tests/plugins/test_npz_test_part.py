"""The test part that an npz file brings."""

from __future__ import annotations

import numpy as np
import pytest

from craterbench.plugin import UserError
from craterbench_datasets import File
from craterbench_datasets.files import npz

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)
MASKS = (IMAGES > 128).astype(np.uint8)


def read(path, **arrays):
    np.savez(path, images=IMAGES, masks=MASKS, **arrays)
    return npz(File(path=str(path)))


def test_test_arrays_are_the_test_part_on_the_scale_of_the_images(tmp_path):
    plain = read(tmp_path / "plain.npz")
    dark = IMAGES[:4] // 16
    data = read(tmp_path / "test.npz", test_images=dark, test_masks=MASKS[:4], test_groups=np.array([5, 5, 7, 7]))
    assert plain.test is None
    np.testing.assert_array_equal(data.train_val.images, plain.train_val.images)
    np.testing.assert_array_equal(data.test.images[..., 0], np.float32(dark / 255))
    np.testing.assert_array_equal(data.test.masks[..., 0], MASKS[:4])
    np.testing.assert_array_equal(data.test.groups, [5, 5, 7, 7])
    without = read(tmp_path / "without.npz", test_images=dark, test_masks=MASKS[:4])
    assert len(np.unique(without.test.groups)) == 4
    assert len({plain.digest(), data.digest(), without.digest()}) == 3


@pytest.mark.parametrize(
    ("arrays", "cause", "cure"),
    [
        ({"test_images": IMAGES}, "but no test_masks", "both images and masks"),
        ({"test_masks": MASKS}, "but no test_images", "both images and masks"),
        ({"test_groups": np.arange(6)}, "but no test_images and no test_masks", "both images and masks"),
        ({"test_images": IMAGES, "test_masks": MASKS[:3]}, "6 images but 3 masks", "one mask for each image"),
        (
            {"test_images": IMAGES, "test_masks": MASKS * 0},
            "no mask has a crater pixel",
            "nothing to learn or to score",
        ),
        ({"test_images": IMAGES[:, :4], "test_masks": MASKS[:, :4]}, "4x8 and images 8x8", "give one size"),
        (
            {"test_images": IMAGES, "test_masks": MASKS, "test_groups": np.arange(5)},
            "groups are int64",
            "for each of the 6 images",
        ),
    ],
    ids=["no masks", "no images", "groups alone", "fewer masks", "no crater", "another size", "fewer groups"],
)
def test_a_test_part_that_cannot_be_read_is_named_with_its_cure(tmp_path, arrays, cause, cure):
    with pytest.raises(UserError) as refusal:
        read(tmp_path / "bad.npz", **arrays)
    assert "bad.npz" in str(refusal.value)
    assert cause in str(refusal.value)
    assert cure in str(refusal.value)
