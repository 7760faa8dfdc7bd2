from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from random_parts import random_parts

from craterbench.metrics.evaluator import Evaluator
from craterbench.metrics.metric import Metrics
from craterbench.metrics.statistics import Statistics

SIZES = ("small", "medium", "large")
METRICS = {
    name: Metrics().get(f"object_{name}") for name in ("precision", "recall", "f1", *(f"recall_{s}" for s in SIZES))
}


def counted(masks: np.ndarray, called: np.ndarray) -> Statistics:
    evaluator = Evaluator(np.zeros(masks.shape, np.float32), masks, np.arange(len(masks)), METRICS.values())
    return evaluator.count(called.astype(np.float32))


def values(statistics: Statistics) -> dict[str, float]:
    return {name: statistics.value(metric) for name, metric in METRICS.items()}


def flooded(mask: np.ndarray) -> list[frozenset[tuple[int, int]]]:
    """Return the pixels of each object, flooded from its first over sides and corners."""
    left, found = {(int(row), int(column)) for row, column in np.argwhere(mask)}, []
    while left:
        todo, seen = [left.pop()], set()
        while todo:
            row, column = todo.pop()
            seen.add((row, column))
            around = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= around
            todo += around
        found.append(frozenset(seen))
    return found


def size_of(pixels: frozenset[tuple[int, int]]) -> str:
    diameter = 2 * math.sqrt(len(pixels) / math.pi)
    return "small" if diameter < 8 else "medium" if diameter < 16 else "large"


def best_matching(true: list, found: list) -> list:
    """Return the objects of the mask that are matched in the best of all assignments, tried one by one."""
    pairs = {(t, f): 2 * len(t & f) >= len(t | f) for t in true for f in found}
    few, many = sorted((true, found), key=len)
    best: list = []
    for others in itertools.permutations(many, len(few)):
        tried = zip(few, others, strict=True) if few is true else zip(others, few, strict=True)
        matched = [t for t, f in tried if pairs[t, f]]
        best = max(best, matched, key=len)
    return best


def test_what_all_permutations_of_the_objects_find():
    small = found_some = 0
    for masks, probabilities in random_parts(200):
        sums = dict.fromkeys([*SIZES, "true", "found"], 0) | {f"matched {size}": 0 for size in SIZES}
        kept = []
        for row, (mask, called) in enumerate(zip(masks[..., 0] == 1, probabilities[..., 0] > 0.5, strict=True)):
            true, found = flooded(mask), flooded(called)
            if math.perm(max(len(true), len(found)), min(len(true), len(found))) > 6000:
                continue  # too many to try
            kept.append(row)
            sums["found"] += len(found)
            for each in true:
                sums[size_of(each)] += 1
            for each in best_matching(true, found):
                sums[f"matched {size_of(each)}"] += 1
        if not kept:
            continue
        shown = values(counted(masks[kept], probabilities[kept]))
        matched, true = (sum(sums[f"{before}{size}"] for size in SIZES) for before in ("matched ", ""))
        expected = {
            "precision": matched / sums["found"] if sums["found"] else math.nan,
            "recall": matched / true if true else math.nan,
            "f1": 2 * matched / (true + sums["found"]) if true + sums["found"] else 1.0,
            **{f"recall_{size}": sums[f"matched {size}"] / sums[size] if sums[size] else math.nan for size in SIZES},
        }
        np.testing.assert_equal(shown, expected)
        small += 1
        found_some += matched
    assert small > 150
    assert found_some > 50


def test_a_match_is_from_half_of_the_union_on_and_corners_hold_together():
    masks = np.zeros((2, 8, 8, 1), np.uint8)
    called = np.zeros(masks.shape)
    masks[0, 0, :4] = called[0, 0, :2] = 1  # 2 of 4
    masks[1, 0, :5] = called[1, 0, :2] = 1  # 2 of 5
    masks[1, 4, 4] = masks[1, 5, 5] = called[1, 4, 4] = 1  # 1 of 2
    found = values(counted(masks, called))
    assert (found["recall"], found["precision"]) == (2 / 3, 2 / 3)


@pytest.mark.parametrize(
    ("mask", "called", "expected"),
    [(0, 0, (math.nan, math.nan, 1)), (1, 0, (math.nan, 0, 0)), (0, 1, (0, math.nan, 0)), (1, 1, (1, 1, 1))],
    ids=["no object", "nothing predicted", "all invented", "both full"],
)
def test_no_object_has_a_documented_value(mask, called, expected):
    masks = np.full((2, 3, 4, 1), mask, np.uint8)
    found = values(counted(masks, np.full(masks.shape, called)))
    np.testing.assert_equal((found["precision"], found["recall"], found["f1"]), expected)


