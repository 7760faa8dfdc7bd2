"""What every augmentation must hold, and each against what NumPy or SciPy make of the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter

from craterbench.plugin import NoParameters
from craterbench.plugin.components import load
from craterbench.plugin.registry import Registry
from craterbench_augment import Blur, Brightness, Contrast, Cutout, Elastic, Gamma, Noise, Shear, Shift
from craterbench_augment.flips import quarter_turns
from craterbench_augment.grey import blur, brightness, contrast, cutout, gamma, noise
from craterbench_augment.warps import elastic, shear, shift

SPECS = {
    name: Registry.installed().get("augmentation", name) for name in sorted(Registry.installed().names("augmentation"))
}
MOVES = ("elastic", "flips", "quarter-turns", "rotate-zoom", "shear", "shift")


def discs(height: int = 48, width: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Images that are their own masks, so that any misalignment shows."""
    rows, columns = np.mgrid[:height, :width]
    centres = np.random.default_rng(0).uniform(12, 36, (30, 2))
    masks = np.stack([np.hypot(rows - y, columns - x) < 9 for y, x in centres])[..., np.newaxis]
    return masks.astype(np.float32), masks.astype(np.uint8)


def grey() -> tuple[np.ndarray, np.ndarray]:
    images = np.random.default_rng(3).uniform(0.3, 0.7, (30, 40, 48, 1)).astype(np.float32)
    return images, (images > 0.6).astype(np.uint8)


def each(low: float, high: float, seed: int = 1) -> np.ndarray:
    """What the generator of that seed gives first, one number for each image."""
    return np.random.default_rng(seed).uniform(low, high, 30).astype(np.float32)[:, None, None, None]


@pytest.mark.parametrize("size", [(48, 48), (40, 56)])
@pytest.mark.parametrize("name", SPECS)
def test_shapes_types_and_ranges_stay_inputs_too_and_only_the_generator_is_drawn_from(name, size):
    images, masks = discs(*size)
    images = images * 0.8 + np.random.default_rng(2).uniform(0, 0.2, images.shape).astype(np.float32)
    before = images.copy(), masks.copy()
    augment, parameters = load(SPECS[name].target), SPECS[name].parameters()
    made, warped = augment(images, masks, np.random.default_rng(1), parameters)
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(masks, before[1])
    assert (made.shape, made.dtype, warped.shape, warped.dtype) == (images.shape, np.float32, masks.shape, np.uint8)
    assert made.min() >= 0
    assert made.max() <= 1
    assert set(np.unique(warped)) <= {0, 1}
    assert (made != images).any()
    again = augment(images, masks, np.random.default_rng(1), parameters)
    np.testing.assert_array_equal(again[0], made)
    np.testing.assert_array_equal(again[1], warped)


@pytest.mark.parametrize("name", SPECS)
def test_an_image_that_is_its_own_mask_still_is_it_where_it_moves_and_else_the_mask_stays(name):
    images, masks = discs()
    made, warped = load(SPECS[name].target)(images, masks, np.random.default_rng(1), SPECS[name].parameters())
    if name in MOVES:
        assert ((made > 0.5) == warped.astype(bool)).mean() > 0.995
        assert (warped != masks).mean() > 0.005
    else:
        np.testing.assert_array_equal(warped, masks)


def test_quarter_turns_are_all_four_and_half_turns_alone_where_an_image_is_not_square():
    for images, possible in ((grey()[0][:, :40, :40], {0, 1, 2, 3}), (grey()[0], {0, 2})):
        masks = (images > 0.5).astype(np.uint8)
        made, turned = quarter_turns(images, masks, np.random.default_rng(1), NoParameters())
        seen = set()
        for row in range(30):
            fitting = [way for way in possible if np.array_equal(np.rot90(images[row], way), made[row])]
            np.testing.assert_array_equal(np.rot90(masks[row], fitting[0]), turned[row])
            seen |= set(fitting)
        assert seen == possible


