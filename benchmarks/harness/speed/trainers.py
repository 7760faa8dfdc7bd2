"""Processes that train an epoch when they are asked to, so that several can be timed in turn.

Each process has an environment of its own, which is settled before it starts: allocators and thread pools read it once.
All train the reference's network on the same images in the same order.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from craterbench.config.resolve import Override, resolve
from craterbench.data.dataset import Subset
from craterbench.plugin import NoParameters
from craterbench.plugin.registry import Registry
from craterbench.training.augment import make_training_data
from craterbench.training.fit import batches_of
from craterbench.training.session import open_session
from craterbench_mars.chips import mars_hrsc

SEED, SIZE, RATE = 42, 32, 5e-4

#: Side of the matrices that are multiplied, how often, and the floating-point operations of that.
_MATRIX, _PRODUCTS = 2048, 10
MATRIX_OPERATIONS = 2 * _MATRIX**3 * _PRODUCTS

Batches = Sequence[npt.NDArray[np.intp]]


@dataclass(frozen=True)
class Trainer:
    """What a process trains with.

    Attributes:
        kind: ``session``, of the harness; ``bare``, a tuned PyTorch loop; ``script``, plain Keras;
            ``matrix``, which trains nothing and multiplies matrices.
        framework: ``torch`` or ``keras``.
        precision: ``float32`` or ``bfloat16``.
        environment: its environment variables.
        plain_dropout: whether the network has PyTorch's own dropout in place of the harness's.
    """

    kind: str = "session"
    framework: str = "torch"
    precision: str = "float32"
    environment: Mapping[str, str] = field(default_factory=dict)
    plain_dropout: bool = False


class BareLoop:
    """What a careful PyTorch user would write."""

    def __init__(self, part: Subset, precision: str) -> None:
        import torch

        from craterbench_unet.torch import build

        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.half = precision == "bfloat16"
        parameters = resolve(Registry.installed(), "torch-twin").benchmark.model.parameters
        self.model = build(parameters, (48, 48), SEED).to(self.device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=RATE, fused=True)
        self.images, self.masks = (
            torch.from_numpy(array).to(self.device, torch.float32).permute(0, 3, 1, 2)
            for array in (part.images, part.masks)
        )
        self.torch = torch

    def epoch(self, batches: Batches) -> None:
        """Train an epoch."""
        self.model.train()
        for rows in batches:
            chosen = self.torch.from_numpy(rows).to(self.device)
            self.step(self.images[chosen], self.masks[chosen])
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def step(self, images: Any, masks: Any) -> None:
        """Make a step."""
        with self.torch.autocast(self.device, self.torch.bfloat16, enabled=self.half):
            probabilities = self.model(images)
        self.optimizer.zero_grad(set_to_none=True)
        self.torch.nn.functional.binary_cross_entropy(probabilities, masks).backward()
        self.optimizer.step()


def epoch_part(copies: int) -> Subset:
    """Return the images of an epoch of the reference, with so many augmented copies."""
    benchmark = resolve(Registry.installed(), "reference", [Override("augmentation.copies", copies, "")]).benchmark
    return next(
        make_training_data(mars_hrsc(NoParameters()).train_val, benchmark, np.random.default_rng([SEED, 1])).epochs
    )


def in_turn(trainers: Mapping[str, Trainer], rounds: int, *, copies: int) -> dict[str, list[tuple[float, float]]]:
    """Return, for each trainer, seconds and processor seconds of its epochs, one of each in a round.

    The order turns from round to round, and a first epoch of each is not counted.
    """
    with contextlib.ExitStack() as stack:
        pipes = {name: stack.enter_context(_process(trainer, copies)) for name, trainer in trainers.items()}
        names = list(pipes)
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for number in range(rounds + 1):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                pipes[name].send("epoch")
                measured[name].append(pipes[name].recv())
    return {name: pairs[1:] for name, pairs in measured.items()}


def ratios(base: Sequence[tuple[float, float]], other: Sequence[tuple[float, float]]) -> str:
    """Say how many images a second the other trains for each of the base's: median and quartiles of the rounds."""
    found = [one / two for (one, _), (two, _) in zip(base, other, strict=True)]
    lower, median, upper = np.quantile(found, (0.25, 0.5, 0.75))
    return f"{median:.2f} ({lower:.2f} to {upper:.2f})"


@contextlib.contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """Keep so many other processes busy meanwhile."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


@contextlib.contextmanager
def _process(trainer: Trainer, copies: int) -> Iterator[Any]:
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(trainer, copies, theirs), daemon=True)
    before = dict(os.environ)
    os.environ.update(trainer.environment)
    try:
        process.start()
    finally:
        os.environ.clear()
        os.environ.update(before)
    theirs.close()
    try:
        yield pipe
    finally:
        pipe.close()
        process.join()


def _serve(trainer: Trainer, copies: int, pipe: Any) -> None:
    part = epoch_part(copies)
    batches = batches_of(np.random.default_rng(SEED).permutation(len(part)), SIZE)
    with tempfile.TemporaryDirectory() as folder:
        train = {"session": _session, "bare": _bare, "matrix": _matrix, "script": _script}[trainer.kind](
            trainer, part, batches, Path(folder)
        )
        while True:
            try:
                pipe.recv()
            except EOFError:
                return
            started, worked = time.perf_counter(), _processor_time()
            seconds = train()  # of a script only a part of it is training
            pipe.send((seconds or time.perf_counter() - started, _processor_time() - worked))


def _processor_time() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _session(trainer: Trainer, part: Subset, batches: Batches, folder: Path) -> Any:
    changed = [Override("framework", trainer.framework, ""), Override("training.precision", trainer.precision, "")]
    benchmark = resolve(Registry.installed(), "reference", changed).benchmark
    _choose_dropout(trainer)
    session = open_session(benchmark, image_shape=part.images.shape[1:3], seed=SEED, device="auto")
    rates = np.full(len(batches), RATE)

    def train() -> None:
        session.train_epoch(part.images, part.masks, batches, rates)

    return train


def _bare(trainer: Trainer, part: Subset, batches: Batches, folder: Path) -> Any:
    _choose_dropout(trainer)
    loop = BareLoop(part, trainer.precision)
    return lambda: loop.epoch(batches)


def _matrix(trainer: Trainer, part: Subset, batches: Batches, folder: Path) -> Any:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    one = torch.rand(_MATRIX, _MATRIX, device=device, dtype=getattr(torch, trainer.precision))

    def multiply() -> None:
        for _ in range(_PRODUCTS):
            one @ one
        if device == "cuda":
            torch.cuda.synchronize()

    return multiply


def _script(trainer: Trainer, part: Subset, batches: Batches, folder: Path) -> Any:
    from keras_epochs import PlainScript

    twin = resolve(Registry.installed(), "reference").benchmark
    weights = open_session(twin, image_shape=part.images.shape[1:3], seed=SEED, device="auto").weights()
    script = PlainScript(part, part.take(np.arange(SIZE)), weights, folder)

    def train() -> float:
        script.epoch()
        return script.training[-1]

    return train


def _choose_dropout(trainer: Trainer) -> None:
    if trainer.plain_dropout:
        import torch

        import craterbench_unet.torch

        craterbench_unet.torch.dropout = torch.nn.functional.dropout  # type: ignore[attr-defined]
