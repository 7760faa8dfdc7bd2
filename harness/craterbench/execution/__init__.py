"""Runs and where they are trained: run specs, the cache of runs, workers, executors and the scheduler of runs.

Called by ``bench run``, the search, its confirmation and ``craterbench.api``. This process keeps the records.
"""
