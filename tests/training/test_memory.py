"""What is held and what is made on the way: large data have to fit into memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

from craterbench.config.resolve import parse_override, resolve
from craterbench.data.dataset import Subset
from craterbench.metrics.evaluator import Evaluator
from craterbench.plugin.registry import Registry
from craterbench.training.augment import make_training_data


def peak(task: Callable[[], Any]) -> int:
    """Return the most bytes that a task held beside what was there before."""
    task()  # what is imported or cached on first use is not its own
    tracemalloc.start()
    try:
        task()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def part(number: int, size: int = 64) -> Subset:
    images = np.random.default_rng(0).random((number, size, size, 1), dtype=np.float32)
    return Subset(images, (images > 0.7).astype(np.uint8), np.arange(number))


def benchmark(*settings: str):
    common = ["framework=sklearn", "model.name=constant", "optimizer.name=sgd", "optimizer.learning_rate=0.1"]
    return resolve(Registry.installed(), "reference", [parse_override(s) for s in (*common, *settings)]).benchmark


def test_scoring_makes_little_beside_what_is_scored():
    few, many = (part(number) for number in (200, 1000))
    made = []
    for each in (few, many):
        probabilities = np.random.default_rng(1).random(each.images.shape, dtype=np.float32)
        evaluator = Evaluator(each.images, each.masks, each.groups)
        made.append(peak(lambda evaluator=evaluator, scored=probabilities: evaluator.count(scored)))
    assert made[1] < 1.1 * made[0]


def test_images_without_copies_are_held_once_in_each_part():
    whole = part(120, 256)
    size = whole.images.nbytes + whole.masks.nbytes
    held = peak(
        lambda: next(make_training_data(whole, benchmark("augmentation.copies=0"), np.random.default_rng(0)).epochs)
    )
    # the training and the validation part, and what the search for copies makes
    assert held < (0.8 + 0.2 + 0.25) * size


def test_copies_are_made_where_they_are_held():
    whole = part(120, 256)
    size = whole.images.nbytes + whole.masks.nbytes
    settings = "augmentation.copies=2", "augmentation.rotate-zoom=true"
    held = peak(lambda: next(make_training_data(whole, benchmark(*settings), np.random.default_rng(0)).epochs))
    # what is held without copies, three times the training part, and a copy in the making
    assert held < (1 + 3 * 0.8 + 0.8 + 0.25) * size
