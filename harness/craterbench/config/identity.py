"""What makes a run the same run: an explicit list of what is asked for and of the data it is asked of.

Threads and device are none of it. They move digits, as another version of a package does, but they are the machine's,
not the question's: whoever has a run on two threads has no use for it on one. A record keeps them, and a table says
where the runs of a row differ in them.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from craterbench.config.benchmark import BenchmarkConfig

__all__ = ["config_digest", "former_identity", "run_identity"]


def config_digest(benchmark: BenchmarkConfig) -> str:
    """Return a short digest of what a benchmark asks for and of its components' versions, whatever its name.

    The data set's own parameters (a path, say) count only through the images they lead to: see ``run_identity``.
    """
    asked = benchmark.as_dict()
    del asked["summary"]
    asked["dataset"] = asked["dataset"]["name"]
    return _digest({"definition": asked, "versions": benchmark.versions()})


def run_identity(benchmark: BenchmarkConfig, *, data: str, seed: int, fold: str | None) -> str:
    """Return a short digest that two runs share if the same was done in both.

    Args:
        data: digest of the images, masks and groups.
        fold: which of how many folds validates, as ``2/5``, or ``None``.
    """
    return _digest(_told(benchmark, data, seed, fold))


def former_identity(
    benchmark: BenchmarkConfig, *, data: str, seed: int, fold: str | None, threads: int, device: str
) -> str:
    """Return the identity of a run as it was when the number of threads and the device were part of it.

    Records of that time are still there, and what they hold need not be trained again. No record says which of the two
    its identity is, and none has to: the digests of two lists of different keys do not meet.
    """
    return _digest(_told(benchmark, data, seed, fold) | {"threads": threads, "device": device})


def _told(benchmark: BenchmarkConfig, data: str, seed: int, fold: str | None) -> dict[str, Any]:
    return {"definition": config_digest(benchmark), "data": data, "seed": seed, "fold": fold}


def _digest(value: Any) -> str:
    # The order of the keys is kept, since the steps of an augmentation are applied in their order.
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
