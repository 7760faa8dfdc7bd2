"""Where runs train, and which need not: workers, executors, devices and the cache of runs."""
