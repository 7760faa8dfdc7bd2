from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from craterbench.data.alignment import find_misalignment
from craterbench.data.chips import Window, crater_mask
from craterbench.data.dataset import Subset
from craterbench.plugin import NoParameters
from craterbench_datasets import Synthetic
from craterbench_datasets.synthetic import synthetic
from craterbench_mars.chips import mars_hrsc


@pytest.fixture(scope="module", params=["mars-hrsc", "synthetic"])
def part(request) -> Subset:
    if request.param == "mars-hrsc":
        return mars_hrsc(NoParameters()).test
    return synthetic(Synthetic(images=150, test_images=1)).train_val


FAULTS = {
    "3 down": (lambda masks: np.roll(masks, 3, 1), "moved by"),
    "3 up and 2 right": (lambda masks: np.roll(masks, (-3, 2), (1, 2)), "moved by"),
    "mirrored": (lambda masks: masks[:, :, ::-1], "mirrored left to right"),
    "upside down": (lambda masks: masks[:, ::-1], "mirrored upside down"),
    "turned": (lambda masks: np.rot90(masks, 1, (1, 2)), "turned by 270 degrees"),
    "turned back": (lambda masks: np.rot90(masks, 3, (1, 2)), "turned by 90 degrees"),
    "turned by half": (lambda masks: np.rot90(masks, 2, (1, 2)), "turned by 180 degrees"),
    "rows for columns": (lambda masks: masks.swapaxes(1, 2), "with rows and columns swapped"),
    "those of the image before": (lambda masks: np.roll(masks, 1, 0), "on the image 1 before"),
    "in another order": (lambda masks: masks[np.random.default_rng(3).permutation(len(masks))], "another order"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_masks_that_do_not_fit_are_found(part, fault):
    change, words = FAULTS[fault]
    (warning,) = find_misalignment(replace(part, masks=np.ascontiguousarray(change(part.masks))))
    assert warning.startswith("alignment: ")
    assert words in warning


def test_masks_that_fit_and_those_a_pixel_beside_pass(part):
    assert find_misalignment(part) == []
    assert find_misalignment(replace(part, masks=np.roll(part.masks, 1, 1))) == []


def test_how_to_move_masks_is_said():
    made = synthetic(Synthetic(images=40, test_images=1)).train_val
    (warning,) = find_misalignment(replace(made, masks=np.roll(made.masks, (3, -2), (1, 2))))
    assert "moved by 3 up and 2 right, in pixels" in warning


def test_of_a_few_images_or_masks_that_are_all_alike_nothing_is_said(part):
    assert find_misalignment(replace(part, masks=np.roll(part.masks, 3, 1)).take(np.arange(19))) == []
    noise = np.random.default_rng(0).uniform(size=part.images.shape).astype(np.float32)
    alike = np.zeros_like(part.masks)
    alike[:, 10:30, 10:30] = 1
    assert find_misalignment(replace(part, images=noise, masks=alike)) == []


@pytest.mark.parametrize(("factor", "words"), [(0.5, "twice as wide"), (1.0, None), (2.0, "half as wide")])
def test_radii_for_diameters_are_found(factor, words):
    generator = np.random.default_rng(0)
    images, masks, circles = [], [], []
    for _ in range(30):
        circle = np.array([[*generator.uniform(20, 28, 2), generator.uniform(14, 20)]])
        disc = crater_mask(circle, Window(0, 0, 48), 48)
        images.append(0.4 + 0.3 * disc + generator.normal(0, 0.05, disc.shape))
        circles.append(circle * (1, 1, factor))
        masks.append(crater_mask(circles[-1], Window(0, 0, 48), 48))
    arrays = np.float32(images)[..., np.newaxis], np.stack(masks)[..., np.newaxis]
    found = find_misalignment(Subset(*arrays, np.arange(30), circles=tuple(circles)))
    assert any(words in warning for warning in found) if words else found == []
