from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from craterbench.config.resolve import parse_override, resolve
from craterbench.data.dataset import Dataset, Subset
from craterbench.data.leakage import find_leaks
from craterbench.plugin.registry import Registry
from craterbench.training.audit import find_split_leaks, find_test_leaks
from craterbench.training.augment import make_training_data
from craterbench.training.experiment import train_and_evaluate
from craterbench_datasets import Synthetic
from craterbench_datasets.synthetic import synthetic

NAMES = ("validation", "training")


def make_subset(images, groups=None) -> Subset:
    groups = np.arange(len(images)) if groups is None else np.array(groups)
    return Subset(images, np.zeros(images.shape, np.uint8), groups)


def noise(number: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(number, 8, 8, 1)).astype(np.float32)


def test_equal_images_are_found_and_an_image_of_one_value_is_nobodys_copy():
    seen, scored = noise(9, seed=1), noise(5, seed=2)
    scored[[1, 4]] = seen[[7, 0]]
    scored[2] = np.nextafter(seen[3], 1)
    scored[3] = seen[8] = 0.5
    expected = sum(any((one == other).all() and np.ptp(one) for other in seen) for one in scored)  # brute force
    assert expected == 2
    found = find_leaks(make_subset(scored, range(100, 105)), make_subset(seen), names=NAMES)
    assert found == ["leak: 2 of 5 validation images are copies of training images"]


def test_a_group_in_both_is_found_beside_the_copies():
    seen, scored = noise(3, seed=1), noise(4, seed=2)
    scored[0] = seen[0]
    found = find_leaks(make_subset(scored, [5, 6, 6, 9]), make_subset(seen, [5, 6, 7]), names=NAMES)
    assert found == [
        "leak: 1 of 4 validation images are copies of training images",
        "leak: 2 of 4 validation images share a group with training images",
    ]
    assert (
        len(
            find_leaks(make_subset(scored, [5, 6, 6, 9]), make_subset(seen, [5, 6, 7]), names=NAMES, share_groups=False)
        )
        == 1
    )


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_as_many_leaks_are_counted_as_a_search_for_the_originals_finds(copies):
    """Flips are exact, so that whether an image is a copy can be seen: it or a mirror image of it trains."""
    settings = ("dataset.name=synthetic", "dataset.images=20", "dataset.size=16", "split.when=after-augmentation")
    settings += (f"augmentation.copies={copies}", "split.validation=0.6", "training.epochs=1")
    overrides = [parse_override(setting) for setting in settings]
    benchmark = resolve(Registry.installed(), "constant", overrides).benchmark
    (flips,) = (s for s in resolve(Registry.installed(), "flips").benchmark.augmentation.steps if s.name == "flips")
    augmentation = replace(benchmark.augmentation, steps=(flips,))
    train_val = synthetic(Synthetic(images=20, size=16)).train_val
    data = make_training_data(train_val, replace(benchmark, augmentation=augmentation), np.random.default_rng(0))
    trained = {image.tobytes() for image in next(data.epochs).images}

    def mirrored(image):
        return (np.flip(image, axes).tobytes() for axes in ((), (0,), (1,), (0, 1)))

    expected = sum(any(image in trained for image in mirrored(one)) for one in data.validation.images)
    assert expected > 0
    assert find_split_leaks(data)[0].startswith(
        f"leak: {expected} of {len(data.validation)} validation images are copies"
    )


def test_the_reference_leaks_nothing_and_as_published_everything():
    def warnings(*settings: str):
        overrides = [parse_override(setting) for setting in ("training.epochs=1", *settings)]
        return train_and_evaluate(resolve(Registry.installed(), "constant", overrides).benchmark, seed=1).start.warnings

    assert warnings() == ()
    leak, alignment = warnings("split.when=after-augmentation", "augmentation.warp=image")
    assert leak == "leak: 329 of 329 validation images are copies of training images"
    assert alignment.startswith("alignment:")


def test_a_test_image_that_trains_is_found():
    train_val = make_subset(noise(6))
    assert find_test_leaks(train_val.take(np.array([1, 2])), Dataset(train_val).without_test()) == [
        "leak: 2 of 2 test images are copies of training or validation images"
    ]
