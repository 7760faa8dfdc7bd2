"""What the harness costs a PyTorch user: ``python benchmarks/speed/torch_epochs.py [PAIRS]``.

Epochs of the reference's network are trained in turn by a session of the harness and by a bare loop, tuned as one
would (channels last, fused Adam, data on the device, nothing read back), on the same images in the same order; which
comes first changes from pair to pair. Printed are the ratios of images a second, in float32 and bfloat16, and their
share of the rate at which this machine multiplies matrices. On a CPU with Keras installed, the session is then
measured against the plain script of ``keras_epochs.py``, which trains in a process of its own, an epoch of each in
turn. On a GPU, the time between launches is measured too, and what CUDA graphs make of the bare loop.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from craterbench.data.dataset import Part
from craterbench.definition.overrides import Override, resolve
from craterbench.plugin import NoParameters
from craterbench.plugin.registry import Registry
from craterbench.training.feed import prepare
from craterbench.training.loop import batches_of
from craterbench.training.session import Session, open_session
from craterbench_martian.chips import mars_hrsc

# PyTorch is imported in functions: the process that trains in Keras imports this file too, and must not have both.

SEED, SIZE, RATE = 42, 32, 5e-4


def epoch_part() -> Part:
    """Return the images of an epoch of the reference, augmented."""
    benchmark = resolve(Registry.installed(), "torch-twin").benchmark
    return next(prepare(mars_hrsc(NoParameters()).development, benchmark, np.random.default_rng([SEED, 1])).epochs)


def open_twin(precision: str) -> Session:
    """Open the harness's session."""
    asked = resolve(Registry.installed(), "torch-twin", [Override("training.precision", precision, "")]).benchmark
    return open_session(asked, image_shape=(48, 48), seed=SEED, device="auto")


class BareLoop:
    """What a careful PyTorch user would write."""

    def __init__(self, part: Part, precision: str) -> None:
        import torch

        from craterbench_unet.in_torch import build

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

    def epoch(self, batches: Sequence[Any]) -> None:
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


def in_turn(pairs: int, ours: Callable[[], None], theirs: Callable[[], None]) -> tuple[list[float], list[float]]:
    """Return the seconds of each, after one of each that is not counted."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for pair in range(pairs + 1):
        for which in (0, 1) if pair % 2 else (1, 0):
            started = time.perf_counter()
            (ours, theirs)[which]()
            seconds[which].append(time.perf_counter() - started)
    return seconds[0][1:], seconds[1][1:]


def told(what: str, ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return a line on the ratios of images a second."""
    ratios = sorted(other / one for one, other in zip(ours, theirs, strict=True))
    quarter = len(ratios) // 4
    return (
        f"{what}: median of {len(ratios)} pairs {statistics.median(ratios):.3f}, quartiles {ratios[quarter]:.3f} "
        f"and {ratios[-1 - quarter]:.3f}; session {statistics.median(ours):.2f} s an epoch"
    )


def matrix_rate(precision: str) -> float:
    """Return how many floating-point operations a second a product of large square matrices makes here."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = 8192 if device == "cuda" else 2048
    one = torch.rand(size, size, device=device, dtype=getattr(torch, precision))
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        one @ one
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds)


def operations_an_image() -> float:
    """Return the floating-point operations of forward and backward, as PyTorch counts them: convolutions alone."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from craterbench_unet.in_torch import build

    model = build(resolve(Registry.installed(), "torch-twin").benchmark.model.parameters, (48, 48), SEED)
    with FlopCounterMode(display=False) as counter:
        model(torch.rand(1, 1, 48, 48)).sum().backward()
    return float(counter.get_total_flops())


def serve_keras(pipe: Connection) -> None:
    """Train an epoch of the plain Keras script whenever asked, and tell the seconds of its training."""
    from keras_epochs import PlainScript

    twin = resolve(Registry.installed(), "reference").benchmark
    weights = open_session(twin, image_shape=(48, 48), seed=SEED, device="auto").weights()
    part = epoch_part()
    with tempfile.TemporaryDirectory() as folder:
        script = PlainScript(part, part.take(np.arange(SIZE)), weights, Path(folder))
        while pipe.recv() == "epoch":
            script.epoch()
            pipe.send(script.training[-1])


def against_keras(pairs: int, part: Part, batches: Sequence[Any]) -> tuple[list[float], list[float]]:
    """Return the seconds of an epoch in the session and in the plain Keras script, in turn."""
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=serve_keras, args=(theirs,), daemon=True)
    process.start()
    session = open_twin("float32")
    rates = np.full(len(batches), RATE)
    ours, keras = [], []
    for pair in range(pairs + 1):
        for which in (0, 1) if pair % 2 else (1, 0):
            if which:
                pipe.send("epoch")
                keras.append(pipe.recv())
            else:
                started = time.perf_counter()
                session.train_epoch(part.images, part.masks, batches, rates)
                ours.append(time.perf_counter() - started)
    pipe.send("end")
    process.join()
    return ours[1:], keras[1:]


def launches(loop: BareLoop, batches: Sequence[Any]) -> None:
    """Print, on a GPU, what an epoch is made of, and what a step captured as a CUDA graph makes of it."""
    torch = loop.torch
    full = [rows for rows in batches if len(rows) == SIZE]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        loop.epoch(full)
    busy = sum(event.device_time_total for event in profile.events()) / 1e6
    started = time.perf_counter()
    loop.epoch(full)
    bare = time.perf_counter() - started
    loop.optimizer = torch.optim.Adam(loop.model.parameters(), lr=RATE, fused=True, capturable=True)
    images, masks = (array[:SIZE].clone() for array in (loop.images, loop.masks))
    warm = torch.cuda.Stream()
    with torch.cuda.stream(warm):
        for _ in range(3):
            loop.step(images, masks)
    torch.cuda.current_stream().wait_stream(warm)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loop.step(images, masks)
    order = torch.from_numpy(np.stack(full)).to(loop.device)
    torch.cuda.synchronize()
    started = time.perf_counter()
    for rows in order:
        images.copy_(loop.images[rows])
        masks.copy_(loop.masks[rows])
        graph.replay()
    torch.cuda.synchronize()
    graphed = time.perf_counter() - started
    print(f"an epoch of full batches: {bare:.3f} s, kernels alone {busy:.3f} s, as a CUDA graph {graphed:.3f} s")


def main() -> None:
    """Print the ratios."""
    import torch

    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    part = epoch_part()
    batches = batches_of(np.random.default_rng(SEED).permutation(len(part)), SIZE)
    rates = np.full(len(batches), RATE)
    operations = operations_an_image()
    on = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} threads"
    print(f"{len(part)} images an epoch, {operations / 1e9:.3f} GFLOP an image, on {on}")
    for precision in ("float32", "bfloat16"):
        session, loop = open_twin(precision), BareLoop(part, precision)

        def ours(session: Session = session) -> None:
            session.train_epoch(part.images, part.masks, batches, rates)

        def theirs(loop: BareLoop = loop) -> None:
            loop.epoch(batches)

        seconds = in_turn(pairs, ours, theirs)
        print(told(f"{precision}: session / bare loop, images a second", *seconds))
        rate = matrix_rate(precision)
        share = operations * len(part) / statistics.median(seconds[0]) / rate
        print(f"{precision}: {share:.0%} of the {rate / 1e9:.0f} GFLOP/s of a matrix product")
        if loop.device == "cuda":
            launches(loop, batches)
    if not torch.cuda.is_available() and importlib.util.find_spec("keras"):
        print(told("float32: session / plain Keras script, images a second", *against_keras(pairs, part, batches)))


if __name__ == "__main__":
    main()
