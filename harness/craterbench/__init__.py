"""A benchmarking harness for crater segmentation: one protocol trains, one evaluator scores, one table compares."""

__version__ = "0.1.0"
