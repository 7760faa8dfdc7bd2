"""A benchmarking harness for crater segmentation: one protocol trains, one evaluator scores, one table compares.

What ``craterbench.api`` offers is found here too, and imported when it is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from craterbench.api import Run, evaluate, per_image, predict, predict_files, run, runs, sweep, table

__version__ = "0.1.0"

_API = ("Run", "evaluate", "per_image", "predict", "predict_files", "run", "runs", "sweep", "table")

__all__ = ["Run", "__version__", "evaluate", "per_image", "predict", "predict_files", "run", "runs", "sweep", "table"]


def __getattr__(name: str) -> Any:
    if name not in _API:
        raise AttributeError(f"module 'craterbench' has no attribute {name!r}")
    import craterbench.api

    return getattr(craterbench.api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_API])
