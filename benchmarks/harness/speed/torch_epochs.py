"""What the harness costs a PyTorch user: ``python benchmarks/harness/speed/torch_epochs.py [--beside N]``.

Epochs of the reference are trained in turn, on the same images in the same order, by a session of the harness in
PyTorch, by a bare PyTorch loop, tuned as one would (channels last, fused Adam, data on the device, nothing read back),
in float32 and bfloat16, by the session in Keras, and by the plain Keras script of ``keras_epochs.py``. Each has a
process of its own, and the bare loops have the environment and the dropout that the harness gives its own. Printed are
the ratios of images a second, and the share of the rate at which this machine multiplies matrices in the same rounds;
with ``--beside N``, while N other processes keep the cores busy. On a GPU, the time between launches is measured too,
and what CUDA graphs make of the bare loop.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Mapping

import numpy as np
from trainers import (
    MATRIX_OPERATIONS,
    RATE,
    SEED,
    SIZE,
    BareLoop,
    Batches,
    Trainer,
    busy_processes,
    epoch_part,
    in_turn,
    ratios,
)

from craterbench.config.resolve import resolve
from craterbench.execution.devices import available_cores, environment
from craterbench.plugin.registry import Registry
from craterbench.training.fit import batches_of

# PyTorch is imported in functions: a process that trains in Keras imports this file too, and must not have both.

PRECISIONS = ("float32", "bfloat16")

#: Who is compared with whom: images a second of the second for each of the first.
PAIRS = (
    ("bare loop, float32", "session, float32"),
    ("bare loop, bfloat16", "session, bfloat16"),
    ("Keras session", "session, float32"),
    ("Keras session", "session, bfloat16"),
    ("Keras script", "session, float32"),
    ("Keras script", "session, bfloat16"),
    ("Keras script", "Keras session"),
    ("session, float32", "session, bfloat16"),
)


def trainers() -> dict[str, Trainer]:
    """Return a process for each side."""
    registry, threads = Registry.installed(), available_cores()

    def variables(framework: str) -> Mapping[str, str]:
        spec = registry.get("framework", framework)
        return environment(threads=threads, device="auto", framework=spec.environment)

    sides = {}
    for precision in PRECISIONS:
        for kind, name in (("session", "session"), ("bare", "bare loop"), ("matrix", "matrix product")):
            sides[f"{name}, {precision}"] = Trainer(kind=kind, precision=precision, environment=variables("torch"))
    if importlib.util.find_spec("keras"):
        script = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
        sides["Keras session"] = Trainer(framework="keras", environment=variables("keras"))
        sides["Keras script"] = Trainer(kind="script", framework="keras", environment=script)
    return sides


def operations_an_image() -> float:
    """Return the floating-point operations of forward and backward, as PyTorch counts them: convolutions alone."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from craterbench_unet.torch import build

    model = build(resolve(Registry.installed(), "torch-twin").benchmark.model.parameters, (48, 48), SEED)
    with FlopCounterMode(display=False) as counter:
        model(torch.rand(1, 1, 48, 48)).sum().backward()
    return float(counter.get_total_flops())


def launches(loop: BareLoop, batches: Batches) -> None:
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
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--beside", type=int, default=0, help="other processes that keep the cores busy")
    parser.add_argument("--copies", type=int, default=2, help="augmented copies of each image, as in a definition")
    asked = parser.parse_args()

    import torch  # not needed by --help

    part = epoch_part(asked.copies)
    operations = operations_an_image()
    on = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{available_cores()} cores"
    print(f"{len(part)} images an epoch, {operations / 1e9:.3f} GFLOP an image, on {on}, beside {asked.beside} others")
    with busy_processes(asked.beside):
        measured = in_turn(trainers(), asked.rounds, copies=asked.copies)
    for first, second in PAIRS:
        if first in measured:
            print(f"{second} / {first}, images a second: {ratios(measured[first], measured[second])}")
    for precision in PRECISIONS:
        session, matrix = (
            statistics.median(seconds for seconds, _ in measured[f"{side}, {precision}"])
            for side in ("session", "matrix product")
        )
        rate = MATRIX_OPERATIONS / matrix
        print(
            f"session, {precision}: {session:.2f} s an epoch, {operations * len(part) / session / rate:.0%} of the "
            f"{rate / 1e9:.0f} GFLOP/s of a matrix product"
        )
    if torch.cuda.is_available():
        batches = batches_of(np.random.default_rng(SEED).permutation(len(part)), SIZE)
        for precision in PRECISIONS:
            launches(BareLoop(part, precision), batches)


if __name__ == "__main__":
    main()
