"""How long scoring takes: ``python benchmarks/harness/speed/scoring.py [N SIZE]``; by default 600 images of 256x256.

Prints the median seconds that the processor works at making the evaluator of a part of N images, at scoring the part
after an epoch, the same where the monitor is on boundaries or on objects, and at making an evaluator and scoring with
all metrics, as at the end of a run. What depends on the masks alone is computed in the first epoch; the median is that
of another one. To compare versions, run it on both, more than once in turn.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
from scipy.ndimage import gaussian_filter

from craterbench.data.dataset import Subset
from craterbench.metrics.evaluator import Evaluator
from craterbench.metrics.metric import Metrics
from craterbench.training.experiment import evaluate
from craterbench.training.session import Session

ROUNDS = 5


class Predicted:
    """A session that predicts what it was made with."""

    def __init__(self, probabilities: np.ndarray) -> None:
        self._probabilities = probabilities

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return it, whatever the images are."""
        return self._probabilities


def main(number: int, size: int) -> None:
    """Time what is done with a part, in turn, so that a slow moment of the machine is everything's."""
    part, probabilities = make_part(number, size)
    session = cast(Session, Predicted(probabilities))
    evaluator = Evaluator(part.images, part.masks, part.groups)
    monitored = [
        (monitor, Evaluator(part.images, part.masks, part.groups, [monitor]))
        for monitor in (Metrics().get(name) for name in ("hausdorff_95", "object_f1"))
    ]
    tasks: dict[str, Callable[[], Any]] = {
        "making an evaluator": lambda: Evaluator(part.images, part.masks, part.groups),
        "scoring after an epoch": lambda: evaluator.count(probabilities),
        **{f"… by {monitor.name}": partial(by.count, probabilities) for monitor, by in monitored},
        "scoring at the end": lambda: evaluate(session, {"test": part}, Metrics(), []),
    }
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(ROUNDS):
        for name, task in tasks.items():
            started = time.process_time()
            task()
            times[name].append(time.process_time() - started)
    print(f"{number} images of {size}x{size}")
    for name, measured in times.items():
        print(f"{name:24} median {statistics.median(measured):.3f} s, {min(measured):.3f} to {max(measured):.3f} s")


def make_part(number: int, size: int) -> tuple[Subset, np.ndarray]:
    """Return discs on noise, a few in each image, and probabilities that find them roughly."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size]
    masks = np.zeros((number, size, size, 1), np.uint8)
    for mask in masks[..., 0]:
        for _ in range(generator.integers(1, 8)):
            row, column = generator.uniform(0, size, 2)
            mask |= np.hypot(rows - row, columns - column) < size * generator.uniform(0.02, 0.2)
    noise = gaussian_filter(generator.standard_normal(masks.shape).astype(np.float32), (0, 2, 2, 0))
    probabilities = np.clip(0.6 * masks + 0.2 + noise, 0, 1).astype(np.float32)
    images = generator.random(masks.shape, dtype=np.float32)
    return Subset(images, masks, np.arange(number)), probabilities


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("number", type=int, nargs="?", default=600, help="of images")
    parser.add_argument("size", type=int, nargs="?", default=256, help="of their sides, in pixels")
    asked = parser.parse_args()
    main(asked.number, asked.size)