def test_a_shift_and_a_shear_are_those_that_scipy_makes_of_the_same_numbers():
    images, masks = discs()
    moved, _ = shift(images, masks, np.random.default_rng(1), Shift(shift=0.2))
    distances = np.random.default_rng(1).uniform(-0.2, 0.2, (30, 2)) * 48
    sheared, _ = shear(images, masks, np.random.default_rng(1), Shear(angle=25))
    slopes = np.tan(np.deg2rad(np.random.default_rng(1).uniform(-25, 25, 30)))
    for row in range(30):
        across, down = distances[row]
        image = images[row, ..., 0]
        expected = affine_transform(image, np.eye(2), (-down, -across), order=1, mode="reflect")
        assert np.abs(moved[row, ..., 0] - expected).mean() < 0.01
        back = np.array([[1, 0], [-slopes[row], 1]])
        expected = affine_transform(image, back, (0, slopes[row] * 23.5), order=1, mode="reflect")
        assert np.abs(sheared[row, ..., 0] - expected).mean() < 0.01


def test_an_elastic_field_moves_a_ramp_by_its_displacement():
    """Where the grey value is the column, a pixel's new value says from where across it came."""
    ramp = np.broadcast_to(np.arange(64, dtype=np.float32)[None, None, :, None] / 64, (30, 64, 64, 1)).copy()
    made, _ = elastic(ramp, np.zeros_like(ramp, np.uint8), np.random.default_rng(1), Elastic(displacement=2))
    moved = (made - ramp)[:, 8:-8, 8:-8] * 64  # at the border the ramp is mirrored
    assert np.sqrt((moved**2).mean()) == pytest.approx(2, rel=0.15)
    steps = np.abs(np.diff(moved, axis=2))
    assert steps.max() < 1.5  # smooth: neighbours move almost alike


def test_grey_values_change_as_the_formulas_say():
    images, masks = grey()
    made, _ = brightness(images, masks, np.random.default_rng(1), Brightness(brightness=0.5))
    np.testing.assert_allclose(made, np.clip(images + each(-0.5, 0.5), 0, 1), atol=1e-6)
    assert made.max() == 1  # some were clipped
    made, _ = contrast(images, masks, np.random.default_rng(1), Contrast(contrast=0.4))
    np.testing.assert_allclose(made.mean(axis=(1, 2, 3)), images.mean(axis=(1, 2, 3)), atol=1e-4)
    np.testing.assert_allclose(made.std(axis=(1, 2, 3)), images.std(axis=(1, 2, 3)) * each(0.6, 1.4).ravel(), rtol=1e-4)
    made, _ = gamma(images, masks, np.random.default_rng(1), Gamma(gamma=2))
    np.testing.assert_allclose(made, images ** np.exp(each(-np.log(2), np.log(2))), rtol=1e-5)
    made, _ = noise(images, masks, np.random.default_rng(1), Noise(deviation=0.1))
    np.testing.assert_allclose((made - images).std(axis=(1, 2, 3)), each(0, 0.1).ravel(), rtol=0.1)
    made, _ = blur(images, masks, np.random.default_rng(1), Blur(deviation=2))
    for row, deviation in enumerate(each(0, 2).ravel()):
        expected = gaussian_filter(images[row, ..., 0], float(deviation), mode="mirror")
        np.testing.assert_allclose(made[row, ..., 0], expected, atol=0.01)


def test_a_cutout_is_a_square_of_the_mean():
    images, masks = grey()
    made, _ = cutout(images, masks, np.random.default_rng(1), Cutout(side=0.5))
    for row in range(30):
        changed = (made[row] != images[row])[..., 0]
        rows, columns = (np.flatnonzero(changed.any(axis=axis)) for axis in (1, 0))
        assert changed[np.ix_(rows, columns)].all()
        assert len(rows) <= 20
        assert len(columns) <= 20
        np.testing.assert_allclose(made[row][changed], images[row].mean(), rtol=1e-6)
    assert (made != images).any(axis=(1, 2, 3)).all()
