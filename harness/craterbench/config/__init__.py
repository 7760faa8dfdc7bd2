"""What is wanted: benchmarks, resolved and validated. Everything above reads configs; nothing else makes them."""
