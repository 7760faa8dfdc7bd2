import numpy as np
import pytest

from craterbench.data.dataset import IGNORED
from craterbench.data.padding import pad_to_multiple


@pytest.mark.parametrize("shape", [(3, 50, 48, 1), (2, 7, 33, 1), (1, 1, 2, 1), (2, 3, 3, 1)])
def test_the_crop_of_what_is_padded_is_what_was_given(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).random(shape, dtype=np.float32)
    padded, crop = pad_to_multiple(images, 8)
    assert padded.dtype == np.float32
    assert [side % 8 for side in padded.shape[1:3]] == [0, 0]
    assert all(new - old < 8 for new, old in zip(padded.shape, shape, strict=True))
    np.testing.assert_array_equal(padded[crop], images)


def test_the_border_is_a_mirror() -> None:
    row = np.arange(5, dtype=np.uint16).reshape(1, 1, 5, 1).repeat(8, axis=1)
    padded, _ = pad_to_multiple(row, 8)
    assert padded[0, 0, :, 0].tolist() == [1, 0, 1, 2, 3, 4, 3, 2]


def test_a_size_that_fits_is_not_copied() -> None:
    images = np.zeros((2, 16, 24, 1), np.float32)
    padded, crop = pad_to_multiple(images, 8)
    assert padded is images
    assert padded[crop].shape == images.shape


def test_masks_are_padded_with_a_value() -> None:
    masks = np.ones((2, 6, 8, 1), np.uint8)
    padded, crop = pad_to_multiple(masks, 8, value=IGNORED)
    assert (padded == IGNORED).sum() == 2 * 2 * 8
    assert padded[crop].all()
    assert (padded[crop] == 1).all()
