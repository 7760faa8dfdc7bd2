from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from craterbench.config.benchmark import AugmentationConfig, AugmentationStep
from craterbench.config.resolve import parse_override, resolve
from craterbench.data.dataset import IGNORED, Subset
from craterbench.plugin import NoParameters, UserError
from craterbench.plugin.registry import Registry
from craterbench.training.augment import augmented, make_training_data
from craterbench_augment import RotateZoom
from craterbench_augment.flips import flips
from craterbench_augment.warps import rotate_zoom
from craterbench_datasets import Synthetic
from craterbench_datasets.synthetic import synthetic

FLIPS = [(), (0,), (1,), (0, 1)]


def benchmark(name: str, *settings: str):
    common = ["dataset.name=synthetic", "framework=sklearn", "model.name=constant", "optimizer.name=sgd"]
    overrides = [parse_override(s) for s in (*common, "optimizer.learning_rate=0.1", *settings)]
    return resolve(Registry.installed(), name, overrides).benchmark


@pytest.fixture(scope="module")
def train_val() -> Subset:
    made = synthetic(Synthetic(images=25, test_images=1)).train_val
    return Subset(made.images, made.masks, np.arange(25) % 10)


def discs() -> Subset:
    """Images that are their own masks, so that any misalignment shows."""
    rows, columns = np.mgrid[:48, :48]
    centres = np.random.default_rng(0).uniform(12, 36, (30, 2))
    masks = np.stack([(np.hypot(rows - y, columns - x) < 9) for y, x in centres])[..., np.newaxis]
    return Subset(masks.astype(np.float32), masks.astype(np.uint8), np.arange(30))


def test_image_and_mask_go_through_the_same_warp():
    before = discs()
    images, masks = rotate_zoom(before.images, before.masks, np.random.default_rng(1), RotateZoom())
    assert ((images > 0.5) == masks.astype(bool)).mean() > 0.995
    moved = (masks != before.masks).mean()
    assert moved > 0.03  # or the line above would say nothing


def test_the_warp_is_the_rotation_and_zoom_that_scipy_makes_of_the_same_numbers():
    before = discs()
    images, _ = rotate_zoom(before.images, before.masks, np.random.default_rng(1), RotateZoom())
    generator = np.random.default_rng(1)
    angles, factors = np.deg2rad(generator.uniform(-20, 20, 30)), generator.uniform(0.7, 1.3, 30)
    for row in range(30):
        cosine, sine = np.cos(angles[row]) / factors[row], np.sin(angles[row]) / factors[row]
        back = np.array([[cosine, sine], [-sine, cosine]])  # in rows and columns, rows pointing down
        offset = 23.5 - back @ [23.5, 23.5]
        expected = affine_transform(before.images[row, ..., 0], back, offset, order=1, mode="reflect")
        assert np.abs(images[row, ..., 0] - expected).mean() < 0.01


def test_no_rotation_and_no_zoom_change_nothing():
    before = discs()
    images, masks = rotate_zoom(before.images, before.masks, np.random.default_rng(1), RotateZoom(rotation=0, zoom=0))
    np.testing.assert_array_equal(images, before.images)
    np.testing.assert_array_equal(masks, before.masks)


def test_flips_are_all_four_and_nothing_else_and_masks_go_with_their_images():
    before = discs()
    images = np.random.default_rng(0).uniform(size=before.images.shape).astype(np.float32)
    flipped, masks = flips(images, before.masks, np.random.default_rng(1), NoParameters())
    seen = set()
    for row in range(30):
        (way,) = [axes for axes in FLIPS if (np.flip(images[row], axes) == flipped[row]).all()]
        np.testing.assert_array_equal(np.flip(before.masks[row], way), masks[row])
        seen.add(way)
    assert seen == set(FLIPS)


def test_each_flip_has_probability_a_half():
    images = np.tile(np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1) / 3, (10_000, 1, 1, 1))
    flipped, _ = flips(images, (images > 0.5).astype(np.uint8), np.random.default_rng(1), NoParameters())
    shares = np.unique(flipped[:, 0, 0, 0], return_counts=True)[1] / 10_000
    assert shares == pytest.approx([0.25] * 4, abs=0.02)


def test_originals_come_first_then_their_copies(train_val):
    shown = augmented(train_val, benchmark("reference").augmentation, np.random.default_rng(0))
    assert len(shown) == 75
    np.testing.assert_array_equal(shown.images[:25], train_val.images)
    np.testing.assert_array_equal(shown.groups, np.tile(train_val.groups, 3))
    assert (shown.images[25:50] != shown.images[50:]).any()


def test_warping_only_images_leaves_the_masks_where_they_were(train_val):
    augmentation = benchmark("as-published").augmentation
    shown = augmented(train_val, augmentation, np.random.default_rng(0))
    np.testing.assert_array_equal(shown.masks, np.tile(train_val.masks, (3, 1, 1, 1)))
    assert (shown.images[25:50] != train_val.images).any()


def test_the_validation_part_is_not_augmented_and_shares_no_group_with_training(train_val):
    data = make_training_data(train_val, benchmark("reference"), np.random.default_rng(0))
    training = next(data.epochs)
    assert not set(training.groups) & set(data.validation.groups)
    originals = {image.tobytes() for image in train_val.images}
    assert {image.tobytes() for image in data.validation.images} <= originals
    assert {image.tobytes() for image in data.sample.images} <= {image.tobytes() for image in training.images}
    assert {image.tobytes() for image in data.sample.images} <= originals