def test_two_craters_in_one_prediction_are_one_match_at_most():
    masks = np.zeros((1, 24, 40, 1), np.uint8)
    masks[0, 2:20, 2:20] = masks[0, 2:6, 30:34] = 1
    called = np.zeros(masks.shape)
    called[0, 2:20, 2:34] = 1
    found = values(counted(masks, called))
    assert (found["recall"], found["recall_small"], found["recall_large"], found["precision"]) == (0.5, 0, 1, 1)


# Craters of a catalogue


def counted_of_circles(circles: list[list[float]], called: np.ndarray) -> Statistics:
    """Return the statistics of one image whose mask is the union of its circles."""
    rows, columns = np.mgrid[: called.shape[0], : called.shape[1]] + 0.5
    mask = np.zeros(called.shape, bool)
    for x, y, diameter in circles:
        mask |= (columns - x) ** 2 + (rows - y) ** 2 <= (diameter / 2) ** 2
    masks = mask[None, ..., None].astype(np.uint8)
    images, catalogue = np.zeros(masks.shape, np.float32), [np.array(circles, np.float64).reshape(-1, 3)]
    evaluator = Evaluator(images, masks, np.arange(1), METRICS.values(), catalogue)
    return evaluator.count(called[None, ..., None].astype(np.float32))


def disc(*circles: tuple[float, float, float], side: int = 48) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side] + 0.5
    return np.any([(columns - x) ** 2 + (rows - y) ** 2 <= (d / 2) ** 2 for x, y, d in circles], axis=0)


def test_craters_of_a_catalogue_that_overlap_are_several_objects():
    circles = [[15.0, 20.0, 20.0], [27.0, 20.0, 12.0]]
    both = disc(*circles)
    found = values(counted_of_circles(circles, both))
    assert (found["precision"], found["recall"]) == (1, 0.5)  # one object, and it is the wide crater
    assert (found["recall_large"], found["recall_medium"]) == (1, 0)
    of_mask = values(counted(both[None, ..., None].astype(np.uint8), both[None, ..., None]))
    assert (of_mask["precision"], of_mask["recall"]) == (1, 1)


def test_a_crater_inside_another_is_found_only_by_itself():
    circles = [[24.0, 24.0, 40.0], [24.0, 24.0, 10.0]]
    assert values(counted_of_circles(circles, disc(circles[0])))["recall_large"] == 1
    assert values(counted_of_circles(circles, disc(circles[1])))["recall_medium"] == 1
    assert values(counted_of_circles(circles, disc(circles[0])))["recall_medium"] == 0


def test_two_circles_at_one_place_are_not_both_matched_by_one_object():
    circles = [[24.0, 24.0, 20.0], [24.0, 24.0, 20.0]]
    found = values(counted_of_circles(circles, disc(circles[0])))
    assert (found["precision"], found["recall"]) == (1, 0.5)


def test_circles_that_hold_no_pixel_of_the_image_are_no_objects():
    circles = [[24.0, 24.0, 20.0], [-20.0, 24.0, 30.0], [10.0, 10.0, 0.5]]
    assert values(counted_of_circles(circles, disc(circles[0])))["recall"] == 1
    assert values(counted_of_circles([], np.zeros((48, 48), bool)))["f1"] == 1


@pytest.mark.parametrize("seed", range(20))
def test_circles_far_apart_count_as_their_mask_does(seed: int):
    draw = np.random.default_rng(seed)
    circles = [[12 + 24 * (n % 2), 12 + 24 * (n // 2), draw.uniform(3, 20)] for n in range(4)]
    called = disc(*((x + draw.normal(), y + draw.normal(), d) for x, y, d in circles))
    mask = disc(*map(tuple, circles))[None, ..., None].astype(np.uint8)
    of_mask, of_circles = counted(mask, called[None, ..., None]), counted_of_circles(circles, called)
    np.testing.assert_array_equal(of_circles.arrays["objects"], of_mask.arrays["objects"])


def test_scores_of_circles_and_of_masks_do_not_share_a_column():
    mask = disc((24, 24, 20))[None, ..., None].astype(np.uint8)
    part = (np.zeros(mask.shape, np.float32), mask, np.arange(1))
    circles = [[np.array([[24.0, 24, diameter]])] for diameter in (20, 20.5)]
    fingerprints = {Evaluator(*part, (), each).fingerprint for each in (None, *circles)}
    assert len(fingerprints) == 3
