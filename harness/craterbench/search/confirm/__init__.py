"""The best trials are trained again on fresh seeds beside the benchmark that the search started from."""
