"""What large data cost: ``python benchmarks/harness/speed/large_images.py [N SIZE [BENCHMARK [key=value ...]]]``.

By default 4000 images of 256x256 and the benchmark ``logistic``. Trains one epoch on an npz file of N images of a byte
a pixel, as ``bench run`` does in its worker process, and prints the most memory that the process has held, the seconds
of the epoch, and those of all from reading the file to the scores. To compare versions, run it on both, more than once
in turn.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

BLOCK = 16


def main(number: int, size: int, name: str, overrides: list[str]) -> None:
    """Make the images in another process, whose memory does not count, and train in this one."""
    for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(variable, "2")
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}
    from craterbench.config.resolve import parse_override, resolve
    from craterbench.plugin.registry import Registry
    from craterbench.training.experiment import train_and_evaluate

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npz"
        maker = multiprocessing.get_context("spawn").Process(target=make_file, args=(file, number, size))
        maker.start()
        maker.join()
        given = ["dataset.name=npz", f'dataset.path="{file}"', "training.epochs=1", *overrides]
        benchmark = resolve(Registry.installed(), name, [parse_override(each) for each in given]).benchmark
        started = time.perf_counter()
        result = train_and_evaluate(benchmark, seed=0, device="cpu")
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    epoch = result.training.training_seconds
    print(f"{name}, {number} images of {size}x{size}, {' '.join(overrides)}")
    print(f"peak {peak / 2**30:.2f} GiB, epoch {epoch:.1f} s, all {seconds:.1f} s")


def make_file(file: Path, number: int, size: int) -> None:
    """Write images of blocks, the brightest of which are crater: no two are alike."""
    generator = np.random.default_rng(0)
    blocks = generator.integers(0, 256, (number, size // BLOCK, size // BLOCK), dtype=np.uint8)
    images = blocks.repeat(BLOCK, axis=1).repeat(BLOCK, axis=2)
    np.savez(file, images=images, masks=(images > 200).astype(np.uint8))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("number", type=int, nargs="?", default=4000, help="of images")
    parser.add_argument("size", type=int, nargs="?", default=256, help="of their sides, in pixels")
    parser.add_argument("benchmark", nargs="?", default="logistic")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    asked = parser.parse_args()
    main(asked.number, asked.size, asked.benchmark, asked.overrides)
