from __future__ import annotations

import numpy as np
import pytest
from random_parts import random_parts

from craterbench.metrics.evaluator import Evaluator
from craterbench.metrics.metric import Metrics
from craterbench.metrics.statistics import Statistics

METRICS = [Metrics().get(name) for name in ("surface_dice_1", "surface_dice_2", "hausdorff_95")]


def counted(masks: np.ndarray, probabilities: np.ndarray) -> Statistics:
    return Evaluator(np.zeros(masks.shape, np.float32), masks, np.arange(len(masks)), METRICS).count(probabilities)


def edge_of(mask: np.ndarray) -> np.ndarray:
    """Look at the four neighbours of every pixel, one after the other."""
    places = []
    for row, column in np.argwhere(mask):
        around = ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1))
        if not all(0 <= r < mask.shape[0] and 0 <= c < mask.shape[1] and mask[r, c] for r, c in around):
            places.append((row, column))
    return np.array(places)


def brute_force(masks: np.ndarray, probabilities: np.ndarray) -> tuple[list[int], int, list[float]]:
    """Search over all pairs: pixels within 1 and 2, all boundary pixels, and the distance of each image."""
    within, pixels, distances = [0, 0], 0, []
    for mask, called in zip(masks[..., 0] == 1, probabilities[..., 0] > 0.5, strict=True):
        edges = edge_of(mask), edge_of(called)
        pixels += len(edges[0]) + len(edges[1])
        if not (mask.any() and called.any()):
            distances.append(np.hypot(*mask.shape) if mask.any() or called.any() else 0.0)
            continue
        apart = np.sqrt(((edges[0][:, None] - edges[1][None]) ** 2).sum(axis=-1))
        nearest = apart.min(axis=1), apart.min(axis=0)
        for place, tolerance in enumerate((1, 2)):
            within[place] += sum(int((each <= tolerance).sum()) for each in nearest)
        distances.append(max(np.percentile(each, 95) for each in nearest))
    return within, pixels, distances


def test_what_a_search_over_all_pairs_of_boundary_pixels_finds():
    parts = 0
    for masks, probabilities in random_parts(200):
        within, pixels, distances = brute_force(masks, probabilities)
        statistics = counted(masks, probabilities)
        for metric, near in zip(METRICS[:2], within, strict=True):
            assert statistics.value(metric) == (near / pixels if pixels else 1.0)
        each = METRICS[2](statistics.of_images("boundary"))
        np.testing.assert_array_equal(each, distances)
        assert statistics.value(METRICS[2]) == pytest.approx(np.mean(distances), rel=1e-14)
        parts += 1
    assert parts == 200


@pytest.mark.parametrize(
    ("mask", "called", "expected"),
    [(0, 0, (1, 1, 0)), (1, 0, (0, 0, 5)), (0, 1, (0, 0, 5)), (1, 1, (1, 1, 0))],
    ids=["both empty", "nothing predicted", "all invented", "both full"],
)
def test_an_empty_or_full_mask_has_a_documented_value(mask, called, expected):
    masks = np.full((2, 3, 4, 1), mask, np.uint8)
    statistics = counted(masks, np.full(masks.shape, called, np.float32))
    assert tuple(statistics.value(metric) for metric in METRICS) == expected


def test_the_border_of_the_image_ends_a_mask():
    masks = np.zeros((1, 8, 8, 1), np.uint8)
    masks[0, :, :4] = 1
    found = np.zeros(masks.shape, np.float32)
    found[0, :, :5] = 1.0  # one column more: no boundary pixel is further than 1 from the other's
    values = [counted(masks, found).value(metric) for metric in METRICS]
    assert values == [1.0, 1.0, 1.0]


def test_only_a_metric_that_needs_boundaries_has_them_counted():
    masks = np.ones((1, 4, 4, 1), np.uint8)
    plain = Evaluator(masks.astype(np.float32), masks, np.arange(1)).count(masks.astype(np.float32))
    assert plain.arrays.keys() == {"confusion", "cross_entropy"}
    assert counted(masks, masks.astype(np.float32)).arrays.keys() == {"confusion", "cross_entropy", "boundary"}
