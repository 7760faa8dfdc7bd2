"""What makes a run the same run: an explicit list of all that can change its scores."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from craterbench.definition.benchmark import Benchmark

__all__ = ["definition_digest", "run_identity"]


def definition_digest(benchmark: Benchmark) -> str:
    """Return a short digest of what a benchmark asks for and of its components' versions, whatever its name.

    The data set's own parameters (a path, say) count only through the images they lead to: see ``run_identity``.
    """
    asked = benchmark.as_dict()
    del asked["summary"]
    asked["dataset"] = asked["dataset"]["name"]
    return _digest({"definition": asked, "versions": benchmark.versions()})


def run_identity(benchmark: Benchmark, *, data: str, seed: int, fold: str | None, threads: int, device: str) -> str:
    """Return a short digest that two runs share if the same was done in both.

    Args:
        data: digest of the images, masks and groups.
        fold: which of how many folds validates, as ``2/5``, or ``None``.
        threads: number of threads: the digits of a run depend on it.
    """
    return _digest(
        {
            "definition": definition_digest(benchmark),
            "data": data,
            "seed": seed,
            "fold": fold,
            "threads": threads,
            "device": device,
        }
    )


def _digest(value: Any) -> str:
    # The order of the keys is kept, since the steps of an augmentation are applied in their order.
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
