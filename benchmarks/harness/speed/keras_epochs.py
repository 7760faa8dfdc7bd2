"""What the harness costs a Keras user: ``python benchmarks/harness/speed/keras_epochs.py [PAIRS]``.

Two trainings of the reference go on side by side in one process, an epoch of one and an epoch of the other in turn: the
harness's loop, and a plain script with ``model.fit``, ``EarlyStopping`` and ``ModelCheckpoint``, on the same images in
the same order, from the same weights, on the same validation part. Which of the two comes first changes from pair to
pair. Printed are the ratios of the pairs; what the harness does beside training is printed apart, in seconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}

import keras
import numpy as np

from craterbench.config.resolve import Override, resolve
from craterbench.data.dataset import Subset
from craterbench.plugin import NoParameters
from craterbench.plugin.registry import Registry
from craterbench.report.run_plots import draw_curves, draw_samples
from craterbench.training.augment import make_training_data
from craterbench.training.experiment import Samples
from craterbench.training.fit import fit
from craterbench.training.session import open_session
from craterbench_mars.chips import mars_hrsc
from craterbench_unet.keras import build

SEED, SIZE = 42, 32


class Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Takes the seconds of an epoch's training alone, without the validation that follows it in ``fit``."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Training begins."""
        self.started = time.perf_counter()

    def on_test_begin(self, logs: Any = None) -> None:
        """Training is over."""
        self.training = time.perf_counter() - self.started


class PlainScript:
    """What a script would do, an epoch at a time; keeps the seconds of training and of the whole epoch."""

    def __init__(self, part: Subset, validation: Subset, weights: dict[str, Any], folder: Path) -> None:
        self.part, self.validation = part, validation
        self.model = build(resolve(Registry.installed(), "reference").benchmark.model.parameters, (48, 48), SEED)
        for weight in self.model.weights:
            weight.assign(weights[weight.path.replace("/", ".")])
        self.model.compile(keras.optimizers.Adam(5e-4), "binary_crossentropy", jit_compile=False)
        best = str(folder / "best.weights.h5")
        self.clock = Clock()
        self.callbacks = [
            self.clock,
            keras.callbacks.EarlyStopping(patience=10_000, restore_best_weights=True),
            keras.callbacks.ModelCheckpoint(best, save_best_only=True, save_weights_only=True),
        ]
        self.order = np.random.default_rng([SEED, 0])
        self.training: list[float] = []
        self.whole: list[float] = []

    def epoch(self) -> None:
        """Train an epoch on the images in the order in which the harness shows them."""
        rows = self.order.permutation(len(self.part))
        images, masks = self.part.images[rows], self.part.masks[rows]
        started = time.perf_counter()
        self.model.fit(
            images,
            masks,
            batch_size=SIZE,
            shuffle=False,
            verbose=0,
            validation_data=(self.validation.images, self.validation.masks),
            callbacks=self.callbacks,
        )
        self.whole.append(time.perf_counter() - started)
        self.training.append(self.clock.training)


def main() -> None:
    """Train both in turn and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=int, nargs="?", default=20)
    pairs: int = parser.parse_args().pairs
    overrides = [Override("training.epochs", pairs + 1, ""), Override("training.patience", 10_000, "")]
    benchmark = resolve(Registry.installed(), "reference", overrides).benchmark
    started = time.perf_counter()
    dataset = mars_hrsc(NoParameters())
    data = make_training_data(dataset.train_val, benchmark, np.random.default_rng([SEED, 1]))
    session = open_session(benchmark, image_shape=(48, 48), seed=SEED, device="auto")
    print(f"start-up (data, split, augmentation, model): {time.perf_counter() - started:.2f} s")
    part = next(data.epochs)
    begun: list[float] = []
    whole: list[float] = []

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = PlainScript(part, data.validation, session.weights(), folder)

        def in_turn() -> Iterator[Subset]:
            """Give the loop its images; the script goes before each odd epoch and after each even one."""
            for number in range(pairs + 1):
                if number % 2:
                    script.epoch()
                begun.append(time.perf_counter())
                yield part
                if not number % 2:
                    script.epoch()

        course = fit(
            session,
            replace(data, epochs=in_turn()),
            benchmark=benchmark,
            order=np.random.default_rng([SEED, 0]),
            on_epoch=lambda row: whole.append(time.perf_counter() - begun[-1]),
        )
        if len(script.whole) < len(whole):
            script.epoch()
        started = time.perf_counter()
        draw_curves(folder / "curves.png", course.history, "reference")
        shown = data.validation.take(np.arange(12))
        draw_samples(folder / "samples.png", Samples(shown.images, shown.masks, session.predict(shown.images)), "")
        print(f"pictures: {time.perf_counter() - started:.2f} s")

    training = [row["seconds"] for row in course.history]
    scoring = [one - other for one, other in zip(whole, training, strict=True)]
    validating = [one - other for one, other in zip(script.whole, script.training, strict=True)]
    first = slice(1, None)  # the first epoch of each traces its graph
    print(f"scoring an epoch, two parts: {statistics.median(scoring[first]):.2f} s", end="; ")
    print(f"validation and checkpoint of the script: {statistics.median(validating[first]):.2f} s")
    for what, ours, theirs in (("training", training, script.training), ("whole epoch", whole, script.whole)):
        ratios = sorted(one / other for one, other in zip(ours[first], theirs[first], strict=True))
        quarter = len(ratios) // 4
        print(
            f"{what}: harness / script, median of {len(ratios)} pairs {statistics.median(ratios):.3f}, "
            f"quartiles {ratios[quarter]:.3f} and {ratios[-1 - quarter]:.3f}; "
            f"script {statistics.median(theirs[first]):.2f} s"
        )


if __name__ == "__main__":
    main()
