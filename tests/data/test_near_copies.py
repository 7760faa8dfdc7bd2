from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from craterbench.data.dataset import Subset
from craterbench.data.leakage import find_leaks
from craterbench.data.near_copies import find_near_copies
from craterbench.plugin import NoParameters
from craterbench_datasets import Synthetic
from craterbench_datasets.synthetic import synthetic
from craterbench_mars.chips import mars_hrsc


def surface(size: int = 400) -> np.ndarray:
    """A rough surface, float64 (size, size) in [0, 255]."""
    noise = np.random.default_rng(0).normal(size=(size, size))
    rough = sum(ndimage.gaussian_filter(noise, sigma) * sigma for sigma in (1, 2, 5))
    return np.interp(rough, (rough.min(), rough.max()), (0, 255)).round()


def chips(*, down: int = 0, right: int = 0, side: int = 48) -> np.ndarray:
    """Cut nine places out of it that share no pixel, moved by some pixels: uint8 (9, side, side, 1)."""
    tile = surface(3 * side + 60)
    corners = [(row, column) for row in (0, side + 10, 2 * side + 20) for column in (0, side + 10, 2 * side + 20)]
    cut = [tile[y + down : y + down + side, x + right : x + right + side] for y, x in corners]
    return np.stack(cut)[..., np.newaxis].astype(np.uint8)


def noisy(images: np.ndarray) -> np.ndarray:
    return np.clip(images + np.random.default_rng(1).normal(0, 3, images.shape), 0, 255).round()


CHANGES = {
    "exact": lambda images: images,
    "brighter by one": lambda images: images.astype(float) + 1,
    "brighter by 10 %": lambda images: np.clip(images * 1.1, 0, 255).round(),
    "of other contrast": lambda images: (images / 255.0) ** 1.5,
    "with noise": noisy,
    "mirrored": lambda images: images[:, :, ::-1],
    "upside down": lambda images: images[:, ::-1],
    "turned by 90": lambda images: np.rot90(images, 1, (1, 2)),
    "turned by 180": lambda images: np.rot90(images, 2, (1, 2)),
    "turned by 270": lambda images: np.rot90(images, 3, (1, 2)),
    "rows and columns swapped": lambda images: images.swapaxes(1, 2),
    "turned, mirrored, noisy": lambda images: noisy(np.rot90(images, 1, (1, 2))[:, ::-1]),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("side", [48, 96])
def test_a_changed_copy_is_found_and_of_which_it_is_one(change, side):
    scored = CHANGES[change](chips(side=side)[2:7])
    found = find_near_copies(scored, chips(side=side))
    assert [(copy.row, copy.of) for copy in found] == [(row, row + 2) for row in range(5)]


@pytest.mark.parametrize(("down", "right"), [(0, 1), (1, 0), (2, 3), (5, 6)])
def test_a_shifted_copy_is_found_with_its_shift(down, right):
    found = find_near_copies(chips(down=down, right=right), chips())
    assert [copy.of for copy in found] == list(range(9))
    assert {copy.how for copy in found} == {f"shifted by {max(down, right)} pixels"}


def test_other_places_of_one_surface_are_no_copies():
    assert find_near_copies(chips()) == []


def test_a_border_that_all_images_have_makes_no_copies():
    bordered = chips().copy()
    bordered[:, :, :20] = 0
    assert find_near_copies(bordered) == []


def test_images_of_one_value_or_of_few_pixels_are_no_copies():
    assert find_near_copies(np.full((3, 48, 48, 1), 7, np.uint8)) == []
    assert find_near_copies(np.tile(chips()[:1, :12, :12], (3, 1, 1, 1))) == []


def test_images_that_are_not_square_are_compared_without_quarter_turns():
    wide = chips()[:, :32]
    assert [copy.how for copy in find_near_copies(wide[:, ::-1], wide)] == ["mirrored"] * 9


def test_leaks_are_counted_apart_from_equal_images():
    seen, scored = chips(), np.concatenate([chips(), chips(down=1)[:3]])[[0, 1, 9, 10, 11]]
    groups = np.arange(20)

    def part(images, first):
        return Subset(np.float32(images / 255), np.zeros(images.shape, np.uint8), groups[first : first + len(images)])

    assert find_leaks(part(scored, 10), part(seen[[0, 1, 2, 5]], 0), names=("test", "training")) == [
        "leak: 2 of 5 test images are copies of training images",
        "leak: 3 of 5 test images are slightly changed, shifted, mirrored or turned copies of training images",
    ]


def test_the_chips_of_mars_raise_no_false_alarm():
    dataset = mars_hrsc(NoParameters())
    assert find_near_copies(dataset.test.images, dataset.train_val.images) == []
    made = synthetic(Synthetic(images=200, test_images=1))
    assert find_near_copies(made.train_val.images) == []