def test_as_published_validates_on_the_last_rows_copies_of_images_that_train(train_val):
    data = make_training_data(train_val, benchmark("as-published"), np.random.default_rng(0))
    training = next(data.epochs)
    assert (len(training), len(data.validation)) == (60, 15)
    assert set(data.validation.groups) <= set(training.groups)


def test_what_validates_is_the_same_for_every_seed_of_a_run(train_val):
    for name in ("reference", "as-published"):
        first, second = (make_training_data(train_val, benchmark(name), np.random.default_rng(seed)) for seed in (1, 2))
        np.testing.assert_array_equal(first.validation.images, second.validation.images)
        np.testing.assert_array_equal(first.sample.images, second.sample.images)


def test_once_is_the_same_in_every_epoch_and_every_epoch_is_not(train_val):
    once = make_training_data(train_val, benchmark("reference"), np.random.default_rng(0)).epochs
    np.testing.assert_array_equal(next(once).images, next(once).images)
    anew = make_training_data(
        train_val, benchmark("reference", "augmentation.drawn=every-epoch"), np.random.default_rng(0)
    ).epochs
    first, second = next(anew), next(anew)
    assert (first.images != second.images).any()
    number = len(first) // 3
    np.testing.assert_array_equal(first.images[:number], second.images[:number])


@pytest.mark.parametrize(("augment", "parameters"), [(rotate_zoom, RotateZoom()), (flips, NoParameters())])
def test_ignored_pixels_move_with_their_image(augment, parameters):
    before = discs()
    left_out = np.where(before.masks == 1, IGNORED, 0).astype(np.uint8)
    _, masks = augment(before.images, before.masks, np.random.default_rng(1), parameters)
    _, moved = augment(before.images, left_out, np.random.default_rng(1), parameters)
    np.testing.assert_array_equal(moved, np.where(masks == 1, IGNORED, 0))


def test_a_step_is_applied_to_its_share_of_images_and_masks_go_with_them():
    before = discs()
    everything = Subset(np.tile(before.images, (20, 1, 1, 1)), np.tile(before.masks, (20, 1, 1, 1)), np.arange(600))
    asked = benchmark(
        "flips", "augmentation.rotate-zoom=false", "augmentation.copies=1", "augmentation.flips.probability=0.3"
    ).augmentation
    made = augmented(everything, asked, np.random.default_rng(1))
    copies, masks = made.images[600:], made.masks[600:]
    np.testing.assert_array_equal(copies > 0.5, masks == 1)
    changed = (copies != everything.images).any(axis=(1, 2, 3)).mean()
    assert 0.15 < changed < 0.3  # of those that are flipped, a quarter is flipped in neither direction


def test_of_a_probability_of_1_nothing_is_drawn_and_of_0_nothing_is_changed():
    before = discs()
    plain, always, never = (
        augmented(
            before,
            benchmark("flips", "augmentation.rotate-zoom=false", "augmentation.copies=1", *more).augmentation,
            np.random.default_rng(1),
        )
        for more in ([], ["augmentation.flips.probability=1"], ["augmentation.flips.probability=0"])
    )
    np.testing.assert_array_equal(plain.images, always.images)
    np.testing.assert_array_equal(never.images[30:], before.images)


def test_copies_may_train_in_place_of_the_originals():
    before = discs()
    asked = benchmark("flips", "augmentation.copies=2", "augmentation.originals=false").augmentation
    made = augmented(before, asked, np.random.default_rng(1))
    beside = augmented(before, benchmark("flips", "augmentation.copies=2").augmentation, np.random.default_rng(1))
    np.testing.assert_array_equal(made.images, beside.images[30:])
    np.testing.assert_array_equal(made.masks, beside.masks[30:])
    assert len(made) == len(made.groups) == 60


@pytest.mark.parametrize(
    ("settings", "cure"),
    [
        (["augmentation.copies=0", "augmentation.originals=false"], r"set augmentation\.copies to 1 or more"),
        (["augmentation.originals=false", "split.when=after-augmentation"], "leave it true"),
        (["augmentation.flips.probability=1.5"], r"augmentation\.flips\.probability: 1\.5 is outside 0 to 1"),
    ],
)
def test_what_cannot_be_augmented_is_refused(settings, cure):
    with pytest.raises(UserError, match=cure):
        benchmark("flips", *settings)


def test_what_was_added_later_is_in_a_config_only_where_it_is_not_at_its_default():
    plain = benchmark("flips").as_dict()
    assert plain["augmentation"] == benchmark("flips", "augmentation.originals=true").as_dict()["augmentation"]
    assert "originals" not in plain["augmentation"]
    assert "probability" not in plain["augmentation"]["flips"]
    assert "test" not in plain["split"]
    other = benchmark("flips", "augmentation.originals=false", "augmentation.flips.probability=0.5").as_dict()
    assert other["augmentation"]["originals"] is False
    assert other["augmentation"]["flips"] == {"probability": 0.5}


class NotItsMask:
    """An augmentation that is said to leave masks alone, and does not."""

    @staticmethod
    def change(images, masks, generator, parameters):
        return images, 1 - masks


def test_masks_pass_by_what_is_said_not_to_move_pixels():
    step = AugmentationStep(name="x", version=1, target="not:imported", parameters=NoParameters(), geometric=False)
    asked = AugmentationConfig(copies=1, steps=(step,))
    before = discs()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("craterbench.training.augment.load", lambda target: NotItsMask.change)
        made = augmented(before, asked, np.random.default_rng(1))
    np.testing.assert_array_equal(made.masks[30:], before.masks)
