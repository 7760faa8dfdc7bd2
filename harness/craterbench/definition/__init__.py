"""What is asked: benchmarks, resolved and checked."""
