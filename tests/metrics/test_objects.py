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
